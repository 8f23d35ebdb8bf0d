/*
 * Proves that a checker of what always holds finds what does not: a fault is
 * planted in a child process, which must end by an assertion.
 */
#ifndef TEST_LIB_FAULTS_H
#define TEST_LIB_FAULTS_H

#include <stdbool.h>

/* Does the child that breaks `c` and then checks it end by abort()?  The
 * caller's own `c` stays as it is. */
bool test_fault_is_found(void (*breaks)(void *c), void (*check)(const void *c),
                         void *c);

void test_no_fault(void *c); /* breaks nothing */

/* A function that breaks a connection, whose pointer is `c`. */
#define TEST_FAULT(name, type, code)                                           \
    static void name(void *vc)                                                 \
    {                                                                          \
        type *c = vc;                                                          \
        code;                                                                  \
    }

#endif
