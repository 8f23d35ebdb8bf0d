/*
 * Writing without waiting for a reader to what is shared with others, such as
 * standard error: O_NONBLOCK would hold for them too, so each write finds a way
 * that holds for it alone, by what the descriptor is at that moment.
 */
#ifndef LH_OS_WRITE_NOW_H
#define LH_OS_WRITE_NOW_H

#include <stddef.h>
#include <sys/types.h>

/* Octets written, fewer than n perhaps; -EAGAIN: none is taken now; or another
 * negative errno.  A file may wait for its disk. */
ssize_t lh_write_now(int fd, const char *p, size_t n);

#endif
