/*
 * A worker's context for tests: pools, the default limits, a time that the test
 * moves, and a log that keeps its last message.
 */
#ifndef TEST_LIB_CONTEXT_H
#define TEST_LIB_CONTEXT_H

#include "base/context.h"
#include "http/exchange.h"

struct test_context {
    struct lh_context ctx;
    lhttpd_limits_t limits; /* resolved; a test may change them */
    struct lh_log log;
    struct lh_peer *peer; /* 192.0.2.1:49152 to 192.0.2.80:80 */
    unsigned logged;      /* messages */
    char last_log[1024];
    char ended[1024]; /* requests: "complete 200 6, gone 0 0", the ending, the
                         status, and octets of body sent */
};

/* The time is 1000 ms; the date is "Tue, 24 Nov 2026 03:15:00 GMT", the
 * software "test". */
void test_context_init(struct test_context *t);

/* Fails the test if an exchange or a block of a pool is still in use, or a
 * request was begun and has not ended. */
void test_context_deinit(struct test_context *t);

void test_context_advance(struct test_context *t, uint64_t ms);

#endif
