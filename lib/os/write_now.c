/* Writing without waiting: see write_now.h. */
#include "os/write_now.h"

#include "os/error.h"
#include "os/fd.h"
#include "os/pipe.h"
#include "os/splice.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A terminal that is ready takes so much at once, of text or one newline: Linux
 * counts its room in steps of 256 octets. */
#define TERMINAL_PIECE 128

static bool takes_output(int fd)
{
    struct pollfd now = {.fd = fd, .events = POLLOUT};

    return poll(&now, 1, 0) == 1;
}

/* The same pipe or terminal, with flags of its own: needs /proc, and to be the
 * user whose it is. */
static ssize_t write_reopened(int as, const char *p, size_t n)
{
    char path[32];
    const int flags = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", as);
    int fd = lh_fd_above(open(path, flags));
    if (fd < 0)
        return -EOPNOTSUPP;
    ssize_t r = write(fd, p, n);
    if (r < 0)
        r = -errno;
    close(fd);
    return r;
}

/* A pipe that is ready has room for PIPE_BUF octets, of one writer; at most
 * half full it has room for several who look at the same time. */
static ssize_t write_half_empty_pipe(int fd, const char *p, size_t n)
{
    int held = 0, room = lh_splice_room(fd, 0);

    if (room >= 0 && (ioctl(fd, FIONREAD, &held) < 0 || held > room / 2))
        return -EAGAIN;
    if (!takes_output(fd))
        return -EAGAIN;
    return lh_sys_result(write(fd, p, n < PIPE_BUF ? n : PIPE_BUF));
}

static ssize_t write_pieces(int fd, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n && takes_output(fd)) {
        size_t left = n - done < TERMINAL_PIECE ? n - done : TERMINAL_PIECE;
        const char *end = memchr(p + done, '\n', left);
        size_t text = end ? (size_t)(end - (p + done)) : left;
        ssize_t r = write(fd, p + done, text ? text : 1);
        if (r <= 0)
            break;
        done += (size_t)r;
    }
    return done ? (ssize_t)done : -EAGAIN;
}

/* Of what the kernel knows no way for: our own is open so that nothing waits.
 */
static ssize_t write_otherwise(int fd, bool is_pipe, const char *p, size_t n)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && (flags & O_NONBLOCK))
        return lh_sys_result(write(fd, p, n));
    ssize_t r = write_reopened(fd, p, n);
    if (r != -EOPNOTSUPP)
        return r;
    return is_pipe ? write_half_empty_pipe(fd, p, n) : write_pieces(fd, p, n);
}

ssize_t lh_write_now(int fd, const char *p, size_t n)
{
    struct stat st;
    bool waits;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISSOCK(st.st_mode))
        return lh_sys_result(send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL));
    waits = S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd));
    if (!waits) /* a file, /dev/null */
        return lh_sys_result(write(fd, p, n));
    ssize_t r = lh_pipe_write_now(fd, p, n);
    return r == -EOPNOTSUPP ? write_otherwise(fd, S_ISFIFO(st.st_mode), p, n)
                            : r;
}
