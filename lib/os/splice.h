/*
 * From a file into a socket, directly or through a pipe, without a copy.  One
 * file for each system, which CMake chooses: splice_linux.c or splice_bsd.c,
 * which has no such pipes.
 */
#ifndef LH_OS_SPLICE_H
#define LH_OS_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Both move at most n octets, and give how many that were, or a negative errno.
 * The pipe is never waited for; the file is. */
ssize_t lh_splice_in(int file, off_t at, int pipe, size_t n);
ssize_t lh_splice_out(int pipe, int socket, size_t n);

/* The same of what is in memory, as far as the kernel tells: -EAGAIN where it
 * is not, or nobody knows. */
ssize_t lh_splice_in_now(int file, off_t at, int pipe, size_t n);

/* From a file into a socket, which is never waited for; at most n octets, how
 * many, or a negative errno.  0: the file has none there.  It may wait for the
 * disk where lh_splice_is_ready() has not just said that it need not. */
ssize_t lh_splice_file(int file, off_t at, int socket, size_t n);
bool lh_splice_is_ready(int file, off_t at, size_t n);

/* Octets that the pipe holds at most, after it was asked to hold `wanted` (0:
 * as it is); or a negative errno, it is not known. */
int lh_splice_room(int pipe, int wanted);

#endif
