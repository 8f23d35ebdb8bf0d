/*
 * libFuzzer: whole HTTP/2 connections.  The first octet chooses how the rest is
 * cut, how much room each pull has and what the handler does; the second one
 * whether a preface and SETTINGS are put in front and time passes; the rest is
 * what the client sends.  Checked: no crash, no spin, the contract of
 * protocol.h, and that what comes out is sound: whole frames, blocks that can
 * be decoded, nothing after a stream's end.
 */
#include "h2/h2_conn.h"
#include "h2/h2_frame.h"
#include "h2/h2_hpack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define TASKS      64
#define STEPS_MAX  1000000
#define OUTPUT_MAX (4 << 20)
#define STREAMS    512

/* What was heard of a stream. */
enum { HEARD_HEADERS = 1, HEARD_END = 2, HEARD_PROMISE = 4 };

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
    struct lh_h2_hpack hpack;
    uint32_t block; /* the stream whose block is not over */
    size_t block_skip;
    uint8_t heard[STREAMS];
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

/* --- the handler ---------------------------------------------------------- */

static void start(struct driver *d, struct lh_exchange *ex)
{
    struct lh_fields fields = {.n = 0}, promise = {.n = 0};

    if (d->how & 1) {
        (void)lh_exchange_informational(ex, 103, &fields);
        if (lh_fields_add(&promise, &ex->arena, LH_STR(":path"),
                          LH_STR("/pushed")))
            (void)lh_exchange_promise(ex, &promise);
    }
    (void)lh_fields_add(&fields, &ex->arena, LH_STR("X-Name"), LH_STR("y"));
    (void)lh_exchange_start(ex, 200, &fields);
    (void)lh_exchange_trailers(ex, &ex->request.trailers);
}

/* Sends the body back as it comes, then the path; returns whether it did
 * something. */
static bool run_handler(struct driver *d, struct lh_exchange *ex)
{
    uint8_t piece[512];
    bool any = false;
    size_t n;

    if (ex->response.state == LH_RESPONSE_NONE) {
        start(d, ex);
        any = true;
    }
    while (lh_exchange_room(ex) >= sizeof(piece) &&
           (n = lh_exchange_read(ex, piece, sizeof(piece)))) {
        (void)lh_exchange_write(ex, piece, n);
        any = true;
    }
    if (d->how & 2)
        lh_exchange_release(ex);
    lh_exchange_want_body(ex, ex->body_state == LH_BODY_OPEN);
    return any;
}

static bool has_ended(const struct driver *d, const struct lh_exchange *ex)
{
    return ex->gone || d->how & 4 ||
           (ex->body_state != LH_BODY_OPEN && ex->body.n == 0);
}

