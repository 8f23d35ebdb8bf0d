/* What this process is, and how much of the system it may use. */
#ifndef LH_OS_SELF_H
#define LH_OS_SELF_H

#include <stddef.h>
#include <stdint.h>

long lh_self_id(void);       /* async-signal-safe */
unsigned lh_self_cpus(void); /* online and allowed to us; at least 1 */

/* A stack for a thread that runs scripts: as large as the main thread's
 * (RLIMIT_STACK), but from 2 to 64 MiB. */
size_t lh_self_stack_bytes(void);

/* What is left of the calling thread's stack, or as above where that is not
 * known. */
size_t lh_self_stack_left(void);

/* The soft limit of descriptors (RLIMIT_NOFILE).  It is only read: raising it
 * is the program's decision. */
uint64_t lh_self_descriptors(void);

#endif
