/*
 * Which calls the kernel refuses: see refused.h.  Most questions are the call
 * itself on no descriptor, which says EBADF where it is known.
 */
#include "os/refused.h"

#include "os/error.h"
#include "os/fd.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define BY_THREADS "file operations are done by a few helper threads"

#define NO_FD         (-1)
#define HIGH_FD       0x7fffffff /* for calls that look at its sign first */
#define NO_WAIT       8          /* RWF_NOWAIT */
#define WAIT_BY_PIDFD ((idtype_t)3)
#define TO_THE_GROUP  4u
#define ON_EXEC       4u   /* CLOSE_RANGE_CLOEXEC, and RESOLVE_CACHED: */
#define FROM_CACHE    0x20 /* older headers lack both */

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

/* Linux 5.1: it looks at the address of nothing once it is allowed. */
static int uring_setup_error(void)
{
    long r = syscall(SYS_io_uring_setup, 1, NULL);

    return r < 0 && errno == EFAULT ? 0 : unless_opened(lh_fd_above((int)r));
}

static int uring_enter_error(void)
{
    return unless_bad_fd(syscall(SYS_io_uring_enter, NO_FD, 0, 0, 0, NULL, 0));
}

static int uring_register_error(void)
{
    return unless_bad_fd(syscall(SYS_io_uring_register, HIGH_FD, 0, NULL, 0));
}

static int openat2_resolve_error(unsigned resolve)
{
    struct open_how how = {.resolve = resolve};

    return unless_bad_fd(
        syscall(SYS_openat2, NO_FD, "nothing", &how, sizeof(how)));
}

/* Linux 5.6, and 5.12. */
static int openat2_error(void)
{
    return openat2_resolve_error(RESOLVE_BENEATH);
}

static int openat2_cached_error(void)
{
    return openat2_resolve_error(RESOLVE_BENEATH | FROM_CACHE);
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

/* Linux 5.11. */
static int close_on_exec_error(void)
{
    return syscall(SYS_close_range, ~0u, ~0u, ON_EXEC) == 0 ? 0 : -errno;
}

/* Linux 4.6, but some sandboxes do not know it. */
static int preadv2_error(void)
{
    return unless_bad_fd(syscall(SYS_preadv2, NO_FD, NULL, 0L, 0L, 0L, 0));
}

/* The same, and later kernels alone write so to a pipe. */
static int pwritev2_error(void)
{
    int ends[2];
    struct iovec octet = {"", 1};
    int error = lh_fd_pipe(ends, O_CLOEXEC);

    if (error == 0) {
        if (syscall(SYS_pwritev2, ends[1], &octet, 1L, -1L, -1L, NO_WAIT) < 0)
            error = -errno;
        lh_fd_close(ends[0]);
        lh_fd_close(ends[1]);
    }
    return error;
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
    {"io_uring_setup", uring_setup_error, BY_THREADS},
    {"io_uring_enter", uring_enter_error, BY_THREADS},
    {"io_uring_register", uring_register_error, BY_THREADS},
    {"openat2", openat2_error,
     "paths in mapped directories are walked one name at a time"},
    {"openat2 from the cache", openat2_cached_error,
     "each file of a mapped directory is opened by a file operation"},
    {"pidfd_open", pidfd_open_error,
     "whether child processes have ended is asked every 64 ms"},
    {"waitid by descriptor", pidfd_wait_error,
     "child processes are waited for by their numbers"},
    {"pidfd_send_signal to a group", pidfd_signal_error,
     "child processes are signalled by their numbers"},
    {"close_range", close_range_error, "descriptors are closed one by one"},
    {"close_range on exec", close_on_exec_error,
     "what was inherited is kept from child processes one by one"},
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
