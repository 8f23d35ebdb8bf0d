/*
 * What only the system knows of its threads.  One file for each, which CMake
 * chooses: self_linux.c or self_bsd.c.
 */
#ifndef LH_OS_SELF_THREAD_H
#define LH_OS_SELF_THREAD_H

#include <stdbool.h>
#include <stddef.h>

/* Where the calling thread's stack begins, and its octets; false: not known. */
bool lh_self_stack(void **low, size_t *size);

#endif
