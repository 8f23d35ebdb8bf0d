/*
 * libFuzzer: whole HTTP/1 connections.  The first octet chooses how the rest is
 * cut, how much room each pull has and what the handler does; the rest is what
 * the client sends.  Checked: no crash, no spin, the contract of protocol.h,
 * and that the answer does not depend on the cuts.
 */
#include "h1/h1_conn.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define TASKS      64
#define STEPS_MAX  1000000
#define OUTPUT_MAX (1 << 20)

struct driver {
    struct lh_protocol_host host; /* the first member */
    struct lh_context ctx;
    lhttpd_limits_t limits;
    struct lh_log log;
    void *c;
    unsigned how;
    struct lh_exchange *tasks[TASKS]; /* the oldest first */
    int tasks_n;
    uint8_t *out; /* OUTPUT_MAX octets, the same for every input */
    size_t out_n;
};

/* An assert that release builds keep. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static void no_log(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    (void)entry;
}

static void on_request(struct lh_protocol_host *host, struct lh_exchange *ex)
{
    struct driver *d = (struct driver *)(void *)host;

    check(d->tasks_n < TASKS);
    d->tasks[d->tasks_n++] = ex;
    ex->handler = d;
}

static void on_wake(struct lh_protocol_host *host)
{
    (void)host;
}

/* Reads all of the body, then sends it back with the path. */
static bool run_handler(struct driver *d, struct lh_exchange *ex)
{
    struct lh_fields fields = {.n = 0};
    uint8_t piece[512];
    bool any = false;
    size_t n;

    if (ex->response.state == LH_RESPONSE_NONE &&
        lh_exchange_start(ex, d->how & 1 ? 404 : 200, &fields) == 0)
        any = true;
    while ((n = lh_exchange_read(ex, piece, sizeof(piece)))) {
        if (lh_exchange_room(ex) >= n)
            (void)lh_exchange_write(ex, piece, n);
        any = true;
    }
    if (d->how & 2 && !ex->response.released) {
        lh_exchange_release(ex);
        any = true;
    }
    if (ex->body_state == LH_BODY_OPEN && !ex->body_wanted) {
        lh_exchange_want_body(ex, true);
        any = true;
    }
    return any;
}

static bool run_tasks(struct driver *d)
{
    bool any = false;
    int left = 0;

    for (int i = 0; i < d->tasks_n; i++) {
        struct lh_exchange *ex = d->tasks[i];
        any |= run_handler(d, ex);
        if (ex->body_state == LH_BODY_OPEN && !(d->how & 4)) {
            d->tasks[left++] = ex;
            continue;
        }
        (void)lh_exchange_write(ex, ex->request.path.p, ex->request.path.n);
        lh_exchange_end(ex);
        lh_exchange_let_go_handler(ex);
        any = true;
    }
    d->tasks_n = left;
    return any;
}

static bool pull(struct driver *d)
{
    size_t room = d->how & 8 ? 7 : 4096;
    bool any = false;

    while (lh_h1_protocol.status(d->c) & LH_PROTO_HAS_OUTPUT) {
        uint8_t *lent = malloc(room);
        size_t n = lh_h1_protocol.pull(d->c, lent, room);
        check(n <= room && d->out_n + n <= OUTPUT_MAX);
        memcpy(d->out + d->out_n, lent, n);
        d->out_n += n;
        free(lent);
        any = true;
    }
    if (any)
        lh_h1_protocol.sent(d->c);
    return any;
}

/* Returns how much of p was used. */
static size_t drive(struct driver *d, const uint8_t *p, size_t n)
{
    size_t used, at = 0;
    bool any = true;

    for (int steps = 0; any; steps++) {
        check(steps < STEPS_MAX);
        any = false;
        if (at < n && lh_h1_protocol.status(d->c) & LH_PROTO_WANTS_INPUT) {
            uint8_t *copy = malloc(n - at);
            memcpy(copy, p + at, n - at);
            int error = lh_h1_protocol.feed(d->c, copy, n - at, &used);
            free(copy);
            check(used <= n - at);
            at += used;
            any = used > 0;
            if (error || (!used && at < n))
                check(!(lh_h1_protocol.status(d->c) & LH_PROTO_WANTS_INPUT));
        }
        any |= run_tasks(d);
        any |= pull(d);
    }
    return at;
}

static void begin(struct driver *d, unsigned how, struct lh_peer *peer,
                  uint8_t *out)
{
    memset(d, 0, sizeof(*d));
    d->how = how;
    d->limits = lh_limits_resolve(NULL);
    d->limits.request_line_bytes = 200;
    d->limits.header_bytes = 1000;
    d->limits.header_fields = 20;
    d->limits.trailer_bytes = 100;
    d->limits.body_bytes = 100000;
    d->log = (struct lh_log){no_log, NULL, LHTTPD_LOG_ERROR};
    d->ctx.limits = &d->limits;
    d->ctx.log = &d->log;
    d->ctx.software = "fuzz";
    d->ctx.now_ms = 1000;
    memcpy(d->ctx.date, "Tue, 24 Nov 2026 03:15:00 GMT", 30);
    lh_log_rates_init(&d->ctx.log_rates, &d->log, &d->ctx.timers);
    lh_buf_pools_init(&d->ctx.bufs, 4);
    lh_arena_pools_init(&d->ctx.arenas, 4);
    lh_pool_init(&d->ctx.exchanges, sizeof(struct lh_exchange), 2);
    d->host = (struct lh_protocol_host){
        .ctx = &d->ctx, .peer = peer, .request = on_request, .wake = on_wake};
    d->out = out;
    d->c = lh_h1_new(&d->host);
}

static void end(struct driver *d)
{
    lh_h1_protocol.gone(d->c);
    lh_h1_protocol.free(d->c);
    for (int i = 0; i < d->tasks_n; i++)
        lh_exchange_let_go_handler(d->tasks[i]);
    check(d->ctx.counters.exchanges == 0);
    lh_buf_pools_deinit(&d->ctx.bufs); /* asserts that all came back */
    lh_pool_deinit(&d->ctx.exchanges);
    lh_arena_pools_deinit(&d->ctx.arenas);
}

static void feed_in_steps(struct driver *d, const uint8_t *p, size_t n,
                          size_t step)
{
    uint8_t *waits = malloc(n + 1);
    size_t waits_n = 0;

    for (size_t at = 0; at < n; at += step) {
        size_t k = n - at < step ? n - at : step;
        memcpy(waits + waits_n, p + at, k);
        waits_n += k;
        size_t used = drive(d, waits, waits_n);
        waits_n -= used;
        memmove(waits, waits + used, waits_n);
    }
    free(waits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t whole_out[OUTPUT_MAX], cut_out[OUTPUT_MAX];
    struct lh_peer *peer;
    struct driver whole, cut;

    if (n == 0 || n > 20000)
        return 0;
    peer = lh_peer_new();
    unsigned how = data[0];
    begin(&whole, how, peer, whole_out);
    begin(&cut, how, peer, cut_out);
    feed_in_steps(&whole, data + 1, n - 1, n);
    feed_in_steps(&cut, data + 1, n - 1, 1 + (how >> 4));
    /* A handler that answers early, or in pieces, answers by what has come. */
    if (!(how & 6)) {
        check(whole.out_n == cut.out_n);
        check(memcmp(whole.out, cut.out, cut.out_n) == 0);
        check((lh_h1_protocol.status(whole.c) & LH_PROTO_CLOSE) ==
              (lh_h1_protocol.status(cut.c) & LH_PROTO_CLOSE));
    }
    end(&whole);
    end(&cut);
    lh_peer_let_go(peer);
    return 0;
}
