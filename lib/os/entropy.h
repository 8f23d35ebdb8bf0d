/* Random bytes for secrets, from the kernel; works in a chroot without /dev. */
#ifndef LH_OS_ENTROPY_H
#define LH_OS_ENTROPY_H

#include <stddef.h>

/* 0 or a negative errno. */
int lh_entropy(void *out, size_t n);

#endif
