/*
 * The floor of an HTTP/2 connection: see h2_core.h.  Once `life` is ENDED
 * every stream is closed, and only what is encoded already leaves.  A closed
 * stream stays in `all` until its handler has ended and the roof frees it.
 */
#include "h2/h2_core.h"

#include "base/num.h"
#include "base/trace.h"
#include "http/request_id.h"

#include <assert.h>

/* --- life ----------------------------------------------------------------- */

/* For traces, which a release does not have. */
static const char *const life_names[] = {
    [LH_H2_SERVING] = "SERVING",
    [LH_H2_DRAINING] = "DRAINING",
    [LH_H2_DRAINED] = "DRAINED",
    [LH_H2_ENDED] = "ENDED",
};

/* A connection's life only goes on: nothing revives one that ends. */
void lh_h2_set_life(struct lh_h2 *c, enum lh_h2_life to)
{
    if (to == c->life)
        return;
    assert(to > c->life);
    lh_trace(c->ctx, c->host->peer->number, "h2", 0, life_names[c->life],
             life_names[to]);
    c->life = to;
}

/* --- errors --------------------------------------------------------------- */

/* Without memory for a frame the client would miss it without knowing, so the
 * connection is dropped. */
bool lh_h2_queue_frame(struct lh_h2 *c, const void *p, size_t n)
{
    if (c->life == LH_H2_ENDED)
        return false;
    if (lh_buf_append(&c->control, p, n))
        return true;
    lh_h2_drop(c);
    return false;
}

/* Their handlers learn it by their exchanges. */
static void close_all(struct lh_h2 *c)
{
    struct lh_list *link = c->all.next;

    while (link != &c->all) {
        struct lh_h2_stream *s = LH_OF(link, struct lh_h2_stream, all);
        link = link->next;
        if (s->state != LH_H2_CLOSED)
            lh_h2_close(c, s, LH_H2_PAST_RESET);
    }
}

static void end_connection(struct lh_h2 *c)
{
    lh_h2_set_life(c, LH_H2_ENDED);
    close_all(c);
}

void lh_h2_drop(struct lh_h2 *c)
{
    lh_buf_clear(&c->control);
    end_connection(c);
}

static bool put_goaway(struct lh_h2 *c, uint32_t last, enum lh_h2_error code)
{
    uint8_t frame[LH_H2_GOAWAY_BYTES];

    return lh_h2_queue_frame(c, frame, lh_h2_put_goaway(frame, last, code));
}

/* GOAWAY names the highest stream that may have been acted on (RFC 9113,
 * 6.8), so that a client repeats only what is safe. */
void lh_h2_fail(struct lh_h2 *c, enum lh_h2_error code, const char *why)
{
    if (c->life == LH_H2_ENDED)
        return;
    if (code != LH_H2_NO_ERROR)
        lh_log_client(c->ctx, c->host->peer, LH_LOG_CLIENTS,
                      "HTTP/2: GOAWAY %s, %s", lh_h2_error_name(code), why);
    if (put_goaway(c, c->accepted_id, code))
        end_connection(c);
}

/* Also for streams that were refused before there was a struct for them. */
void lh_h2_reset_id(struct lh_h2 *c, uint32_t id, enum lh_h2_error code)
{
    uint8_t frame[LH_H2_RST_BYTES];

    lh_h2_queue_frame(c, frame, lh_h2_put_rst(frame, id, code));
}

void lh_h2_reset(struct lh_h2 *c, struct lh_h2_stream *s, enum lh_h2_error code)
{
    lh_h2_reset_id(c, s->id, code);
    if (s->state != LH_H2_CLOSED)
        lh_h2_close(c, s, LH_H2_PAST_RESET);
}

#define RESET_LINE "HTTP/2: RST_STREAM %s of stream %u, %s"

/* The line comes first, so that it stands before the one about a connection
 * that this ends. */
void lh_h2_reset_client(struct lh_h2 *c, struct lh_h2_stream *s,
                        enum lh_h2_error code, const char *why)
{
    if (why)
        lh_log_request(s->ex, LH_LOG_CLIENTS, RESET_LINE,
                       lh_h2_error_name(code), s->id, why);
    lh_h2_reset(c, s, code);
    lh_h2_charge(c, "streams that had to be reset");
}

