/*
 * FreeBSD's sendfile: see splice.h.  It does not wait for the disk, at least on
 * UFS: what is not in memory it has the system read, and the octets leave once
 * they are there.  Nor does it wait for a page that somebody else is busy with
 * (SF_NODISKIO); then nothing is taken, and an operation has to read.  So
 * nobody has to ask before.  There are no pipes into which a file's pages could
 * be put.
 */
#include "os/splice.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

ssize_t lh_splice_in(int file, off_t at, int pipe, size_t n)
{
    (void)file;
    (void)at;
    (void)pipe;
    (void)n;
    return -EOPNOTSUPP;
}

ssize_t lh_splice_in_now(int file, off_t at, int pipe, size_t n)
{
    return lh_splice_in(file, at, pipe, n);
}

ssize_t lh_splice_out(int pipe, int socket, size_t n)
{
    (void)pipe;
    (void)socket;
    (void)n;
    return -EOPNOTSUPP;
}

/* It counts what has left also where it fails in the end; no octets at all
 * would mean the whole file to it. */
ssize_t lh_splice_file(int file, off_t at, int socket, size_t n)
{
    off_t sent = 0;
    int r = n ? sendfile(file, socket, at, n, NULL, &sent, SF_NODISKIO) : 0;

    return r < 0 && sent == 0 ? -errno : (ssize_t)sent;
}

bool lh_splice_is_ready(int file, off_t at, size_t n)
{
    (void)file;
    (void)at;
    (void)n;
    return true;
}

int lh_splice_room(int pipe, int wanted)
{
    (void)pipe;
    (void)wanted;
    return -EOPNOTSUPP;
}
