/* What the system lets a process do with its memory. */
#ifndef LH_OS_MEMORY_H
#define LH_OS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* May memory that was written be executed then, as compilers at run time need?
 * Hardened systems refuse it: systemd's MemoryDenyWriteExecute, SELinux's
 * execmem, PR_SET_MDWE.  Tried, with one page. */
bool lh_memory_becomes_code(void);

/* May the system refuse this process memory, by a limit of its address space or
 * its data (RLIMIT_AS, RLIMIT_DATA; ulimit -v and -d)? */
bool lh_memory_is_limited(void);

/* Keeps `n` octets of what the system grants this process, to be given up where
 * it grants no more.  It takes address space and no memory.  May be NULL. */
void *lh_memory_reserve(size_t n);

/* `p` may be NULL. */
void lh_memory_release(void *p, size_t n);

/* Returns to the system what is free in the heap of the process, where the C
 * library keeps it otherwise.  It takes about a millisecond for each 20 MB. */
void lh_memory_give_back(void);

#endif
