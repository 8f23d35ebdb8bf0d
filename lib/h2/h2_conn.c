/*
 * An HTTP/2 connection: its table of functions, and what drives its parts.
 * Each step (feed, pull, expire, sent, eof) begins and ends with settling:
 * what a part has marked as changed is looked at, and everything that follows
 * from a stream's state is brought up to date in one place.  Between two
 * steps no stream is marked.
 */
#include "h2/h2_conn.h"

#include "base/num.h"
#include "h2/h2_answer.h"
#include "h2/h2_check.h"
#include "h2/h2_flow.h"
#include "h2/h2_input.h"
#include "h2/h2_output.h"
#include "h2/h2_settings.h"
#include "h2/h2_time.h"

/* --- news ----------------------------------------------------------------- */

/* Only here is a stream freed, and never while a frame is being handled, so
 * that handlers of frames may hold on to it.  The last stream of a connection
 * that drains ends it. */
static void free_stream(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (lh_list_linked(&s->turn))
        lh_list_remove(&s->turn);
    lh_list_remove(&s->changed);
    lh_list_remove(&s->all);
    lh_h2_flow_release(c, s);
    lh_h2_flow_shrink(c, s);
    lh_h2_handler_ends(c, s);
    c->header_bytes -= s->header_bytes;
    c->queued -= s->header_bytes;
    *(s->pushed ? &c->pushes_now : &c->requests_now) -= 1;
    lh_exchange_let_go_protocol(s->ex);
    lh_pool_give(&c->streams, s);
    if (!lh_list_empty(&c->all))
        return;
    c->idle_due = lh_deadline(c->ctx->now_ms, c->ctx->limits->idle_timeout_ms);
    if (c->life == LH_H2_DRAINED)
        lh_h2_set_life(c, LH_H2_ENDED);
}

static bool handler_has_ended(const struct lh_h2_stream *s)
{
    return s->ex->owners == 1;
}

static bool has_body(const struct lh_exchange *ex)
{
    return ex->body_state == LH_BODY_OPEN || ex->body.n;
}

/* Nobody will read it, however long the response takes to leave. */
static void drop_stream_body(struct lh_h2 *c, struct lh_h2_stream *s)
{
    lh_exchange_body_end(s->ex, LH_BODY_CLOSED);
    lh_h2_flow_release(c, s);
    lh_buf_clear(&s->ex->body);
}

/* The response is whole, and the client still sends. */
static void begin_discarding(struct lh_h2 *c, struct lh_h2_stream *s)
{
    const lhttpd_limits_t *limits = c->ctx->limits;

    s->discards = true;
    s->discard_left = lh_to_size(limits->linger_bytes);
    s->discard_due = lh_deadline(c->ctx->now_ms, limits->linger_timeout_ms);
}

/* What follows from the stream's state and its exchange's.  A closed stream
 * is freed once its handler has ended and has been told that the response has
 * left, where it was whole; until then the handler may read what has come. */
static void settle_stream(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (handler_has_ended(s))
        lh_h2_handler_ends(c, s);
    if (s->state == LH_H2_CLOSED) {
        bool told = !s->whole || !lh_list_linked(&s->turn);
        if (handler_has_ended(s) && (told || c->life == LH_H2_ENDED))
            free_stream(c, s);
        else if (s->held)
            lh_h2_flow_read(c, s);
        return;
    }
    if (handler_has_ended(s) && has_body(s->ex))
        drop_stream_body(c, s);
    if (s->state == LH_H2_HALF_LOCAL && handler_has_ended(s) && !s->discards)
        begin_discarding(c, s);
    if (s->expects_continue && s->ex->body_wanted)
        lh_h2_send_continue(c, s);
    lh_h2_flow_read(c, s);
    lh_h2_schedule(c, s);
    lh_h2_update_times(c, s);
}

/* Looking at one may mark others; the list is empty afterwards. */
static void h2_settle_changed(struct lh_h2 *c)
{
    struct lh_list *link;

    for (;;) {
        while ((link = lh_list_take(&c->changed)) != NULL)
            settle_stream(c, LH_OF(link, struct lh_h2_stream, changed));
        if (!c->waiting || !lh_h2_serve_waiting(c))
            return;
    }
}

/* The connection's own window and clock depend on all of its streams, so they
 * come last. */
static void h2_settle(struct lh_h2 *c)
{
    h2_settle_changed(c);
    lh_h2_flow_connection(c);
    lh_h2_update_connection_times(c);
    lh_h2_check(c);
}

