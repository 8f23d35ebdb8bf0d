/*
 * preadv2() and pwritev2() with RWF_NOWAIT: see nowait.h.  By their numbers,
 * since not every C library has the functions.
 */
#include "os/nowait.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NO_WAIT 8 /* RWF_NOWAIT */

/* The kernel takes a position in two halves where a register has 32 bits, and
 * looks at the first alone elsewhere. */
static ssize_t nowait_move(long call, int fd, const struct iovec *part,
                           int64_t offset)
{
    long low = (long)offset, high = (long)(offset >> 32);
    ssize_t n = syscall(call, fd, part, 1L, low, high, NO_WAIT);

    if (n >= 0)
        return n;
    if (errno == ENOSYS || errno == EPERM || errno == ENOTSUP)
        return -EOPNOTSUPP;
    return errno == EINTR ? -EAGAIN : -errno;
}

ssize_t lh_nowait_read(int fd, void *p, size_t n, int64_t offset)
{
    struct iovec part = {p, n};

    return nowait_move(SYS_preadv2, fd, &part, offset);
}

ssize_t lh_nowait_write(int fd, const void *p, size_t n)
{
    struct iovec part = {(void *)p, n};

    return nowait_move(SYS_pwritev2, fd, &part, LH_NOWAIT_NO_OFFSET);
}