void lh_h2_log_reset(struct lh_h2 *c, uint32_t id, enum lh_h2_error code,
                     const char *why)
{
    if (why)
        lh_log_client(c->ctx, c->host->peer, LH_LOG_CLIENTS, RESET_LINE,
                      lh_h2_error_name(code), id, why);
}

/* --- the budget of useless work ------------------------------------------- */

#define BUDGET_MAX ((uint64_t)1 << 40)

/* In thousandths, so that what comes back in a millisecond can be counted. */
static uint64_t budget_full(const struct lh_h2 *c)
{
    uint64_t most = c->ctx->limits->h2_useless;

    return lh_min64(most, BUDGET_MAX) * 1000;
}

static void earn(struct lh_h2 *c, uint64_t thousandths)
{
    uint64_t full = budget_full(c);

    c->budget = thousandths < lh_limit_left(full, c->budget)
                    ? c->budget + thousandths
                    : full;
}

/* Refills by the time that has passed, then takes one.  A client that does
 * what is useless faster than it refills, and longer than the whole lasts, is
 * cut. */
bool lh_h2_charge(struct lh_h2 *c, const char *what)
{
    uint64_t passed = c->ctx->now_ms - c->budget_ms;
    uint64_t rate = lh_min64(c->ctx->limits->h2_useless_refill, BUDGET_MAX);

    if (c->life == LH_H2_ENDED)
        return false;
    c->budget_ms = c->ctx->now_ms;
    earn(c, lh_min64(passed, 100000) * rate);
    if (c->budget < 1000) {
        lh_h2_fail(c, LH_H2_ENHANCE_YOUR_CALM, what);
        return false;
    }
    c->budget -= 1000;
    return true;
}

/* A client gives both windows back for each piece that it reads, measures the
 * link by a PING for each frame that it gets, or moves priorities and settings
 * as it goes: two frames for each kilobyte are usual, and some for each of our
 * frames, however short. */
#define CREDIT_OF_FRAME ((uint64_t)128)
#define FRAMES_OF_DATA  3

void lh_h2_credit(struct lh_h2 *c, size_t n)
{
    c->credit += n + FRAMES_OF_DATA * CREDIT_OF_FRAME;
}

bool lh_h2_spend(struct lh_h2 *c, const char *what)
{
    if (c->credit < CREDIT_OF_FRAME)
        return lh_h2_charge(c, what);
    c->credit -= CREDIT_OF_FRAME;
    return true;
}

/* Also one without a body, for which there was no DATA frame. */
void lh_h2_refund(struct lh_h2 *c)
{
    earn(c, 1000);
    lh_h2_credit(c, 0);
}

/* --- the beginning -------------------------------------------------------- */

void lh_h2_core_init(struct lh_h2 *c, struct lh_protocol_host *host)
{
    const lhttpd_limits_t *limits = host->ctx->limits;

    c->host = host;
    c->ctx = host->ctx;
    c->ends = LH_ENDED_CUT;
    lh_list_init(&c->all);
    lh_list_init(&c->changed);
    lh_list_init(&c->heads);
    lh_list_init(&c->unsent);
    lh_h2_send_init(&c->send);
    lh_pool_init(&c->streams, sizeof(struct lh_h2_stream), 2);
    lh_buf_init(&c->control, &c->ctx->bufs);
    lh_h2_hpack_init(&c->hpack, lh_to_u32(limits->hpack_table_bytes));
    c->told_streams = lh_to_u32(limits->h2_streams);
    c->gap_id = 1;
    c->peer_window = LH_H2_WINDOW_BYTES;
    c->peer_frame = LH_H2_FRAME_BYTES;
    c->peer_streams = UINT32_MAX;
    c->peer_list_bytes = UINT64_MAX;
    c->peer_push = true;
    c->send_window = c->recv_window = LH_H2_WINDOW_BYTES;
    c->recv_size = LH_H2_RECV_CONNECTION_BYTES;
    c->budget = budget_full(c);
    c->budget_ms = c->ctx->now_ms;
    c->preface_due = lh_deadline(c->ctx->now_ms, limits->header_timeout_ms);
    c->idle_due = lh_deadline(c->ctx->now_ms, limits->idle_timeout_ms);
    c->block_due = c->drain_due = c->shut_due = c->streams_due = LH_NEVER;
}

