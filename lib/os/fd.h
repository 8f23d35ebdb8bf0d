/*
 * Descriptors that are ours never have the numbers 0 to 2, also where a program
 * has closed those: other code takes them for standard streams, and its words
 * would go to a client.  Whatever opens one goes through here (test/layers.sh).
 */
#ifndef LH_OS_FD_H
#define LH_OS_FD_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Around a system call that opens one, for what that returned: the descriptor,
 * or one above 2 in its place, close-on-exec; or a negative errno, of the call
 * itself or since there is no room, and then nothing stays open. */
int lh_fd_above(int fd);

/* Another descriptor of the same, close-on-exec; or a negative errno. */
int lh_fd_duplicate(int fd);

/* pipe2() and a socketpair() of local streams, close-on-exec; 0 or a
 * negative errno. */
int lh_fd_pipe(int fds[2], int flags);
int lh_fd_socketpair(int fds[2]);

/* Are these two of one file, pipe or socket?  Not where one is none. */
bool lh_fd_same(int fd, int other);

/* How many more can be opened, counted up to `max` (64 at most). */
unsigned lh_fd_room(unsigned max);

/* For what opens by itself: takes the numbers that are free of 0 to 2 for the
 * time until release. */
struct lh_fd_hold {
    int fds[3], n;
};
void lh_fd_hold(struct lh_fd_hold *hold);
void lh_fd_release(struct lh_fd_hold *hold);

/* /dev/null, close-on-exec; or a negative errno.  Where there is none, in a
 * jail say, a socket that is connected to nobody: reading it is the end, and
 * writing an error, without a signal. */
int lh_fd_open_null(void);

/* For so many in all, 65536 at most, the kernel has a table from here on.
 * Where threads run already, enlarging it holds the one that opens a descriptor
 * until every processor has taken notice: ten milliseconds, or a second where
 * they are busy with what has a higher priority.  Fails silently. */
void lh_fd_make_room(uint64_t n);

/* The number that a descriptor is always below; the system may say less from
 * one moment to the next. */
int lh_fd_limit(void);

void lh_fd_close(int fd);

/* Opens that, with its own number, for good as each of 0 to 2 that is closed;
 * children inherit it.  0 or LHTTPD_ESYSTEM. */
int lh_fd_occupy_standard(struct lh_err *err);

#endif
