/*
 * The smallest protocol there is: an exchange for a request that is given in C,
 * and its response collected.  Handlers can be tested with it without HTTP; and
 * it is the exchange's second user, so that nothing there is HTTP's alone.
 */
#ifndef TEST_LIB_LOOPBACK_H
#define TEST_LIB_LOOPBACK_H

#include "http/exchange.h"
#include "lib/context.h"

struct test_loopback {
    struct lh_exchange *ex; /* NULL: let go of */
    bool has_output;        /* on_output was called since the last pump */
    size_t queued;          /* the exchange's connection_queued */

    unsigned interims; /* 1xx so far */
    unsigned promises;
    unsigned last_interim; /* its status */
    bool started;          /* the final header has left */
    unsigned status;
    char fields[4096]; /* "name: value\n" each; so far as they fit */
    char trailers[1024];
    char *body; /* terminated */
    size_t body_n;
    bool ended, aborted;

    unsigned vanishes; /* what is moved is not there after all, so often */
};

/* A new request.  `target` is path and query.  `fields`: name, value, ..., NULL
 * or NULL at once.  Its body is open unless has_body is false.  The exchange is
 * then to be given to a handler (l->ex), which sets handler and on_news. */
void test_loopback_request(struct test_loopback *l, struct test_context *t,
                           const char *method, const char *target,
                           const char *const *fields, bool has_body);

/* Queues as much of the body as there is room; returns how much. */
size_t test_loopback_body(struct test_loopback *l, const void *p, size_t n);
void test_loopback_body_end(struct test_loopback *l);

/* Takes at most `most` octets of the response that may leave; returns how many
 * it took.  Where the exchange moves it moves what can be.  It calls
 * lh_exchange_sent after the last. */
size_t test_loopback_pump(struct test_loopback *l, size_t most);

/* The client is gone, or has only shut down its sending side. */
void test_loopback_gone(struct test_loopback *l);
void test_loopback_fin(struct test_loopback *l);

/* Lets go of the exchange if it still has it; frees what was collected. */
void test_loopback_deinit(struct test_loopback *l);

#endif