void lh_h2_core_deinit(struct lh_h2 *c)
{
    assert(lh_list_empty(&c->all));
    lh_buf_clear(&c->control);
    lh_h2_hpack_deinit(&c->hpack);
    lh_pool_deinit(&c->streams);
    lh_free(c->early);
}

/* --- streams -------------------------------------------------------------- */

/* `turn` has another meaning once the response is whole: then the stream
 * waits to be told that it has left. */
void lh_h2_unschedule(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (!s->whole && lh_list_linked(&s->turn))
        lh_h2_send_leave(&c->send, s);
}

/* Opening a stream closes all idle ones below it (RFC 9113, 5.1.1), so that
 * one number for each side tells. */
bool lh_h2_is_idle(const struct lh_h2 *c, uint32_t id)
{
    return id > (id & 1 ? c->last_id : c->last_push);
}

/* The stream counts from here on, until its handler has ended too: a client
 * that resets its streams at once does not get more handlers by that. */
struct lh_h2_stream *lh_h2_open(struct lh_h2 *c, uint32_t id)
{
    struct lh_h2_stream *s = lh_pool_take(&c->streams);

    if (!s)
        return NULL;
    lh_h2_stream_init(s, id);
    s->ex = lh_exchange_new(c->ctx, c->host->peer);
    if (!s->ex) {
        lh_pool_give(&c->streams, s);
        return NULL;
    }
    s->conn = c;
    s->ex->protocol = s;
    s->ex->on_output = lh_h2_on_output;
    s->ex->connection_queued = &c->queued;
    s->send_window = c->peer_window;
    s->recv_window = s->recv_size = LH_H2_RECV_BYTES;
    s->pushed = !(id & 1);
    *(s->pushed ? &c->pushes_now : &c->requests_now) += 1;
    lh_h2_streams_add(&c->table, s);
    lh_list_append(&c->all, &s->all);
    c->idle_due = LH_NEVER;
    return s;
}

/* How the request of a stream ends that is closed before its response is whole.
 */
static enum lh_ending ending_of(const struct lh_h2 *c,
                                const struct lh_h2_stream *s,
                                enum lh_h2_past past)
{
    if (past == LH_H2_PAST_CANCELLED)
        return LH_ENDED_GONE;
    if (c->life == LH_H2_ENDED)
        return c->ends;
    return s->slow ? LH_ENDED_TIMEOUT : LH_ENDED_CUT;
}

/* Leaves every place where it could be found by a frame, and lets its handler
 * know.  It is remembered for some time what late frames of it are worth. */
void lh_h2_close(struct lh_h2 *c, struct lh_h2_stream *s, enum lh_h2_past past)
{
    lh_h2_stream_set(s, LH_H2_CLOSED);
    lh_h2_streams_remove(&c->table, s);
    lh_h2_streams_remember(&c->table, s->id, past);
    lh_h2_unschedule(c, s);
    if (c->data == s)
        c->data = NULL;
    if (c->block.s == s) {
        c->block.s = NULL;
        c->block.reader.request = NULL;
    }
    if (!s->whole)
        lh_exchange_cancel(s->ex, ending_of(c, s, past));
    lh_exchange_body_end(s->ex, LH_BODY_CLOSED);
    if (!s->served)
        lh_exchange_let_go_handler(s->ex);
    s->served = true;
    c->waiting -= s->waits;
    s->waits = false;
    lh_h2_mark_changed(c, s);
}

/* The last frame of the response is encoded or written.  It waits in `unsent`
 * until the kernel has it. */
void lh_h2_local_ends(struct lh_h2 *c, struct lh_h2_stream *s)
{
    lh_h2_unschedule(c, s);
    s->whole = true;
    s->shut_due = LH_NEVER;
    lh_list_append(&c->unsent, &s->turn);
    if (!s->refused)
        lh_h2_refund(c);
    if (s->state == LH_H2_OPEN)
        lh_h2_stream_set(s, LH_H2_HALF_LOCAL);
    else
        lh_h2_close(c, s, LH_H2_PAST_ENDED);
    lh_h2_mark_changed(c, s);
}

/* END_STREAM of the client.  Where we have ended before, the stream is over.
 */
