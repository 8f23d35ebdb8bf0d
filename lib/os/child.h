/*
 * Child processes that nobody waits for: started with their pipes, reported by
 * the event queue when they have ended, reaped by pid.
 *
 * The program around us may collect its children itself: it waits for all of
 * them, or ignores SIGCHLD.  Then how one of ours has ended is not known, and
 * its number may be anybody's: nothing is sent there any more.
 */
#ifndef LH_OS_CHILD_H
#define LH_OS_CHILD_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

enum lh_child_fate {
    LH_CHILD_RUNS,
    LH_CHILD_EXITED,  /* code: its exit status */
    LH_CHILD_KILLED,  /* code: the signal */
    LH_CHILD_UNKNOWN, /* it has ended, and somebody else has waited for it */
};

struct lh_child {
    pid_t pid;    /* also its process group; -1 once reaped */
    int ended_fd; /* readable once it has ended; -1: the kernel has no such
                     descriptor to give, one has to ask now and then */
    enum lh_child_fate fate; /* as far as was asked */
    int code;
};

/* How to start one.  A descriptor of -1 is /dev/null, or where there is none
 * something else that has nothing to read and takes no output. */
struct lh_child_start {
    const char *const *argv; /* argv[0] is looked up in PATH */
    const char *const *env;  /* "NAME=value"; NULL: ours */
    const char *directory;   /* NULL: ours */
    int in, out, error;      /* what become descriptors 0, 1 and 2: these three
                                themselves, or others than these */
};

/* In a process group of its own, no signal blocked or ignored, no further
 * descriptor open.  0, or a negative errno with words in *err. */
int lh_child_spawn(struct lh_child *child, const struct lh_child_start *start,
                   struct lh_err *err);

/* A shell command in our directory, with our descriptors and in our process
 * group, but with no signal blocked or ignored; waits for its end.  0 or a
 * negative errno;
 * then `fate` and `code` tell how it has ended. */
int lh_child_execute(struct lh_child *child, const char *command);

/* Has it ended?  Then `fate` and `code` tell how.  Until it is reaped its
 * number is nobody else's, unless `fate` is unknown, and neither is that of its
 * group. */
bool lh_child_has_ended(struct lh_child *child);

/* Reaps without waiting; true: it has ended. */
bool lh_child_reap(struct lh_child *child);

/* To all of its process group, and to itself if it has left that; nothing once
 * it was reaped. */
void lh_child_signal(const struct lh_child *child, int number);

/* SIGKILL, and reaps: for the end of everything. */
void lh_child_end(struct lh_child *child);

/* Lets go of it, whether it has ended or not. */
void lh_child_leave(struct lh_child *child);

/* Asks all of its process group to end (SIGTERM), and makes it (SIGKILL). */
void lh_child_terminate(const struct lh_child *child);
void lh_child_kill(const struct lh_child *child);

/* Waits for its end, 64 ms at most where the kernel does not report it. */
void lh_child_wait(const struct lh_child *child);

/* The program's own standard stream (1 or 2), for a child to have; -1: it is
 * closed.  One that closes when a program is started is none, but took the
 * number of one that was closed. */
int lh_child_standard(int number);

/* Is there a shell for lh_child_execute()? */
bool lh_child_has_shell(void);

/* A pipe, both ends close-on-exec, blocking and none of descriptors 0 to 2; 0
 * or a negative errno. */
int lh_child_pipe(int fds[2]);

#endif
