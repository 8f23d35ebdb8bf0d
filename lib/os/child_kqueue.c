/*
 * Watching children by a kqueue: see child_watch.h.  Such a queue is readable
 * while it has an event, and nobody takes this one.
 */
#include "os/child_watch.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/event.h>
#include <unistd.h>

/* One that has ended already is reported as well, until it is waited for. */
int lh_child_watch(pid_t pid)
{
    struct kevent change;
    int fd = lh_fd_above(kqueue());

    if (fd < 0)
        return -1;
    EV_SET(&change, (uintptr_t)pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
        kevent(fd, &change, 1, NULL, 0, NULL) == 0)
        return fd;
    close(fd);
    return -1;
}

int lh_child_wait_by(int fd, siginfo_t *info, int options)
{
    (void)fd;
    (void)info;
    (void)options;
    return -EINVAL;
}

bool lh_child_signal_by(int fd, int number)
{
    (void)fd;
    (void)number;
    return false;
}
