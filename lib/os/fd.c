/* Descriptors above the standard ones: see fd.h. */
#include "os/fd.h"

#include "os/error.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's table for so many takes 512 KiB. */
#define TABLE_MAX 65536

/* The low number is held while another is looked for, so that the search
 * cannot end there again. */
int lh_fd_above(int fd)
{
    if (fd < 0)
        return -errno;
    if (fd > STDERR_FILENO)
        return fd;
    int moved = lh_fd_duplicate(fd);
    close(fd);
    return moved;
}

int lh_fd_duplicate(int fd)
{
    int other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    return other < 0 ? -errno : other;
}

/* If one of the two finds no room the other is closed, and the error is told.
 */
static int both_above(int fds[2])
{
    fds[0] = lh_fd_above(fds[0]);
    fds[1] = lh_fd_above(fds[1]);
    if (fds[0] >= 0 && fds[1] >= 0)
        return 0;
    bool first = fds[0] >= 0;
    close(fds[first ? 0 : 1]);
    return fds[first ? 1 : 0];
}

int lh_fd_pipe(int fds[2], int flags)
{
    return pipe2(fds, flags | O_CLOEXEC) < 0 ? -errno : both_above(fds);
}

int lh_fd_socketpair(int fds[2])
{
    int type = SOCK_STREAM | SOCK_CLOEXEC;

    return socketpair(AF_UNIX, type, 0, fds) < 0 ? -errno : both_above(fds);
}

bool lh_fd_same(int fd, int other)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && fstat(other, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* It is found out by opening them, as there is no call that tells. */
unsigned lh_fd_room(unsigned max)
{
    int fds[64];
    unsigned n = 0;

    while (n < max && n < 64 && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
        n++;
    for (unsigned i = 0; i < n; i++)
        close(fds[i]);
    return n;
}

int lh_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return _POSIX_OPEN_MAX;
    return limit.rlim_cur < INT_MAX ? (int)limit.rlim_cur : INT_MAX;
}

/* By one with a high number, for the table is never made smaller. */
void lh_fd_make_room(uint64_t n)
{
    int limit = lh_fd_limit(), fd = eventfd(0, EFD_CLOEXEC);

    if (n > TABLE_MAX)
        n = TABLE_MAX;
    int last = n < (uint64_t)limit ? (int)n - 1 : limit - 1;
    int far = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, last);
    if (far >= 0)
        close(far);
    if (fd >= 0)
        close(fd);
}

/* The numbers below 3 that are free are taken until one above comes, which
 * shows that there are no more. */
void lh_fd_hold(struct lh_fd_hold *hold)
{
    int fd;

    hold->n = 0;
    while ((fd = eventfd(0, EFD_CLOEXEC)) >= 0 && fd <= STDERR_FILENO)
        hold->fds[hold->n++] = fd;
    if (fd >= 0)
        close(fd);
}

void lh_fd_release(struct lh_fd_hold *hold)
{
    while (hold->n > 0)
        close(hold->fds[--hold->n]);
}

/* With the lowest free number. */
static int open_null_lowest(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    shutdown(fd, SHUT_RD);
    return fd;
}

int lh_fd_open_null(void)
{
    int fd = open_null_lowest();

    return fd < 0 ? fd : lh_fd_above(fd);
}

void lh_fd_close(int fd)
{
    close(fd);
}

int lh_fd_occupy_standard(struct lh_err *err)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        int opened = open_null_lowest();
        if (opened >= 0 && fcntl(opened, F_SETFD, 0) < 0)
            opened = -errno;
        if (opened < 0)
            return lh_err_set(err, LHTTPD_ESYSTEM, "open /dev/null: %s",
                              lh_sys_text(opened));
    }
    return 0;
}
