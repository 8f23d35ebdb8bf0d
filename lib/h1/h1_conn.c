/*
 * An HTTP/1 connection's input, and its table of functions (RFC 9112): see
 * h1_conn.h.  Octets are used in the order of their coming, each by the step
 * of the state that the connection is in.  Between two steps there is an
 * exchange exactly in the states HEAD, BODY, ANSWER and TUNNEL; a pipelined
 * request is not begun before the response before it has been pulled.
 */
#include "h1/h1_conn.h"

#include "base/num.h"
#include "h1/h1_check.h"
#include "h1/h1_send.h"
#include "h1/h1_time.h"
#include "http/request_id.h"

#include <assert.h>

/* --- input: one step for each state --------------------------------------- */

/* Each uses up to n octets; false: nothing can be done with them now. */
typedef bool step_fn(struct lh_h1 *c, const uint8_t *p, size_t n, size_t *used);

static void h1_on_output(struct lh_exchange *ex)
{
    struct lh_h1 *c = ex->protocol;

    if (c->state == LH_H1_BODY && c->ex == ex)
        lh_h1_keep_pace(c);
    c->host->wake(c->host);
}

/* The first octet of a request has come: from now on header_timeout_ms
 * counts, for the connection's first request since the client's first octet,
 * which the driver may have seen earlier. */
static bool h1_begin_request(struct lh_h1 *c)
{
    c->ex = lh_exchange_new(c->ctx, c->host->peer);
    if (!c->ex) {
        lh_h1_close(c, true);
        return false;
    }
    c->ex->moves = c->host->moves;
    lh_h1_head_init(&c->head, c->requests == 0);
    lh_h1_set_state(c, LH_H1_HEAD);
    if (c->requests == 0 && c->host->first_ms)
        c->since_ms = c->host->first_ms;
    return true;
}

/* Skips what may stand before a request, and begins it.  An octet that begins
 * a request is not used here but by the step of the head. */
static bool step_idle(struct lh_h1 *c, const uint8_t *p, size_t n, size_t *used)
{
    (void)n;
    *used = 1;
    if (c->refuse) {
        lh_log_client(c->ctx, c->host->peer, LH_LOG_REFUSED,
                      "HTTP/1: 400, plain HTTP on a port that speaks TLS");
        lh_h1_refuse(c, 400,
                     "<!DOCTYPE html>\n<title>400 Bad Request</title>\n"
                     "<h1>400 Bad Request</h1>\n"
                     "<p>This port speaks TLS: use https.</p>\n",
                     false);
        return false;
    }
    /* One empty line before a request is forgiven (RFC 9112, 2.2). */
    if (c->blank_cr) {
        if (*p != '\n')
            lh_h1_refuse_client(c, 400, "a bare CR before a request", false);
        c->blank_cr = false;
        c->blank_line = true;
        return true;
    }
    if (*p == '\r' && !c->blank_line) {
        c->blank_cr = true;
        return true;
    }
    *used = 0;
    return !c->unsent && h1_begin_request(c);
}

/* A client that has shut its sending side has gone, for a handler, unless it
 * asked for a close: then a half-close is what a simple client does (RFC
 * 9112, 9.6). */
static void fin_exchange(struct lh_h1 *c)
{
    c->fin_ms = c->ctx->now_ms;
    if (!c->ex->request.half_close_allowed)
        lh_exchange_fin(c->ex);
}

/* The head is whole: what it says of the body decides the next state before
 * the handler hears of the request, for a handler may answer at once. */
static void begin_answer(struct lh_h1 *c)
{
    struct lh_exchange *ex = c->ex;
    uint64_t length = ex->request.content_length;

    if (c->head.codings == 0 && length == LH_LENGTH_UNKNOWN)
        length = 0;
    c->requests++;
    c->last |=
        c->head.close || c->requests >= c->ctx->limits->connection_requests;
    c->expects_continue = c->head.expects_continue && length != 0;
    c->body_bytes = 0;
    c->pace = (struct lh_h1_pace){.waiting = false};
    ex->protocol = c;
    ex->on_output = h1_on_output;
    lh_exchange_accept(ex);
    if (length == 0) {
        lh_exchange_body_end(ex, LH_BODY_ENDED);
        lh_h1_set_state(c, LH_H1_ANSWER);
    } else {
        lh_h1_body_init(&c->body, length, c->head.fields);
        lh_h1_set_state(c, LH_H1_BODY);
    }
    c->host->request(c->host, ex);
    if (c->fin)
        fin_exchange(c);
}

