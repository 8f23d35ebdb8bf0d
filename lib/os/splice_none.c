/* Systems that cannot splice: see splice.h.  Octets are copied there. */
#include "os/splice.h"

#include <errno.h>

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

int lh_splice_room(int pipe, int wanted)
{
    (void)pipe;
    (void)wanted;
    return -EOPNOTSUPP;
}
