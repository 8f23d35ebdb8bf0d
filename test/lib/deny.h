/*
 * Makes system calls fail in this process, for errors that are hard to come
 * by.  It cannot be undone: fork first.
 */
#ifndef TEST_LIB_DENY_H
#define TEST_LIB_DENY_H

#include <stdbool.h>
#include <stdint.h>

#define TEST_ANY_ARGUMENT (-1)

/* From now on `call` (SYS_...), with this first argument, fails with `error`.
 * False: the kernel or a sandbox does not allow it. */
bool test_deny(long call, int argument, int error);

/* Likewise where all of `bits` are set in the argument with this index. */
bool test_deny_bits(long call, unsigned index, uint32_t bits, int error);

#endif
