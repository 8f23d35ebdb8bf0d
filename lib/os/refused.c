/*
 * Which calls the kernel refuses: see refused.h.  A question is the call itself
 * on no descriptor, which says EBADF where it is known.
 */
#include "os/refused.h"

#include "os/error.h"
#include "os/fd.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_FD         (-1)
#define HIGH_FD       0x7fffffff /* for calls that look at its sign first */
#define WAIT_BY_PIDFD ((idtype_t)3)
#define TO_THE_GROUP  4u

/* 0: it can be used; or a negative errno. */
static int unless_bad_fd(long r)
{
    return r >= 0 || errno == EBADF ? 0 : -errno;
}

/* The same for a call that opens one. */
static int unless_opened(int fd)
{
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* Linux 5.3. */
static int pidfd_open_error(void)
{
    return unless_opened(
        lh_fd_above((int)syscall(SYS_pidfd_open, getpid(), 0)));
}

/* Linux 5.4. */
static int pidfd_wait_error(void)
{
    siginfo_t info;

    return unless_bad_fd(
        waitid(WAIT_BY_PIDFD, HIGH_FD, &info, WEXITED | WNOHANG | WNOWAIT));
}

/* Linux 6.9: the flag is looked at first. */
static int pidfd_signal_error(void)
{
    return unless_bad_fd(
        syscall(SYS_pidfd_send_signal, NO_FD, 0, NULL, TO_THE_GROUP));
}

/* Linux 5.9. */
static int close_range_error(void)
{
    return syscall(SYS_close_range, ~0u, ~0u, 0) == 0 ? 0 : -errno;
}

/* Linux 4.6, but some sandboxes do not know them. */
static int preadv2_error(void)
{
    return unless_bad_fd(syscall(SYS_preadv2, NO_FD, NULL, 0L, 0L, 0L, 0));
}

static int pwritev2_error(void)
{
    return unless_bad_fd(syscall(SYS_pwritev2, NO_FD, NULL, 0L, 0L, 0L, 0));
}

/* Linux 3.17, and refused by some containers. */
static int memfd_error(void)
{
    return unless_opened(lh_fd_above(memfd_create("", MFD_CLOEXEC)));
}

static const struct {
    const char *name;
    int (*error)(void);
    const char *instead;
} calls[] = {
    {"pidfd_open", pidfd_open_error,
     "whether child processes have ended is asked every 64 ms"},
    {"waitid by descriptor", pidfd_wait_error,
     "child processes are waited for by their numbers"},
    {"pidfd_send_signal to a group", pidfd_signal_error,
     "child processes are signalled by their numbers"},
    {"close_range", close_range_error, "descriptors are closed one by one"},
    {"preadv2", preadv2_error,
     "what the page cache has is read as what it has not"},
    {"pwritev2", pwritev2_error, "pipes are asked before they are written to"},
    {"memfd_create", memfd_error,
     "the standard input of child processes is a temporary file or a pipe"},
};

void lh_refused_each(void (*say)(void *data, const char *call, const char *why,
                                 const char *instead),
                     void *data)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        int error = calls[i].error();
        if (error < 0)
            say(data, calls[i].name, lh_sys_text(error), calls[i].instead);
    }
}
