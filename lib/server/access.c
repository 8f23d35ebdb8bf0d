/*
 * What is told of each request that has ended: see access.h.  An entry is made
 * of the exchange as it is, so nothing is copied but into the line itself.
 */
#include "server/access.h"

#include "http/request_id.h"
#include "os/clock.h"
#include "os/error.h"

/* From one line about lost lines to the next. */
#define TELL_EACH_MS 10000

/* A write wakes a thread of the kernel's, which costs as much as many lines: so
 * some are waited for, for a time that nobody notices who looks at the file,
 * and which is all that a crash can cost. */
#define LEAVE_BYTES (LH_LINES_KEPT_BYTES - ((size_t)16 << 10))
#define LEAVE_MS    10

/* From one try to the next, where lines are not taken. */
#define AGAIN_MS 20

/* --- entries -------------------------------------------------------------- */

static lhttpd_text_t access_text(struct lh_str s)
{
    return (lhttpd_text_t){s.p, s.n};
}

static void add_peer(lhttpd_access_t *e, const struct lh_peer *peer)
{
    e->client = peer->client_addr;
    e->client_port = peer->client_port;
    e->server = peer->server_addr;
    e->server_port = peer->server_port;
    if (!peer->tls_protocol)
        return;
    e->tls_protocol = peer->tls_protocol;
    e->tls_cipher = peer->tls_cipher;
    e->tls_server_name = peer->tls_server_name;
}

static void add_request(lhttpd_access_t *e, const struct lh_request *r)
{
    static const char *const protocols[] = {
        [LH_HTTP_1_0] = "HTTP/1.0",
        [LH_HTTP_1_1] = "HTTP/1.1",
        [LH_HTTP_2] = "HTTP/2.0",
    };

    e->protocol = protocols[r->version];
    e->method = access_text(r->method);
    e->target = access_text(r->target);
    e->authority = access_text(r->authority);
}

/* In one pass; the first of each name counts. */
static void add_known_fields(lhttpd_access_t *e, const struct lh_fields *fields)
{
    for (unsigned i = 0; i < fields->n; i++) {
        const struct lh_field *f = &fields->v[i];
        if (f->name.n == 7 && !e->referrer.p &&
            lh_str_equal(f->name, LH_STR("referer")))
            e->referrer = access_text(f->value);
        else if (f->name.n == 10 && !e->user_agent.p &&
                 lh_str_equal(f->name, LH_STR("user-agent")))
            e->user_agent = access_text(f->value);
        else if (f->name.n == 11 && !e->traceparent.p &&
                 lh_str_equal(f->name, LH_STR("traceparent")))
            e->traceparent = access_text(f->value);
    }
}

static void add_end(lhttpd_access_t *e, const struct lh_exchange *ex,
                    int64_t epoch_us)
{
    static const lhttpd_ending_t endings[] = {
        [LH_ENDED_GONE] = LHTTPD_ENDED_GONE,
        [LH_ENDED_TIMEOUT] = LHTTPD_ENDED_TIMEOUT,
        [LH_ENDED_CUT] = LHTTPD_ENDED_CUT,
        [LH_ENDED_COMPLETE] = LHTTPD_ENDED_COMPLETE,
    };

    e->begun_unix_us = epoch_us + (int64_t)ex->begun_us;
    e->header_us = ex->head_us ? ex->head_us - ex->begun_us : 0;
    e->total_us = ex->ctx->now_us - ex->begun_us;
    e->status = lh_exchange_status(ex);
    e->ending = endings[ex->ending];
    e->sent_bytes = lh_exchange_body_sent(ex);
    e->received_bytes = ex->body_received;
}

/* --- a worker's part ------------------------------------------------------ */

/* The calendar's clock may be set, so the difference is looked at each second.
 */
static int64_t epoch_us(struct lh_access_writer *a)
{
    if (a->unix_s != a->ctx->unix_s) {
        a->unix_s = a->ctx->unix_s;
        a->epoch_us = lh_clock_unix_us() - (int64_t)(lh_clock_ns() / 1000);
    }
    return a->epoch_us;
}

/* Written with the first line of a peer, and kept for the others. */
static struct lh_str ends_of(enum lh_access_format format,
                             const lhttpd_access_t *e, struct lh_peer *peer)
{
    if (!peer->logged && format == LH_ACCESS_JSON)
        peer->logged = lh_access_ends(e, &peer->logged_bytes);
    return (struct lh_str){peer->logged, peer->logged_bytes};
}

