/*
 * Drives a protocol on byte strings, in place of server/conn: offers input
 * whole or in pieces, runs a handler for each exchange with news, collects the
 * output, and checks on the way that the protocol keeps its contract.
 */
#ifndef TEST_LIB_DRIVER_H
#define TEST_LIB_DRIVER_H

#include "http/protocol.h"
#include "lib/context.h"

#define TEST_DRIVER_EXCHANGES 64

struct test_driver;

/* Called for a new request and whenever it has news.  Once it has let go of the
 * exchange (see test_done) it is not called for it any more. */
typedef void test_handler_fn(struct test_driver *d, struct lh_exchange *ex);

struct test_task {
    struct test_driver *driver;
    struct lh_exchange *ex; /* NULL: free */
    bool news;
    unsigned runs; /* how often the handler was called */
    void *data;    /* the handler's own */
};

struct test_driver {
    struct lh_protocol_host host; /* the first member */
    struct test_context *t;
    const struct lh_protocol *protocol;
    void *c;
    test_handler_fn *handler;
    struct test_task tasks[TEST_DRIVER_EXCHANGES];
    void *data;  /* the test's own */
    uint8_t *in; /* what feed has not used */
    size_t in_n;
    bool eof_waits; /* eof is called once the input is used */
    char *out;      /* terminated */
    size_t out_n;
    const char *pipe; /* where host.moves: what a pipe holds */
    size_t pull_room; /* of each pull: 65536 */
    bool keeps_back;  /* pull only when nothing else can be done, as a worker's
                         turn does */
    bool holds;       /* the client takes nothing: no pull at all */
    unsigned pulls;   /* that gave something */
    unsigned requests;
    unsigned wakes;
    bool stopped; /* feed returned < 0 */
};

void test_driver_init(struct test_driver *d, struct test_context *t,
                      const struct lh_protocol *protocol,
                      void *(*new_connection)(struct lh_protocol_host *),
                      test_handler_fn *handler);
void test_driver_deinit(struct test_driver *d); /* gone, then free */

/* Feeds, runs handlers and pulls until nothing changes.  `step` octets at a
 * time; 0: all at once. */
void test_driver_feed(struct test_driver *d, const void *p, size_t n,
                      size_t step);
void test_driver_feed_str(struct test_driver *d, const char *s);
void test_driver_run(struct test_driver *d);
void test_driver_eof(struct test_driver *d);

/* Moves the time and calls expire if its deadline has come. */
void test_driver_advance(struct test_driver *d, uint64_t ms);

unsigned test_driver_status(const struct test_driver *d);
void test_driver_forget_output(struct test_driver *d);

/* For handlers. */
struct test_task *test_task_of(struct lh_exchange *ex);
void test_done(struct lh_exchange *ex); /* lets go of it */

/* Starts, writes and ends a text/plain response, and lets go. */
void test_answer(struct lh_exchange *ex, unsigned status, const char *body);

/* A field list in the exchange's arena: name, value, name, value, NULL. */
struct lh_fields test_fields(struct lh_exchange *ex, ...);

#endif
