/* Watching children by Linux's pidfd: see child_watch.h. */
#include "os/child_watch.h"

#include "os/fd.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of Linux 5.4 and 6.9, which the C library's headers may not know yet. */
#define WAIT_BY_PIDFD ((idtype_t)3)
#define TO_THE_GROUP  4u

/* Refused by kernels before 5.3, containers and valgrind. */
int lh_child_watch(pid_t pid)
{
    int fd = lh_fd_above((int)syscall(SYS_pidfd_open, pid, 0));

    return fd < 0 ? -1 : fd;
}

int lh_child_wait_by(int fd, siginfo_t *info, int options)
{
    return waitid(WAIT_BY_PIDFD, (id_t)fd, info, options) == 0 ? 0 : -errno;
}

bool lh_child_signal_by(int fd, int number)
{
    return syscall(SYS_pidfd_send_signal, fd, number, NULL, TO_THE_GROUP) ==
               0 ||
           errno == ESRCH;
}