void lh_h2_remote_ends(struct lh_h2 *c, struct lh_h2_stream *s)
{
    lh_exchange_body_end(s->ex, LH_BODY_ENDED);
    if (s->state == LH_H2_OPEN)
        lh_h2_stream_set(s, LH_H2_HALF_REMOTE);
    else
        lh_h2_close(c, s, LH_H2_PAST_ENDED);
    lh_h2_mark_changed(c, s);
}

/* --- handlers ------------------------------------------------------------- */

/* The shortest requests have 13 octets, and hold less than a hundred for each:
 * but with the handlers of all of them it would be twice as much. */
static bool may_run_another(const struct lh_h2 *c)
{
    uint64_t requests = (uint64_t)c->requests_now + c->pushes_now;
    uint64_t handlers = (uint64_t)c->handlers + 1;
    uint64_t held =
        requests * LH_H2_REQUEST_BYTES + handlers * LH_H2_HANDLER_BYTES;

    return handlers <= LH_H2_HANDLERS_LEAST ||
           held <= c->received * LH_H2_HELD_FOR_OCTET;
}

/* From here on the handler's side of the exchange has an owner, who lets go
 * by itself. */
static void hand_over(struct lh_h2 *c, struct lh_h2_stream *s)
{
    s->served = s->runs = true;
    c->handlers++;
    c->host->request(c->host, s->ex);
    lh_h2_mark_changed(c, s);
}

void lh_h2_serve(struct lh_h2 *c, struct lh_h2_stream *s, unsigned status)
{
    struct lh_exchange *ex = s->ex;

    s->refused = status != 0;
    s->expects_continue = c->block.reader.expects_continue && !s->pushed;
    lh_exchange_accept(ex);
    if (status) {
        s->served = true;
        lh_exchange_fail(ex, status);
        lh_exchange_let_go_handler(ex);
        lh_h2_mark_changed(c, s);
    } else if (!c->waiting && may_run_another(c)) {
        hand_over(c, s);
    } else {
        s->waits = true;
        c->waiting++;
    }
}

/* In the order in which they came. */
bool lh_h2_serve_waiting(struct lh_h2 *c)
{
    unsigned before = c->waiting;
    struct lh_list *link = c->all.next;

    while (c->waiting && may_run_another(c)) {
        struct lh_h2_stream *s = LH_OF(link, struct lh_h2_stream, all);
        link = link->next;
        if (!s->waits)
            continue;
        s->waits = false;
        c->waiting--;
        hand_over(c, s);
    }
    return c->waiting < before;
}

/* --- news ----------------------------------------------------------------- */

void lh_h2_on_output(struct lh_exchange *ex)
{
    struct lh_h2_stream *s = ex->protocol;

    lh_h2_mark_changed(s->conn, s);
    s->conn->host->wake(s->conn->host);
}

/* --- the end -------------------------------------------------------------- */

/* In two steps (RFC 9113, 6.8): requests that are on their way when the first
 * GOAWAY leaves are still served.  The answer to a PING tells that the client
 * has seen it.  A client that has asked for nothing yet would have connected in
 * vain: its first request is waited for, and calls this again. */
void lh_h2_drain(void *vc)
{
    static const uint8_t opaque[8] = "goaway.";
    struct lh_h2 *c = vc;
    uint8_t ping[LH_H2_PING_BYTES];

    if (c->life != LH_H2_SERVING ||
        (c->requests == 0 && c->drain_due != LH_NEVER))
        return;
    c->drain_due = lh_deadline(c->ctx->now_ms, LH_PROTO_DRAIN_MS);
    if (c->requests == 0)
        return;
    lh_h2_set_life(c, LH_H2_DRAINING);
    if (put_goaway(c, LH_H2_STREAM_MAX, LH_H2_NO_ERROR))
        lh_h2_queue_frame(c, ping, lh_h2_put_ping(ping, 0, opaque));
}

/* The second GOAWAY names the last stream that is served; later ones are
 * refused, and their clients may repeat them elsewhere. */
void lh_h2_drain_ends(struct lh_h2 *c)
{
    if (c->life > LH_H2_DRAINING)
        return;
    c->drain_due = LH_NEVER;
    if (!put_goaway(c, c->accepted_id, LH_H2_NO_ERROR))
        return;
    lh_h2_set_life(c, lh_list_empty(&c->all) ? LH_H2_ENDED : LH_H2_DRAINED);
}