/* A request that is refused never had a handler, so its exchange is cancelled
 * and the answer is written without one. */
static bool step_head(struct lh_h1 *c, const uint8_t *p, size_t n, size_t *used)
{
    unsigned result = lh_h1_head_feed(&c->head, c->ex, p, n, used);
    bool head = c->ex->request.head;

    switch (result) {
    case LH_H1_HEAD_MORE:
        return true;
    case LH_H1_HEAD_WHOLE:
        begin_answer(c);
        return true;
    case LH_H1_HEAD_SILENT:
        lh_log_client(c->ctx, c->host->peer, LH_LOG_REFUSED,
                      "HTTP/1: closed without an answer, %s",
                      c->head.why ? c->head.why : "out of memory");
        lh_h1_cancel(c, LH_ENDED_CUT);
        lh_h1_close(c, false);
        return false;
    default:
        lh_h1_refuse_client(c, result, c->head.why, head);
        return false;
    }
}

/* The client's fault, whose answer is on its way or the handler's. */
static void log_body(struct lh_h1 *c, const char *why)
{
    lh_log_request(c->ex, LH_LOG_REFUSED, "HTTP/1: the connection ends, %s",
                   why);
}

/* Bad framing ends the connection: with a 400 where nothing was answered. */
static void malformed_body(struct lh_h1 *c)
{
    bool head = c->ex->request.head, left = c->ex->response.head_left;

    if (lh_exchange_complete(c->ex)) {
        log_body(c, "the body's chunks are malformed");
        lh_h1_give_up_body(c, LH_BODY_MALFORMED);
        return;
    }
    lh_exchange_body_end(c->ex, LH_BODY_MALFORMED);
    if (!left) {
        lh_h1_refuse_client(c, 400, "the body's chunks are malformed", head);
        return;
    }
    log_body(c, "the body's chunks are malformed");
    lh_h1_cancel(c, LH_ENDED_CUT);
    lh_h1_close(c, true);
}

/* All of the answer is there, so that the handler has ended or only waits for
 * it to leave.  The body is dropped meanwhile: a client that sends all of it
 * before it reads would block, and so would we. */
static bool nobody_reads(const struct lh_h1 *c)
{
    return lh_exchange_complete(c->ex);
}

/* False: no memory, or too large. */
static bool queue_body(struct lh_h1 *c, struct lh_str data)
{
    if (data.n == 0 || nobody_reads(c))
        return true;
    c->expects_continue = false;
    c->pace.last_ms = c->ctx->now_ms;
    c->pace.bytes += data.n;
    if (data.n > lh_limit_left(c->ctx->limits->body_bytes, c->body_bytes)) {
        log_body(c, "a body is over body_bytes");
        lh_h1_give_up_body(c, LH_BODY_TOO_LARGE);
        return false;
    }
    c->body_bytes += data.n;
    if (!lh_exchange_body(c->ex, data.p, data.n)) {
        lh_h1_abort(c, LH_ENDED_CUT);
        return false;
    }
    return true;
}

/* No more of the body is taken than the exchange has room for, so that a
 * handler that does not read holds its client back by the transport's window.
 */
static bool step_body(struct lh_h1 *c, const uint8_t *p, size_t n, size_t *used)
{
    size_t room = nobody_reads(c) ? n : lh_exchange_body_room(c->ex);
    struct lh_str data;

    *used = 0;
    if (room == 0)
        return false;
    enum lh_h1_body_result result = lh_h1_body_feed(
        &c->body, c->ctx->limits, c->ex, p, lh_min(n, room), used, &data);
    if (!queue_body(c, data))
        return false;
    switch (result) {
    case LH_H1_BODY_MORE:
        return true;
    case LH_H1_BODY_ENDS:
        lh_h1_set_state(c, LH_H1_ANSWER);
        c->expects_continue = false;
        lh_exchange_body_end(c->ex, LH_BODY_ENDED);
        return true;
    case LH_H1_BODY_BAD:
        malformed_body(c);
        break;
    case LH_H1_BODY_MEMORY:
        lh_h1_abort(c, LH_ENDED_CUT);
        break;
    }
    return false;
}

