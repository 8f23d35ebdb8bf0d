/* Splicing by Linux's calls: see splice.h. */
#include "os/splice.h"

#include <errno.h>
#include <fcntl.h>

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

ssize_t lh_splice_in(int file, off_t at, int pipe, size_t n)
{
    ssize_t r = splice(file, &at, pipe, NULL, n, FLAGS);

    return r < 0 ? -errno : r;
}

ssize_t lh_splice_out(int pipe, int socket, size_t n)
{
    ssize_t r = splice(pipe, NULL, socket, NULL, n, FLAGS);

    return r < 0 ? -errno : r;
}

/* More is refused to a user that has much in pipes: the usual size will do. */
int lh_splice_room(int pipe, int wanted)
{
    int room = wanted ? fcntl(pipe, F_SETPIPE_SZ, wanted) : -1;

    if (room < 0)
        room = fcntl(pipe, F_GETPIPE_SZ);
    return room < 0 ? -errno : room;
}
