/* Pipes without waiting: see pipe.h. */
#include "os/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* What a pipe holds of a file that is sent. */
#define HELD_BYTES (256 << 10)

void lh_pipe_set_nonblocking(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;

    if (flags >= 0 && wanted != flags)
        fcntl(fd, F_SETFL, wanted);
}

/* Is there something to be done?  Of use where the kernel knows no RWF_NOWAIT:
 * FIFOs, terminals, and older kernels' pipes. */
static ssize_t wait_not(int fd, short events)
{
    struct pollfd now = {.fd = fd, .events = events};
    int r = poll(&now, 1, 0);

    if (r < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return r == 0 ? -EAGAIN : 0;
}

static ssize_t outcome(ssize_t r)
{
    if (r >= 0)
        return r;
    return errno == EINTR || errno == EAGAIN ? -EAGAIN : -errno;
}

ssize_t lh_pipe_read(int fd, void *p, size_t n)
{
    struct iovec part = {p, n};
    ssize_t r = preadv2(fd, &part, 1, -1, RWF_NOWAIT);

    if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
        return outcome(r);
    r = wait_not(fd, POLLIN);
    return r < 0 ? r : outcome(read(fd, p, n));
}

/* A pipe that is ready takes PIPE_BUF octets. */
ssize_t lh_pipe_write(int fd, const void *p, size_t n)
{
    struct iovec part = {(void *)p, n};
    ssize_t r = pwritev2(fd, &part, 1, -1, RWF_NOWAIT);

    if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
        return outcome(r);
    r = wait_not(fd, POLLOUT);
    return r < 0 ? r : outcome(write(fd, p, n < PIPE_BUF ? n : PIPE_BUF));
}

ssize_t lh_pipe_open(int fds[2])
{
    int room;

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    /* Refused to a user that has much in pipes: the usual size will do. */
    room = fcntl(fds[1], F_SETPIPE_SZ, HELD_BYTES);
    return room > 0 ? room : fcntl(fds[1], F_GETPIPE_SZ);
}

int lh_pipe_text(const void *p, size_t n)
{
    int fd = memfd_create("text", MFD_CLOEXEC);
    size_t done = 0;

    if (fd < 0)
        return -errno;
    while (done < n) {
        ssize_t r = write(fd, (const char *)p + done, n - done);
        if (r < 0 && errno != EINTR) {
            int error = errno;
            close(fd);
            return -error;
        }
        done += r > 0 ? (size_t)r : 0;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}