/* A pipelined request waits in the transport until the response before it is
 * pulled, or may be put into the queue whole, which makes place for this one.
 */
static bool step_answer(struct lh_h1 *c, const uint8_t *p, size_t n,
                        size_t *used)
{
    (void)p;
    (void)n;
    *used = 0;
    if (!lh_h1_can_queue(c))
        return false;
    lh_h1_queue_response(c);
    return true;
}

/* Octets of another protocol, as many as its handler has room for; where that
 * has ended they are dropped, until the rest of what it wrote has left. */
static bool step_tunnel(struct lh_h1 *c, const uint8_t *p, size_t n,
                        size_t *used)
{
    *used = nobody_reads(c) ? n : lh_min(n, lh_exchange_body_room(c->ex));
    if (*used == 0)
        return false;
    if (nobody_reads(c) || lh_exchange_body(c->ex, p, *used))
        return true;
    lh_h1_abort(c, LH_ENDED_CUT);
    return false;
}

/* Reads over the rest of a body that nobody wants, up to linger_bytes, to
 * keep the connection for a next request.  Past that the connection closes
 * lingering, so that the client still gets its answer (RFC 9112, 9.6). */
static bool step_discard(struct lh_h1 *c, const uint8_t *p, size_t n,
                         size_t *used)
{
    size_t most = (size_t)lh_min64(n, c->body_bytes);
    struct lh_str data;

    *used = 0;
    c->pace.last_ms = c->ctx->now_ms;
    if (most == 0) {
        lh_h1_close(c, true);
        return false;
    }
    switch (
        lh_h1_body_feed(&c->body, c->ctx->limits, NULL, p, most, used, &data)) {
    case LH_H1_BODY_MORE:
        break;
    case LH_H1_BODY_ENDS:
        lh_h1_become_idle(c);
        return true;
    case LH_H1_BODY_BAD:
    case LH_H1_BODY_MEMORY:
        lh_h1_close(c, true);
        return false;
    }
    c->body_bytes -= *used;
    return true;
}

static step_fn *const steps[] = {
    [LH_H1_IDLE] = step_idle,     [LH_H1_HEAD] = step_head,
    [LH_H1_BODY] = step_body,     [LH_H1_ANSWER] = step_answer,
    [LH_H1_TUNNEL] = step_tunnel, [LH_H1_DISCARD] = step_discard,
};

/* Runs steps until the input is used or one of them can do nothing now. */
static int h1_feed(void *v, const uint8_t *p, size_t n, size_t *used)
{
    struct lh_h1 *c = v;

    *used = 0;
    while (*used < n && c->state != LH_H1_CLOSING) {
        size_t k;
        bool more = steps[c->state](c, p + *used, n - *used, &k);
        *used += k;
        if (!more)
            break;
    }
    lh_h1_check(c);
    return c->state == LH_H1_CLOSING ? LHTTPD_ESTATE : 0;
}

/* --- the rest of struct lh_protocol --------------------------------------- */

/* The kernel has all that was pulled: a handler in httpd.finish learns it,
 * and the times of a rest that is discarded, or of an idle connection, begin,
 * for before that the client may not have known its answer. */
static void h1_sent(void *v)
{
    struct lh_h1 *c = v;
    struct lh_exchange *ex = c->unsent;

    if (c->state == LH_H1_IDLE ||
        (c->state == LH_H1_DISCARD && c->since_ms == LH_NEVER))
        c->since_ms = c->ctx->now_ms;
    if (!ex || c->queue.n)
        return;
    c->unsent = NULL;
    lh_exchange_sent(ex);
    lh_exchange_let_go_protocol(ex);
    lh_h1_check(c);
}

/* A body may still be whole, and pipelined requests are answered.  Of a tunnel
 * nothing is left but what has come, whatever its request said of the end. */
static void h1_fin(void *v)
{
    struct lh_h1 *c = v;

    c->fin = true;
    if (c->state == LH_H1_BODY || c->state == LH_H1_ANSWER)
        fin_exchange(c);
    else if (c->state == LH_H1_TUNNEL)
        lh_exchange_fin(c->ex);
}

/* Nothing more comes and all that came was offered.  A request that is not
 * whole cannot become so; one that is whole is still answered. */
