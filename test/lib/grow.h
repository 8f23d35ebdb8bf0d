/* Text and octets of tests that become longer and longer. */
#ifndef TEST_LIB_GROW_H
#define TEST_LIB_GROW_H

#include <stddef.h>

/* Makes room for `more` octets after the first `n` of p, which is NULL or of
 * this function; returns where they are now.  Room doubles: a sanitizer's heap
 * moves all octets at each realloc(). */
void *test_grow(void *p, size_t n, size_t more);

#endif
