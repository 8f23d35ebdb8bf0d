/*
 * A descriptor that is readable once a child has ended.  One file for each
 * system, which CMake chooses: child_pidfd.c or child_kqueue.c.
 */
#ifndef LH_OS_CHILD_WATCH_H
#define LH_OS_CHILD_WATCH_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Close-on-exec; -1: there is none to be had, one has to ask now and then. */
int lh_child_watch(pid_t pid);

/* As waitid(), of the process that the descriptor means, whoever has its number
 * by now.  0 or a negative errno; -EINVAL: it cannot be done by a descriptor.
 */
int lh_child_wait_by(int fd, siginfo_t *info, int options);

/* Likewise to its process group.  False: that cannot be done. */
bool lh_child_signal_by(int fd, int number);

#endif
