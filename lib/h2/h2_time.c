/*
 * What may last how long on an HTTP/2 connection.  A stream keeps its own
 * times; the connection knows only the earliest of them, and looks at all when
 * it has come.
 */
#include "h2/h2_time.h"

#include "base/num.h"
#include "http/request_id.h"

/* --- a stream's ----------------------------------------------------------- */

/* Only time in which the handler waits counts: one that is slow itself holds
 * its client back. */
static void update_body_time(struct lh_h2 *c, struct lh_h2_stream *s)
{
    const struct lh_exchange *ex = s->ex;
    uint64_t now = c->ctx->now_ms, most = c->ctx->limits->body_timeout_ms;
    bool waits = ex->body_wanted && ex->body_state == LH_BODY_OPEN &&
                 ex->body.n == 0 && lh_h2_stream_receives(s);

    if (waits && s->waits_since == LH_NEVER) {
        s->waits_since = now;
        s->body_due =
            lh_deadline(now, most > s->waited_ms ? most - s->waited_ms : 0);
    } else if (!waits && s->waits_since != LH_NEVER) {
        s->waited_ms += now - s->waits_since;
        s->waits_since = LH_NEVER;
        s->body_due = LH_NEVER;
    }
}

static bool has_output(const struct lh_h2_stream *s)
{
    return lh_h2_stream_sends(s) && s->ex->response.head_left &&
           lh_exchange_out_bytes(s->ex) > 0;
}

/* Does the client keep it from sending what it has?  The clock goes on until
 * the client has made progress, for it may open the window by an octet at a
 * time. */
static void update_window_time(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (!has_output(s)) {
        s->shut_due = LH_NEVER;
    } else if (s->send_window <= 0 && s->shut_due == LH_NEVER) {
        s->shut_due =
            lh_deadline(c->ctx->now_ms, c->ctx->limits->send_timeout_ms);
        s->shut_from = s->served_bytes;
        s->shut_at = c->served_bytes;
    }
}

/* As for a stream, of the window that all streams share. */
void lh_h2_update_connection_times(struct lh_h2 *c)
{
    if (lh_h2_send_empty(&c->send)) {
        c->shut_due = LH_NEVER;
    } else if (c->send_window <= 0 && c->shut_due == LH_NEVER) {
        c->shut_due =
            lh_deadline(c->ctx->now_ms, c->ctx->limits->send_timeout_ms);
        c->shut_from = c->served_bytes;
    }
}

/* Makes the connection's deadline earlier only; a stream whose time has
 * become later is found too early, and looked at again. */
void lh_h2_update_times(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (s->state == LH_H2_CLOSED)
        return;
    update_body_time(c, s);
    update_window_time(c, s);
    c->streams_due = lh_min64(c->streams_due, lh_h2_stream_due(s));
}

/* --- too late ------------------------------------------------------------- */

static void reset_slow(struct lh_h2 *c, struct lh_h2_stream *s)
{
    lh_log_request(s->ex, LH_LOG_SLOW,
                   "HTTP/2: RST_STREAM CANCEL of stream %u, its window or the "
                   "connection's stayed shut",
                   s->id);
    s->slow = true;
    lh_h2_reset(c, s, LH_H2_CANCEL);
    lh_h2_charge(c, "streams that had to be reset");
}

/* What left before a window was shut, when the connection had served `at`
 * octets, may be on its way to a client that takes it, and knows of nothing to
 * open that window for. */
static bool is_on_its_way(struct lh_h2 *c, uint64_t at)
{
    uint64_t untaken = c->host->untaken ? c->host->untaken(c->host) : 0;
    uint64_t taken = lh_limit_left(c->served_bytes, untaken);
    uint64_t now = c->ctx->now_ms;

    if (taken >= c->taken_bytes + LH_H2_PROGRESS_BYTES) {
        c->taken_bytes = taken;
        c->taken_ms = now;
    }
    return untaken && taken < at + LH_H2_TRANSPORT_BYTES &&
           now < lh_deadline(c->taken_ms, c->ctx->limits->send_timeout_ms);
}

