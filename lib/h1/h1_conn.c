/* An HTTP/1 connection's input and time: see h1_conn.h and h1_state.h. */
#include "h1/h1_conn.h"

#include "h1/h1_state.h"

#include <assert.h>

/* --- states --------------------------------------------------------------- */

#define TO(state) (1u << (state))

static const unsigned legal_moves[] = {
    [LH_H1_IDLE] = TO(LH_H1_HEAD) | TO(LH_H1_CLOSING),
    [LH_H1_HEAD] = TO(LH_H1_BODY) | TO(LH_H1_ANSWER) | TO(LH_H1_CLOSING),
    [LH_H1_BODY] = TO(LH_H1_ANSWER) | TO(LH_H1_DISCARD) | TO(LH_H1_CLOSING),
    [LH_H1_ANSWER] = TO(LH_H1_IDLE) | TO(LH_H1_CLOSING),
    [LH_H1_DISCARD] = TO(LH_H1_IDLE) | TO(LH_H1_CLOSING),
    [LH_H1_CLOSING] = TO(LH_H1_CLOSING),
};

void lh_h1_set_state(struct lh_h1 *c, enum lh_h1_state state)
{
    bool legal = (legal_moves[c->state] & TO(state)) != 0;

    assert(legal);
    (void)legal;
    c->state = state;
    c->since_ms = c->ctx->now_ms;
}

void lh_h1_close(struct lh_h1 *c, bool linger)
{
    if (c->state == LH_H1_CLOSING)
        return;
    c->linger = linger;
    lh_h1_set_state(c, LH_H1_CLOSING);
}

void lh_h1_cancel(struct lh_h1 *c)
{
    struct lh_exchange *ex = c->ex;

    c->ex = NULL;
    if (!ex)
        return;
    lh_exchange_cancel(ex);
    if (c->state <= LH_H1_HEAD)
        lh_exchange_let_go_handler(ex); /* it never came to one */
    lh_exchange_let_go_protocol(ex);
}

static void become_idle(struct lh_h1 *c)
{
    c->blank_cr = c->blank_line = false;
    lh_h1_set_state(c, LH_H1_IDLE);
}

/* After a response whose request's body has not all come. */
static void discard_body(struct lh_h1 *c)
{
    uint64_t left = lh_h1_body_left(&c->body);
    uint64_t budget = c->ctx->limits->linger_bytes;

    if (left != LH_LENGTH_UNKNOWN && left > budget) {
        lh_h1_close(c, true);
        return;
    }
    c->body_bytes = budget;
    lh_h1_set_state(c, LH_H1_DISCARD);
    c->since_ms = LH_NEVER; /* not before the response has left */
}

void lh_h1_abort(struct lh_h1 *c)
{
    c->reset = c->until_close;
    lh_h1_cancel(c);
    lh_h1_close(c, false);
}

void lh_h1_answered(struct lh_h1 *c)
{
    struct lh_exchange *ex = c->ex;
    bool whole = c->state == LH_H1_ANSWER;

    c->ex = NULL;
    if (ex->owners > 1)
        c->unsent = ex;
    else
        lh_exchange_let_go_protocol(ex);
    if (c->last)
        lh_h1_close(c, true); /* a further request may be on its way */
    else if (whole)
        become_idle(c);
    else
        discard_body(c);
}

/* --- input: one step for each state --------------------------------------- */

/* Each uses up to n octets; false: nothing can be done with them now. */
typedef bool step_fn(struct lh_h1 *c, const uint8_t *p, size_t n, size_t *used);

static void on_output(struct lh_exchange *ex);

static bool begin_request(struct lh_h1 *c)
{
    c->ex = lh_exchange_new(c->ctx, c->host->peer);
    if (!c->ex) {
        lh_h1_close(c, true);
        return false;
    }
    c->ex->splices = c->host->splices;
    lh_h1_head_init(&c->head, c->requests == 0);
    lh_h1_set_state(c, LH_H1_HEAD);
    if (c->requests == 0 && c->host->first_ms)
        c->since_ms = c->host->first_ms;
    return true;
}

