/*
 * What may last how long on an HTTP/1 connection.
 */
#include "h1/h1_time.h"

#include "base/num.h"
#include "h1/h1_check.h"
#include "h1/h1_send.h"
#include "http/request_id.h"

/* --- a body that comes slowly --------------------------------------------- */

/* When body_timeout is over since the last octets, or since the handler waits.
 */
static uint64_t stall_deadline(const struct lh_h1 *c)
{
    const struct lh_h1_pace *pace = &c->pace;
    uint64_t last = lh_max64(pace->last_ms, pace->since_ms);

    return lh_deadline(last, c->ctx->limits->body_timeout_ms);
}

/* The answer has left, the rest of the body still comes. */
static uint64_t discard_deadline(const struct lh_h1 *c)
{
    const lhttpd_limits_t *limits = c->ctx->limits;
    uint64_t last = lh_max64(c->pace.last_ms, c->since_ms);
    uint64_t idle = lh_deadline(last, limits->linger_idle_ms);
    uint64_t all = lh_deadline(c->since_ms, limits->linger_timeout_ms);

    return lh_min64(idle, all);
}

/* When the handler will have waited for body_timeout in all: then the rate is
 * looked at. */
static uint64_t window_deadline(const struct lh_h1 *c)
{
    return lh_deadline(
        c->pace.window_ms,
        lh_limit_left(c->ctx->limits->body_timeout_ms, c->pace.waited_ms));
}

/* Ends a body of which nothing came for body_timeout_ms, or less than
 * body_rate allows in a whole window of waiting.  A window that was good
 * enough is followed by the next one. */
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
        lh_log_request(c->ex, LH_LOG_SLOW, "HTTP/1: a body came too slowly");
        lh_h1_give_up_body(c, LH_BODY_TIMEOUT);
    } else if (window_over) {
        pace->waited_ms = pace->bytes = 0;
        pace->window_ms = now;
    }
}

/* Time in which the handler does not read is not the client's: it ends the
 * current stretch of waiting, and what was waited so far is kept. */
void lh_h1_keep_pace(struct lh_h1 *c)
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
    pace->waited_ms = lh_min64(pace->waited_ms + now - pace->window_ms, most);
}

/* --- the whole ------------------------------------------------------------ */

/* When a client that may have half-closed is taken for gone. */
static uint64_t fin_deadline(const struct lh_h1 *c)
{
    if (!c->fin || !c->ex || c->ex->fin)
        return LH_NEVER;
    return lh_deadline(c->fin_ms, c->ctx->limits->send_timeout_ms);
}

/* A client that will be told to close is waited for only as long as a request
 * may be on its way.  While an answer still leaves, the next request may be
 * there, and is not read. */
static uint64_t idle_deadline(const struct lh_h1 *c)
{
    uint64_t most = c->ctx->limits->idle_timeout_ms;

    if (c->unsent || c->queue.n)
        return LH_NEVER;
    if (c->last)
        most = lh_min64(most, LH_PROTO_DRAIN_MS);
    return lh_deadline(c->since_ms, most);
}

/* The one time that counts in each state; LH_NEVER where nothing is expected
 * of the client.  The driver arms a timer with it after each step. */
uint64_t lh_h1_deadline(const void *v)
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
        return lh_min64(stall, window);
    case LH_H1_DISCARD:
        return discard_deadline(c);
    case LH_H1_ANSWER:
        return fin_at;
    case LH_H1_TUNNEL:
    case LH_H1_CLOSING:
        break;
    }
    return LH_NEVER;
}

/* A head that does not come is answered with 408; a body is its handler's to
 * answer; a connection without a request closes without a word. */
static void end_overdue(struct lh_h1 *c)
{
    bool head;

    switch (c->state) {
    case LH_H1_HEAD:
        head = c->ex->request.head;
        lh_h1_refuse_client(c, 408, "a request's head took too long", head);
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
        lh_log_client(c->ctx, c->host->peer, LH_LOG_SLOW,
                      "HTTP/1: a body that nobody reads took too long");
        lh_h1_close(c, true);
        return;
    case LH_H1_TUNNEL:
    case LH_H1_CLOSING:
        return;
    }
}

/* The timer may fire early, since a deadline may have moved meanwhile. */
void lh_h1_expire(void *v)
{
    struct lh_h1 *c = v;

    if (c->ctx->now_ms >= lh_h1_deadline(c))
        end_overdue(c);
    lh_h1_check(c);
}