static void time_out_body(struct lh_h2_stream *s)
{
    lh_log_request(s->ex, LH_LOG_SLOW,
                   "HTTP/2: the body of stream %u came too slowly", s->id);
    lh_exchange_body_end(s->ex, LH_BODY_TIMEOUT);
}

/* A whole period of waiting is over: was it enough? */
static void body_is_due(struct lh_h2 *c, struct lh_h2_stream *s)
{
    const lhttpd_limits_t *limits = c->ctx->limits;
    uint64_t rate = limits->body_rate,
             s_waited = limits->body_timeout_ms / 1000;

    s->body_due = s->waits_since = LH_NEVER;
    s->waited_ms = 0;
    if (s->period_bytes == 0 || (rate != LHTTPD_UNLIMITED && s_waited &&
                                 s->period_bytes / s_waited < rate))
        time_out_body(s);
    s->period_bytes = 0;
}

/* Each of its times that has come; one that does not hold any more is taken
 * back. */
static void stream_is_due(struct lh_h2 *c, struct lh_h2_stream *s)
{
    uint64_t now = c->ctx->now_ms;

    if (s->body_due <= now)
        body_is_due(c, s);
    if (s->shut_due <= now && s->send_window > 0)
        s->shut_due = LH_NEVER; /* not the window holds it back now */
    if (s->shut_due <= now && is_on_its_way(c, s->shut_at))
        s->shut_due = lh_deadline(now, c->ctx->limits->send_timeout_ms);
    if (s->shut_due <= now)
        reset_slow(c, s);
    else if (s->discard_due <= now)
        lh_h2_reset(c, s, LH_H2_NO_ERROR);
    else
        lh_h2_update_times(c, s);
}

static void streams_are_due(struct lh_h2 *c)
{
    struct lh_list *link = c->all.next;

    c->streams_due = LH_NEVER;
    while (link != &c->all) {
        struct lh_h2_stream *s = LH_OF(link, struct lh_h2_stream, all);
        link = link->next;
        if (s->state != LH_H2_CLOSED)
            stream_is_due(c, s);
    }
}

static void reset_waiting(struct lh_h2 *c)
{
    struct lh_list *link = c->all.next;

    while (link != &c->all) {
        struct lh_h2_stream *s = LH_OF(link, struct lh_h2_stream, all);
        link = link->next;
        if (has_output(s))
            reset_slow(c, s);
    }
}

/* The connection's window was shut: has what it let through been progress for
 * those that wait?  More than a slow link carries is not asked for. */
static void window_is_due(struct lh_h2 *c)
{
    uint64_t waiting = 0;

    c->shut_due = LH_NEVER;
    for (struct lh_list *l = c->all.next; l != &c->all; l = l->next)
        waiting += has_output(LH_OF(l, struct lh_h2_stream, all));
    if (c->send_window > 0 || c->served_bytes - c->shut_from >=
                                  lh_min64(waiting, 16) * LH_H2_PROGRESS_BYTES)
        return;
    if (is_on_its_way(c, c->shut_from))
        c->shut_due =
            lh_deadline(c->ctx->now_ms, c->ctx->limits->send_timeout_ms);
    else
        reset_waiting(c);
}

uint64_t lh_h2_deadline(const void *vc)
{
    const struct lh_h2 *c = vc;
    uint64_t due = lh_min64(c->preface_due, c->block_due);

    if (c->life == LH_H2_ENDED)
        return LH_NEVER;
    due = lh_min64(due, lh_min64(c->idle_due, c->drain_due));
    return lh_min64(due, lh_min64(c->shut_due, c->streams_due));
}

void lh_h2_end_overdue(struct lh_h2 *c)
{
    uint64_t now = c->ctx->now_ms;

    if (c->preface_due <= now || c->block_due <= now)
        lh_h2_fail(c, LH_H2_ENHANCE_YOUR_CALM, "a header section took long");
    if (c->idle_due <= now)
        lh_h2_fail(c, LH_H2_NO_ERROR, "idle");
    if (c->drain_due <= now)
        lh_h2_drain_ends(c);
    if (c->shut_due <= now)
        window_is_due(c);
    if (c->streams_due <= now)
        streams_are_due(c);
}