static bool step_idle(struct lh_h1 *c, const uint8_t *p, size_t n, size_t *used)
{
    (void)n;
    *used = 1;
    if (c->refuse) {
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
            lh_h1_refuse(c, 400, NULL, false);
        c->blank_cr = false;
        c->blank_line = true;
        return true;
    }
    if (*p == '\r' && !c->blank_line) {
        c->blank_cr = true;
        return true;
    }
    *used = 0;
    return !c->unsent && begin_request(c);
}

static void fin_exchange(struct lh_h1 *c)
{
    c->fin_ms = c->ctx->now_ms;
    if (!c->ex->request.half_close_allowed)
        lh_exchange_fin(c->ex);
}

/* When a client that may have half-closed is taken for gone. */
static uint64_t fin_deadline(const struct lh_h1 *c)
{
    if (!c->fin || !c->ex || c->ex->fin)
        return LH_NEVER;
    return lh_deadline(c->fin_ms, c->ctx->limits->send_timeout_ms);
}

static void begin_answer(struct lh_h1 *c)
{
    struct lh_exchange *ex = c->ex;
    uint64_t length = ex->request.content_length;

    if (c->head.codings == 0 && length == LH_LENGTH_UNKNOWN)
        length = 0;
    c->requests++;
    c->last |=
        c->head.close || c->requests >= c->ctx->limits->connection_requests;
    c->expects = c->head.expect_continue && length != 0;
    c->body_bytes = 0;
    c->pace = (struct lh_h1_pace){.waiting = false};
    ex->protocol = c;
    ex->on_output = on_output;
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
        lh_h1_cancel(c);
        lh_h1_close(c, false);
        return false;
    default:
        lh_h1_cancel(c);
        lh_h1_refuse(c, result, NULL, head);
        return false;
    }
}

/* Nothing more is expected of the body; the handler may still answer, and then
 * the connection ends. */
static void give_up_body(struct lh_h1 *c, enum lh_body_state why)
{
    c->last = true;
    lh_h1_set_state(c, LH_H1_ANSWER);
    lh_exchange_body_end(c->ex, why);
}

/* Bad framing ends the connection: with a 400 where nothing was answered. */
static void malformed_body(struct lh_h1 *c)
{
    bool head = c->ex->request.head, left = c->ex->response.head_left;

    if (lh_exchange_complete(c->ex)) {
        give_up_body(c, LH_BODY_MALFORMED);
        return;
    }
    lh_exchange_body_end(c->ex, LH_BODY_MALFORMED);
    lh_h1_cancel(c);
    if (left)
        lh_h1_close(c, true);
    else
        lh_h1_refuse(c, 400, NULL, head);
}

/* All of the answer is there, so that the handler has ended or only waits for
 * it to leave.  The body is dropped meanwhile: a client that sends all of it
 * before it reads would block, and so would we. */
static bool nobody_reads(const struct lh_h1 *c)
{
    return lh_exchange_complete(c->ex);
}

/* False: no memory, or too large. */
static bool take_data(struct lh_h1 *c, struct lh_str data)
{
    if (data.n == 0 || nobody_reads(c))
        return true;
    c->expects = false;
    c->pace.last_ms = c->ctx->now_ms;
    c->pace.bytes += data.n;
    if (data.n > lh_limit_left(c->ctx->limits->body_bytes, c->body_bytes)) {
        give_up_body(c, LH_BODY_TOO_LARGE);
        return false;
    }
    c->body_bytes += data.n;
    if (!lh_exchange_body(c->ex, data.p, data.n)) {
        lh_h1_abort(c);
        return false;
    }
    return true;
}

static bool step_body(struct lh_h1 *c, const uint8_t *p, size_t n, size_t *used)
{
    size_t room = nobody_reads(c) ? n : lh_exchange_body_room(c->ex);
    struct lh_str data;

    *used = 0;
    if (room == 0)
        return false;
    enum lh_h1_body_result result = lh_h1_body_feed(
        &c->body, c->ctx->limits, c->ex, p, n < room ? n : room, used, &data);
    if (!take_data(c, data))
        return false;
    switch (result) {
    case LH_H1_BODY_MORE:
        return true;
    case LH_H1_BODY_ENDS:
        lh_h1_set_state(c, LH_H1_ANSWER);
        c->expects = false;
        lh_exchange_body_end(c->ex, LH_BODY_ENDED);
        return true;
    case LH_H1_BODY_BAD:
        malformed_body(c);
        break;
    case LH_H1_BODY_MEMORY:
        lh_h1_abort(c);
        break;
    }
    return false;
}

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