static bool run_tasks(struct driver *d)
{
    bool any = false;
    int left = 0;

    for (int i = 0; i < d->tasks_n; i++) {
        struct lh_exchange *ex = d->tasks[i];
        any |= run_handler(d, ex);
        if (!has_ended(d, ex)) {
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

/* --- what comes out ------------------------------------------------------- */

static void forget_field(void *to, struct lh_str name, struct lh_str value)
{
    (void)to;
    (void)name;
    (void)value;
}

static uint8_t *heard(struct driver *d, uint32_t id)
{
    static uint8_t others;

    return id < STREAMS ? &d->heard[id] : &others;
}

static void hear_block(struct driver *d, const struct lh_h2_head *h,
                       const uint8_t *p)
{
    static const struct lh_h2_hpack_limits limits = {UINT64_MAX, UINT64_MAX};
    size_t skip = h->type == LH_H2_PUSH_PROMISE ? 4 : 0;
    bool last = h->flags & LH_H2_FLAG_END_HEADERS;

    check(h->length >= skip);
    check(lh_h2_hpack_decode(&d->hpack, p + skip, h->length - skip, last,
                             &limits, forget_field, NULL) == LH_H2_HPACK_OK);
    d->block = last ? 0 : h->stream;
}

static void hear(struct driver *d, const struct lh_h2_head *h, const uint8_t *p)
{
    uint8_t *was = heard(d, h->stream);
    bool counted = h->stream < STREAMS;

    check(!d->block ||
          (h->type == LH_H2_CONTINUATION && h->stream == d->block));
    switch (h->type) {
    case LH_H2_DATA:
        check(!counted ||
              (*was & (HEARD_HEADERS | HEARD_END)) == HEARD_HEADERS);
        break;
    case LH_H2_HEADERS:
        check(!counted || !(*was & HEARD_END));
        check(!counted || h->stream & 1 || *was & HEARD_PROMISE);
        *was |= HEARD_HEADERS;
        hear_block(d, h, p);
        break;
    case LH_H2_PUSH_PROMISE:
        check(!counted || !(*was & HEARD_END));
        hear_block(d, h, p);
        *heard(d, lh_h2_u32(p)) |= HEARD_PROMISE;
        break;
    case LH_H2_CONTINUATION:
        check(d->block != 0);
        hear_block(d, h, p);
        break;
    default:
        break;
    }
    if (h->type == LH_H2_RST_STREAM ||
        (h->type <= LH_H2_HEADERS && h->flags & LH_H2_FLAG_END_STREAM))
        *was |= HEARD_END;
}

static void hear_all(struct driver *d)
{
    struct lh_h2_head h;
    size_t at = 0;
    bool stream_only;

    while (d->out_n - at >= LH_H2_HEAD_BYTES) {
        lh_h2_head_get(&h, d->out + at);
        check(lh_h2_head_check(&h, 16384, &stream_only) == LH_H2_NO_ERROR);
        if (d->out_n - at < LH_H2_HEAD_BYTES + h.length)
            break;
        hear(d, &h, d->out + at + LH_H2_HEAD_BYTES);
        at += LH_H2_HEAD_BYTES + h.length;
    }
    d->out_n -= at;
    memmove(d->out, d->out + at, d->out_n);
}

/* --- driving -------------------------------------------------------------- */

static bool pull(struct driver *d)
{
    size_t room = d->how & 8 ? 7 : 4096;
    bool any = false;

    for (int i = 0; lh_h2_protocol.status(d->c) & LH_PROTO_HAS_OUTPUT; i++) {
        uint8_t *lent = malloc(room);
        size_t n = lh_h2_protocol.pull(d->c, lent, room);
        check(n <= room && d->out_n + n <= OUTPUT_MAX && i < STEPS_MAX);
        memcpy(d->out + d->out_n, lent, n);
        d->out_n += n;
        free(lent);
        any = true;
    }
    if (any)
        lh_h2_protocol.sent(d->c);
    hear_all(d);
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
        if (at < n && lh_h2_protocol.status(d->c) & LH_PROTO_WANTS_INPUT) {
            uint8_t *copy = malloc(n - at);
            memcpy(copy, p + at, n - at);
            int error = lh_h2_protocol.feed(d->c, copy, n - at, &used);
            free(copy);
            check(used <= n - at);
            at += used;
            any = used > 0;
            if (error || (!used && at < n))
                check(!(lh_h2_protocol.status(d->c) & LH_PROTO_WANTS_INPUT));
        }
        any |= run_tasks(d);
        any |= pull(d);
    }
    return at;
}

static void begin(struct driver *d, unsigned how, struct lh_peer *peer)
{
    static uint8_t out[OUTPUT_MAX];

    memset(d, 0, sizeof(*d));
    d->how = how;
    d->limits = lh_limits_resolve(NULL);
    d->limits.request_line_bytes = 200;
    d->limits.header_bytes = 1000;
    d->limits.header_fields = 20;
    d->limits.trailer_bytes = 100;
    d->limits.body_bytes = 100000;
    d->limits.h2_streams = 8;
    d->limits.h2_useless = 100;
    d->limits.h2_queued_reply_bytes = 200;
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
    lh_h2_hpack_init(&d->hpack, 4096);
    d->host = (struct lh_protocol_host){
        .ctx = &d->ctx, .peer = peer, .request = on_request, .wake = on_wake};
    d->out = out;
    d->c = lh_h2_new(&d->host);
}

static void end(struct driver *d)
{
    lh_h2_protocol.gone(d->c);
    lh_h2_protocol.free(d->c);
    for (int i = 0; i < d->tasks_n; i++)
        lh_exchange_let_go_handler(d->tasks[i]);
    check(d->ctx.counters.exchanges == 0);
    lh_buf_pools_deinit(&d->ctx.bufs); /* asserts that all came back */
    lh_pool_deinit(&d->ctx.exchanges);
    lh_arena_pools_deinit(&d->ctx.arenas);
    lh_h2_hpack_deinit(&d->hpack);
}

static void pass_time(struct driver *d)
{
    d->ctx.now_ms += 1500;
    if (lh_h2_protocol.deadline(d->c) <= d->ctx.now_ms)
        lh_h2_protocol.expire(d->c);
    check(lh_h2_protocol.deadline(d->c) > d->ctx.now_ms);
}

static void feed_in_steps(struct driver *d, const uint8_t *p, size_t n,
                          size_t step, bool time)
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
        if (time)
            pass_time(d);
    }
    free(waits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    /* The preface and empty SETTINGS, whose last octet is the terminator. */
    static const uint8_t hello[] = LH_H2_PREFACE "\0\0\0\4\0\0\0\0";
    struct lh_peer *peer;
    struct driver d;

    if (n < 2 || n > 20000)
        return 0;
    peer = lh_peer_new();
    begin(&d, data[0], peer);
    if (data[1] & 1)
        feed_in_steps(&d, hello, sizeof(hello), sizeof(hello), false);
    feed_in_steps(&d, data + 2, n - 2,
                  data[0] >> 4 ? (size_t)(data[0] >> 4) * 13 : n, data[1] & 2);
    if (data[1] & 4) {
        lh_h2_protocol.drain(d.c);
        drive(&d, NULL, 0);
    }
    for (int i = 0; data[1] & 8 && i < 100; i++) {
        pass_time(&d);
        drive(&d, NULL, 0);
    }
    end(&d);
    lh_peer_let_go(peer);
    return 0;
}
