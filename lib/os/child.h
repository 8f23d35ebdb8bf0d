/*
 * Child processes that nobody waits for: started with their pipes, reported by
 * the event queue when they have ended, reaped by pid.
 */
#ifndef LH_OS_CHILD_H
#define LH_OS_CHILD_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct lh_child {
    pid_t pid;    /* also its process group; -1 once reaped */
    int ended_fd; /* readable once it has ended */
};

/* How to start one.  A descriptor of -1 is /dev/null. */
struct lh_child_start {
    const char *const *argv; /* argv[0] is looked up in PATH */
    const char *const *env;  /* "NAME=value"; NULL: ours */
    const char *directory;   /* NULL: ours */
    int in, out, error;      /* what become descriptors 0, 1 and 2 */
};

/* In a process group of its own, no signal blocked or ignored, no further
 * descriptor open.  LHTTPD_ESYSTEM with words and errno in *error. */
int lh_child_spawn(struct lh_child *child, const struct lh_child_start *start,
                   int *error, struct lh_err *err);

/* Has it ended?  Until it is reaped its number is nobody else's, and neither is
 * that of its group. */
bool lh_child_has_ended(const struct lh_child *child);

/* Reaps without waiting; true: it has ended, with `status` as of waitpid(). */
bool lh_child_reap(struct lh_child *child, int *status);

/* To all of its process group, and to itself if it has left that; nothing once
 * it was reaped. */
void lh_child_signal(const struct lh_child *child, int number);

/* SIGKILL, and reaps: for the end of everything. */
void lh_child_end(struct lh_child *child);

/* A pipe, both ends close-on-exec and blocking; 0 or a negative errno. */
int lh_child_pipe(int fds[2]);

#endif