/* --- the steps ------------------------------------------------------------ */

static int h2_feed(void *vc, const uint8_t *p, size_t n, size_t *used)
{
    struct lh_h2 *c = vc;

    h2_settle(c);
    *used = lh_h2_read_frames(c, p, n);
    c->received += *used;
    h2_settle(c);
    return c->life == LH_H2_ENDED ? -1 : 0;
}

/* Frames that need no window come first.  A DATA frame is written only while
 * nothing encoded waits, so that the order of frames is that of their making:
 * HEADERS before their DATA. */
static size_t h2_pull(void *vc, uint8_t *out, size_t room)
{
    struct lh_h2 *c = vc;
    size_t n = 0, k;

    h2_settle(c);
    for (;;) {
        while (!lh_list_empty(&c->heads) && lh_h2_encode_next(c))
            h2_settle_changed(c);
        n += lh_buf_take(&c->control, out + n, room - n);
        if (n == room || c->control.n)
            break;
        k = 0;
        if (c->send_window > 0 && !lh_h2_send_empty(&c->send))
            k = lh_h2_write_data(c, out + n, room - n, n == 0);
        n += k;
        if (k == 0 && c->control.n == 0 && lh_list_empty(&c->changed))
            break;
        h2_settle_changed(c);
    }
    h2_settle(c);
    return n;
}

static void h2_expire(void *vc)
{
    h2_settle(vc);
    lh_h2_end_overdue(vc);
    h2_settle(vc);
}

/* The control buffer may still hold a stream's last frame: then nothing is
 * told yet. */
static void h2_sent(void *vc)
{
    struct lh_h2 *c = vc;
    struct lh_list *link;

    if (c->control.n)
        return; /* a stream's last frame may be there */
    while ((link = lh_list_take(&c->unsent)) != NULL) {
        struct lh_h2_stream *s = LH_OF(link, struct lh_h2_stream, turn);
        lh_exchange_sent(s->ex);
        lh_h2_mark_changed(c, s);
    }
    h2_settle(c);
}

static void h2_eof(void *vc)
{
    struct lh_h2 *c = vc;

    c->ends = LH_ENDED_GONE; /* a client that closes its side has */
    lh_h2_drop(c);
    h2_settle(c);
}

/* The connection is lost: handlers learn it, and whoever still waits for
 * `sent` is told that it will not come. */
static void h2_gone(void *vc)
{
    struct lh_h2 *c = vc;

    c->ends = c->host->ends;
    lh_h2_drop(c);
    while (!lh_list_empty(&c->all)) {
        struct lh_h2_stream *s = LH_OF(c->all.next, struct lh_h2_stream, all);
        if (!s->ex->sent)
            lh_exchange_cancel(s->ex, c->ends); /* its handler may wait */
        free_stream(c, s);
    }
}

/* Asked once a turn: cheap, and true only for what feed and pull would really
 * do. */
static unsigned h2_status(const void *vc)
{
    const struct lh_h2 *c = vc;
    unsigned s = 0;

    if (lh_h2_may_read(c))
        s |= LH_PROTO_WANTS_INPUT;
    if (c->control.n || !lh_list_empty(&c->changed) ||
        !lh_list_empty(&c->heads) ||
        (c->send_window > 0 && !lh_h2_send_empty(&c->send)))
        s |= LH_PROTO_HAS_OUTPUT;
    if (c->life == LH_H2_ENDED)
        s |= LH_PROTO_CLOSE | LH_PROTO_LINGER;
    else if (lh_list_empty(&c->all))
        s |= LH_PROTO_IDLE;
    return s;
}

static void h2_free(void *vc)
{
    lh_h2_core_deinit(vc);
    lh_free(vc);
}

void *lh_h2_new(struct lh_protocol_host *host)
{
    struct lh_h2 *c = lh_calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    lh_h2_core_init(c, host);
    if (lh_h2_send_settings(c))
        return c;
    h2_free(c);
    return NULL;
}

const struct lh_protocol lh_h2_protocol = {
    .name = "h2",
    .feed = h2_feed,
    .pull = h2_pull,
    .sent = h2_sent,
    .eof = h2_eof,
    .gone = h2_gone,
    .status = h2_status,
    .deadline = lh_h2_deadline,
    .expire = h2_expire,
    .drain = lh_h2_drain,
    .free = h2_free,
};