static bool step_discard(struct lh_h1 *c, const uint8_t *p, size_t n,
                         size_t *used)
{
    size_t most = n < c->body_bytes ? n : (size_t)c->body_bytes;
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
        become_idle(c);
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
    [LH_H1_IDLE] = step_idle,       [LH_H1_HEAD] = step_head,
    [LH_H1_BODY] = step_body,       [LH_H1_ANSWER] = step_answer,
    [LH_H1_DISCARD] = step_discard,
};

static int feed(void *v, const uint8_t *p, size_t n, size_t *used)
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
    return c->state == LH_H1_CLOSING ? LHTTPD_ESTATE : 0;
}

/* --- time ----------------------------------------------------------------- */

/* When body_timeout is over since the last octets, or since the handler waits.
 */
static uint64_t stall_deadline(const struct lh_h1 *c)
{
    const struct lh_h1_pace *pace = &c->pace;
    uint64_t last =
        pace->last_ms > pace->since_ms ? pace->last_ms : pace->since_ms;

    return lh_deadline(last, c->ctx->limits->body_timeout_ms);
}

/* The answer has left, the rest of the body still comes. */
static uint64_t discard_deadline(const struct lh_h1 *c)
{
    const lhttpd_limits_t *limits = c->ctx->limits;
    uint64_t last =
        c->pace.last_ms > c->since_ms ? c->pace.last_ms : c->since_ms;
    uint64_t idle = lh_deadline(last, limits->linger_idle_ms);
    uint64_t all = lh_deadline(c->since_ms, limits->linger_timeout_ms);

    return idle < all ? idle : all;
}

/* When the handler will have waited for body_timeout in all: then the rate is
 * looked at. */
static uint64_t window_deadline(const struct lh_h1 *c)
{
    return lh_deadline(
        c->pace.window_ms,
        lh_limit_left(c->ctx->limits->body_timeout_ms, c->pace.waited_ms));
}

static void expire_body(struct lh_h1 *c)
{
    struct lh_h1_pace *pace = &c->pace;
    const lhttpd_limits_t *limits = c->ctx->limits;
    uint64_t now = c->ctx->now_ms;
    uint64_t per_s = limits->body_rate < UINT32_MAX ? limits->body_rate : 0;
    bool window_over = now >= window_deadline(c);

    if (now >= stall_deadline(c) ||
        (window_over &&
         pace->bytes < per_s * (limits->body_timeout_ms / 1000))) {
        give_up_body(c, LH_BODY_TIMEOUT);
    } else if (window_over) {
        pace->waited_ms = pace->bytes = 0;
        pace->window_ms = now;
    }
}

/* The handler began or ceased to wait for the body. */
static void keep_pace(struct lh_h1 *c)
{
    struct lh_h1_pace *pace = &c->pace;
    uint64_t now = c->ctx->now_ms, most = c->ctx->limits->body_timeout_ms;

    if (pace->waiting == c->ex->body_wanted)
        return;
    pace->waiting = c->ex->body_wanted;
    if (pace->waiting) {
        pace->since_ms = pace->window_ms = now;
        return;
    }
    pace->waited_ms += now - pace->window_ms;
    if (pace->waited_ms > most)
        pace->waited_ms = most;
}

static void on_output(struct lh_exchange *ex)
{
    struct lh_h1 *c = ex->protocol;

    if (c->state == LH_H1_BODY && c->ex == ex)
        keep_pace(c);
    c->host->wake(c->host);
}

static uint64_t idle_deadline(const struct lh_h1 *c)
{
    uint64_t most = c->ctx->limits->idle_timeout_ms;

    if (c->last && most > LH_PROTO_DRAIN_MS)
        most = LH_PROTO_DRAIN_MS;
    return lh_deadline(c->since_ms, most);
}

static uint64_t deadline(const void *v)
{
    const struct lh_h1 *c = v;
    const lhttpd_limits_t *limits = c->ctx->limits;
    uint64_t stall, window, fin_at = fin_deadline(c);

    switch (c->state) {
    case LH_H1_IDLE:
        return idle_deadline(c);
    case LH_H1_HEAD:
        return lh_deadline(c->since_ms, limits->header_timeout_ms);
    case LH_H1_BODY:
        if (!c->pace.waiting)
            return fin_at;
        stall = stall_deadline(c);
        window = window_deadline(c);
        return stall < window ? stall : window;
    case LH_H1_DISCARD:
        return discard_deadline(c);
    case LH_H1_ANSWER:
        return fin_at;
    case LH_H1_CLOSING:
        break;
    }
    return LH_NEVER;
}

