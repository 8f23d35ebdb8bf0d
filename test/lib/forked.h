/*
 * A part of a test in a process of its own, a forked child: where limits and
 * system calls that fail would stay, or a thread stays behind.  There cmocka's
 * own checks would return into the parent's tests; a child says by its exit
 * status what is wrong.
 */
#ifndef TEST_LIB_FORKED_H
#define TEST_LIB_FORKED_H

#include <stdio.h>

/* A child's status: the system does not allow what the test needs. */
#define TEST_CANNOT 77

/* Runs body(arg) in a child, which ends with what it returns.  That status; the
 * test is skipped where it is TEST_CANNOT, and fails where a signal has ended
 * the child, as after five minutes. */
int test_forked(int (*body)(void *arg), void *arg);

/* Ends a child from anywhere in it.  Coverage builds learn what it ran. */
_Noreturn void test_forked_end(int status);

/* In a child: ends it with 1 unless this is so; `words` say more. */
#define TEST_FORKED_CHECK(what, words)                                         \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #what, words);      \
            test_forked_end(1);                                                \
        }                                                                      \
    } while (0)

#endif
