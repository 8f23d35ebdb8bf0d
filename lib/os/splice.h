/*
 * From a file through a pipe into a socket, without a copy.  One file for each
 * system, which CMake chooses: splice_linux.c or splice_none.c.
 */
#ifndef LH_OS_SPLICE_H
#define LH_OS_SPLICE_H

#include <stddef.h>
#include <sys/types.h>

/* Both move at most n octets, and give how many that were, or a negative errno.
 * The pipe is never waited for; the file is. */
ssize_t lh_splice_in(int file, off_t at, int pipe, size_t n);
ssize_t lh_splice_out(int pipe, int socket, size_t n);

/* The same of what is in memory, as far as the kernel tells: -EAGAIN where it
 * is not, or nobody knows. */
ssize_t lh_splice_in_now(int file, off_t at, int pipe, size_t n);

/* Octets that the pipe holds at most, after it was asked to hold `wanted` (0:
 * as it is); or a negative errno, it is not known. */
int lh_splice_room(int pipe, int wanted);

#endif