static void expire(void *v)
{
    struct lh_h1 *c = v;
    bool head;

    if (c->ctx->now_ms < deadline(c))
        return;
    switch (c->state) {
    case LH_H1_HEAD:
        head = c->ex->request.head;
        lh_h1_cancel(c);
        lh_h1_refuse(c, 408, NULL, head);
        return;
    case LH_H1_BODY:
        if (c->pace.waiting)
            expire_body(c);
        else
            lh_exchange_fin(c->ex);
        return;
    case LH_H1_ANSWER:
        lh_exchange_fin(c->ex);
        return;
    case LH_H1_IDLE:
        lh_h1_close(c, false);
        return;
    case LH_H1_DISCARD:
        lh_h1_close(c, true);
        return;
    case LH_H1_CLOSING:
        return;
    }
}

/* --- the rest of struct lh_protocol --------------------------------------- */

static void sent(void *v)
{
    struct lh_h1 *c = v;
    struct lh_exchange *ex = c->unsent;

    if (c->state == LH_H1_DISCARD && c->since_ms == LH_NEVER)
        c->since_ms = c->ctx->now_ms;
    if (!ex || c->queue.n)
        return;
    c->unsent = NULL;
    lh_exchange_sent(ex);
    lh_exchange_let_go_protocol(ex);
}

/* A body may still be whole, and pipelined requests are answered. */
static void fin(void *v)
{
    struct lh_h1 *c = v;

    c->fin = true;
    if (c->state == LH_H1_BODY || c->state == LH_H1_ANSWER)
        fin_exchange(c);
}

static void eof(void *v)
{
    struct lh_h1 *c = v;

    switch (c->state) {
    case LH_H1_ANSWER:
        /* The request is whole: its answer is finished (RFC 9112, 9.5). */
        c->last = true;
        if (!c->fin)
            fin(c);
        return;
    case LH_H1_HEAD:
    case LH_H1_BODY:
        lh_h1_abort(c);
        return;
    case LH_H1_IDLE:
    case LH_H1_DISCARD:
        lh_h1_close(c, false);
        return;
    case LH_H1_CLOSING:
        return;
    }
}

static void gone(void *v)
{
    struct lh_h1 *c = v;

    c->reset |= c->until_close;
    lh_h1_cancel(c);
    if (c->unsent) {
        lh_exchange_cancel(c->unsent);
        lh_exchange_let_go_protocol(c->unsent);
        c->unsent = NULL;
    }
    lh_buf_clear(&c->queue);
    lh_h1_close(c, false);
}

/* Would feed use input? */
static bool wants_input(const struct lh_h1 *c)
{
    switch (c->state) {
    case LH_H1_IDLE:
        return !c->unsent;
    case LH_H1_HEAD:
    case LH_H1_DISCARD:
        return true;
    case LH_H1_BODY:
        return lh_exchange_body_room(c->ex) > 0 || nobody_reads(c);
    case LH_H1_ANSWER:
        return lh_h1_can_queue(c);
    case LH_H1_CLOSING:
        break;
    }
    return false;
}

static unsigned status(const void *v)
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

static void drain(void *v)
{
    struct lh_h1 *c = v;

    c->last = true;
    if (c->state == LH_H1_IDLE)
        c->since_ms = c->ctx->now_ms;
    else if (c->state == LH_H1_DISCARD)
        lh_h1_close(c, true);
}

static void free_connection(void *v)
{
    struct lh_h1 *c = v;

    assert(!c->ex && !c->unsent);
    lh_buf_clear(&c->queue);
    lh_free(c);
}

const struct lh_protocol lh_h1_protocol = {
    .name = "http/1.1",
    .feed = feed,
    .pull = lh_h1_pull,
    .piped = lh_h1_piped,
    .piped_left = lh_h1_piped_left,
    .sent = sent,
    .fin = fin,
    .eof = eof,
    .gone = gone,
    .status = status,
    .deadline = deadline,
    .expire = expire,
    .drain = drain,
    .free = free_connection,
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