static void h1_eof(void *v)
{
    struct lh_h1 *c = v;

    switch (c->state) {
    case LH_H1_ANSWER:
        /* The request is whole: its answer is finished (RFC 9112, 9.5). */
        c->last = c->eof = true;
        if (!c->fin)
            h1_fin(c);
        return;
    case LH_H1_HEAD:
    case LH_H1_BODY:
        lh_h1_abort(c, LH_ENDED_GONE);
        return;
    case LH_H1_TUNNEL:
        /* What has come is the handler's to read first. */
        lh_exchange_body_end(c->ex, LH_BODY_ENDED);
        return;
    case LH_H1_IDLE:
    case LH_H1_DISCARD:
        lh_h1_close(c, false);
        return;
    case LH_H1_CLOSING:
        return;
    }
}

/* Lets go of every exchange.  Where the response's end would have been the
 * connection's end, a reset says that it was cut. */
static void h1_gone(void *v)
{
    struct lh_h1 *c = v;

    c->reset |= c->until_close;
    lh_h1_cancel(c, c->host->ends);
    if (c->unsent) {
        lh_exchange_cancel(c->unsent, c->host->ends);
        lh_exchange_let_go_protocol(c->unsent);
        c->unsent = NULL;
    }
    lh_buf_clear(&c->queue);
    lh_h1_close(c, false);
    lh_h1_check(c);
}

/* Would feed use input? Asked once a turn; must agree with the steps above,
 * or a connection would spin or stall. */
static bool wants_input(const struct lh_h1 *c)
{
    switch (c->state) {
    case LH_H1_IDLE:
        return !c->unsent;
    case LH_H1_HEAD:
    case LH_H1_DISCARD:
        return true;
    case LH_H1_BODY:
    case LH_H1_TUNNEL:
        return lh_exchange_body_room(c->ex) > 0 || nobody_reads(c);
    case LH_H1_ANSWER:
        return lh_h1_can_queue(c);
    case LH_H1_CLOSING:
        break;
    }
    return false;
}

static unsigned h1_status(const void *v)
{
    const struct lh_h1 *c = v;
    unsigned s = 0;

    if (wants_input(c))
        s |= LH_PROTO_WANTS_INPUT;
    if (lh_h1_has_output(c))
        s |= LH_PROTO_HAS_OUTPUT;
    if (c->state == LH_H1_CLOSING)
        s |= LH_PROTO_CLOSE | (c->linger ? LH_PROTO_LINGER : 0) |
             (c->reset ? LH_PROTO_RESET : 0);
    if (c->state == LH_H1_IDLE && c->queue.n == 0 && !c->unsent)
        s |= LH_PROTO_IDLE;
    return s;
}

/* No further request after the one that is under way.  One that may be on its
 * way to an idle connection is waited for, but not for long (see
 * lh_h1_deadline). */
static void h1_drain(void *v)
{
    struct lh_h1 *c = v;

    c->last = true;
    if (c->state == LH_H1_IDLE)
        c->since_ms = c->ctx->now_ms;
    else if (c->state == LH_H1_DISCARD)
        lh_h1_close(c, true);
    lh_h1_check(c);
}

static void h1_free(void *v)
{
    struct lh_h1 *c = v;

    assert(!c->ex && !c->unsent);
    lh_buf_clear(&c->queue);
    lh_free(c);
}

static struct lh_exchange *h1_request(const void *v)
{
    const struct lh_h1 *c = v;

    return c->ex ? c->ex : c->unsent;
}

const struct lh_protocol lh_h1_protocol = {
    .name = "http/1.1",
    .feed = h1_feed,
    .pull = lh_h1_pull,
    .locate = lh_h1_locate,
    .moved = lh_h1_moved,
    .sent = h1_sent,
    .fin = h1_fin,
    .eof = h1_eof,
    .gone = h1_gone,
    .status = h1_status,
    .request = h1_request,
    .deadline = lh_h1_deadline,
    .expire = lh_h1_expire,
    .drain = h1_drain,
    .free = h1_free,
};

void *lh_h1_new(struct lh_protocol_host *host)
{
    struct lh_h1 *c = lh_calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->host = host;
    c->ctx = host->ctx;
    c->since_ms = c->ctx->now_ms;
    lh_buf_init(&c->queue, &c->ctx->bufs);
    return c;
}

void lh_h1_refuse_plain(void *v)
{
    struct lh_h1 *c = v;

    c->refuse = true;
}
