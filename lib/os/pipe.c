/* Pipes without waiting: see pipe.h. */
#include "os/pipe.h"

#include "os/fd.h"
#include "os/nowait.h"
#include "os/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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
    int flags = fcntl(fd, F_GETFL), r;

    /* Somebody else may be faster between the two. */
    if (flags >= 0 && !(flags & O_NONBLOCK))
        return -EOPNOTSUPP;
    r = poll(&now, 1, 0);
    if (r < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return r == 0 ? -EAGAIN : 0;
}

static ssize_t pipe_outcome(ssize_t r)
{
    if (r >= 0)
        return r;
    return errno == EINTR || errno == EAGAIN ? -EAGAIN : -errno;
}

ssize_t lh_pipe_read(int fd, void *p, size_t n)
{
    ssize_t r = lh_nowait_read(fd, p, n, LH_NOWAIT_NO_OFFSET);

    if (r != -EOPNOTSUPP)
        return r;
    r = wait_not(fd, POLLIN);
    return r < 0 ? r : pipe_outcome(read(fd, p, n));
}

ssize_t lh_pipe_write_now(int fd, const void *p, size_t n)
{
    return lh_nowait_write(fd, p, n);
}

/* A pipe that is ready takes PIPE_BUF octets. */
ssize_t lh_pipe_write(int fd, const void *p, size_t n)
{
    ssize_t r = lh_pipe_write_now(fd, p, n);

    if (r != -EOPNOTSUPP)
        return r;
    r = wait_not(fd, POLLOUT);
    return r < 0 ? r : pipe_outcome(write(fd, p, n < PIPE_BUF ? n : PIPE_BUF));
}

ssize_t lh_pipe_open(int fds[2])
{
    int room = lh_fd_pipe(fds, O_NONBLOCK);

    if (room < 0)
        return room;
    room = lh_splice_room(fds[1], HELD_BYTES);
    if (room < 0) {
        close(fds[0]);
        close(fds[1]);
    }
    return room;
}

bool lh_pipe_is_empty(int fd)
{
    int n;

    return ioctl(fd, FIONREAD, &n) == 0 && n == 0;
}

/* All of it, at the start. */
static int text_fill(int fd, const void *p, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t r = write(fd, (const char *)p + done, n - done);
        if (r < 0 && errno != EINTR)
            return -errno;
        done += r > 0 ? (size_t)r : 0;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Where there are no files of memory (Linux 3.17, and containers refuse them).
 */
static int open_temporary(void)
{
    static const char *const directories[] = {"/dev/shm", "/tmp", "/var/tmp"};
    int fd = -1;

    for (size_t i = 0; fd < 0 && i < 3; i++) {
        char path[40];
        snprintf(path, sizeof(path), "%s/lhttpd-XXXXXX", directories[i]);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            unlink(path);
    }
    return lh_fd_above(fd);
}

/* A pipe that holds all of it, and its other end is closed. */
static int pipe_of(const void *p, size_t n)
{
    int fds[2];
    int error = lh_fd_pipe(fds, O_NONBLOCK);

    if (error < 0)
        return error;
    if (n > PIPE_BUF)
        lh_splice_room(fds[1], (int)(n < INT_MAX ? n : INT_MAX));
    ssize_t r = write(fds[1], p, n);
    close(fds[1]);
    if (r == (ssize_t)n) {
        lh_pipe_set_nonblocking(fds[0], false);
        return fds[0];
    }
    close(fds[0]);
    return -EFBIG;
}

int lh_pipe_text(const void *p, size_t n)
{
    int fd = lh_fd_above(memfd_create("text", MFD_CLOEXEC));

    if (fd < 0)
        fd = open_temporary();
    if (fd < 0)
        return pipe_of(p, n);
    int r = text_fill(fd, p, n);
    if (r < 0)
        close(fd);
    return r < 0 ? r : fd;
}