static void add_line(struct lh_access_writer *a, const lhttpd_access_t *e,
                     struct lh_peer *peer)
{
    enum lh_access_format format = a->access->format;
    struct lh_str ends = ends_of(format, e, peer);
    char *line = lh_lines_room(&a->lines, lh_access_line_most(format, e, ends));

    if (!lh_lines_waiting(&a->lines))
        a->since_ms = a->ctx->now_ms;
    if (line)
        lh_lines_give(&a->lines,
                      lh_access_line(line, format, e, ends, &a->dates));
}

void lh_access_add(struct lh_access_writer *a, struct lh_exchange *ex,
                   const char *prefix)
{
    const struct lh_access *access = a->access;
    lhttpd_access_t e = {.size = sizeof(e)};

    add_peer(&e, ex->peer);
    add_request(&e, &ex->request);
    add_known_fields(&e, &ex->request.fields);
    add_end(&e, ex, epoch_us(a));
    e.prefix = prefix && !*prefix ? "/" : prefix;
    if (lh_request_has_id(ex))
        e.request_id = access_text(lh_str_of(lh_request_id(ex)));
    if (access->fn)
        access->fn(access->context, &e);
    if (access->file)
        add_line(a, &e, ex->peer);
}

/* --- lines that were lost ------------------------------------------------- */

static void tell_lost_lines(struct lh_access_writer *a)
{
    const struct lh_lines *l = &a->lines;

    lh_log(a->ctx->log, LHTTPD_LOG_ERROR, NULL,
           "access log %s: %llu lines were lost: %s", l->file->where,
           (unsigned long long)a->untold,
           l->why ? lh_sys_text(l->why) : "it does not take them in time");
    a->untold = 0;
    a->told_ms = a->ctx->now_ms;
}

static void on_tell_time(struct lh_timer *timer)
{
    tell_lost_lines(LH_OF(timer, struct lh_access_writer, tells));
}

/* The first is told at once. */
static void count_lost_lines(struct lh_access_writer *a)
{
    uint64_t at = lh_deadline(a->told_ms, TELL_EACH_MS);

    a->untold += a->lines.lost;
    lh_count_add(&a->ctx->counters.access_lost, a->lines.lost);
    a->lines.lost = 0;
    if (a->ctx->now_ms >= at)
        tell_lost_lines(a);
    else if (!lh_timer_armed(&a->tells))
        lh_timer_arm(&a->ctx->timers, &a->tells, at);
}

static uint64_t due_ms(const struct lh_access_writer *a, bool now)
{
    bool many = lh_lines_waiting(&a->lines) >= LEAVE_BYTES;

    return now || many ? 0 : lh_deadline(a->since_ms, LEAVE_MS);
}

void lh_access_leave(struct lh_access_writer *a, bool now)
{
    if (lh_lines_may_leave(&a->lines) && a->ctx->now_ms >= due_ms(a, now))
        lh_lines_leave(&a->lines);
    if (a->lines.lost)
        count_lost_lines(a);
}

int lh_access_wait_ms(const struct lh_access_writer *a, bool now)
{
    if (!lh_lines_may_leave(&a->lines))
        return -1;
    if (a->lines.stalled)
        return AGAIN_MS;
    return lh_wait_ms(a->ctx->now_ms, due_ms(a, now));
}

void lh_access_end(struct lh_access_writer *a)
{
    lh_lines_lose(&a->lines);
    if (a->lines.lost)
        count_lost_lines(a);
    lh_timer_disarm(&a->tells);
    if (a->untold)
        tell_lost_lines(a);
}

/* --- its beginning and end ------------------------------------------------ */

void lh_access_init(struct lh_access_writer *a, const struct lh_access *access,
                    struct lh_context *ctx)
{
    bool wanted = access->fn || access->file;

    *a =
        (struct lh_access_writer){.access = wanted ? access : NULL, .ctx = ctx};
    lh_timer_init(&a->tells, on_tell_time);
    lh_lines_init(&a->lines, access->file, ctx->aio);
}

void lh_access_deinit(struct lh_access_writer *a)
{
    lh_lines_deinit(&a->lines);
}
