/*
 * A heap that fails when told to and counts what is alive, put in place of
 * lh_realloc_hook.  The counts are per process and atomic: threads may use it.
 */
#ifndef TEST_LIB_HEAP_H
#define TEST_LIB_HEAP_H

void test_heap_install(void);
void test_heap_uninstall(void);

/* The n-th allocation from now on fails, once; 0: none does. */
void test_heap_fail_at(unsigned long n);

/* Allocations (and reallocations) since install or fail_at. */
unsigned long test_heap_count(void);

/* Blocks alive of those allocated since install. */
long test_heap_live(void);

/* For groups of tests: installs it; takes it away, and fails if any is alive.
 */
int test_heap_set_up(void **state);
int test_heap_tear_down(void **state);

#endif
