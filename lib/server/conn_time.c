/* A connection's clocks: see conn_time.h. */
#include "server/conn_time.h"

#include "http/request_id.h"

/* What came in time, but is read late, is given so long to be gone on with. */
#define SPARED_MS 1000

#define TAKES_NOTHING "it took nothing of what was sent for %llu ms"

/* How often in send_timeout_ms a client is asked whether it takes anything. */
#define SEND_LOOKS 4

/* --- a client that takes nothing ------------------------------------------ */

static void look_at_client_later(struct lh_conn *c)
{
    uint64_t timeout = c->worker->ctx.limits->send_timeout_ms;
    uint64_t next = lh_deadline(c->worker->ctx.now_ms, timeout / SEND_LOOKS);

    c->send_deadline = lh_min64(next, lh_deadline(c->taken_ms, timeout));
}

static void begin_to_look(struct lh_conn *c)
{
    c->taken_ms = c->worker->ctx.now_ms;
    c->untaken = SIZE_MAX;
}

void lh_conn_block(struct lh_conn *c)
{
    c->blocked = true;
    c->tail = false;
    begin_to_look(c);
    look_at_client_later(c);
}

/* What was put off meanwhile is due. */
void lh_conn_unblock(struct lh_conn *c)
{
    c->blocked = false;
    lh_conn_end_tail(c);
    lh_conn_queue_dirty(c);
}

/* Has the client taken anything of late?  For one that is looked at. */
static bool client_takes(struct lh_conn *c)
{
    uint64_t now = c->worker->ctx.now_ms;
    size_t untaken = lh_sock_untaken(c->fd);

    if (untaken < c->untaken) {
        c->untaken = untaken;
        c->taken_ms = now;
    }
    return now <
           lh_deadline(c->taken_ms, c->worker->ctx.limits->send_timeout_ms);
}

static void log_takes_nothing(struct lh_conn *c)
{
    struct lh_exchange *ex = c->state == LH_CONN_OPEN && c->protocol->request
                                 ? c->protocol->request(c->p)
                                 : NULL;
    unsigned long long ms = c->worker->ctx.limits->send_timeout_ms;

    if (ex)
        lh_log_request(ex, LH_LOG_SLOW, TAKES_NOTHING, ms);
    else
        LH_CONN_LOG(c, LH_LOG_SLOW, TAKES_NOTHING, ms);
}

/* The socket has room again only once a third of its buffer is free, which may
 * be megabytes and take a slow client minutes.  So what counts is whether it
 * has taken anything since it was last looked at. */
static void look_whether_it_takes(struct lh_conn *c)
{
    if (client_takes(c)) {
        look_at_client_later(c);
        return;
    }
    log_takes_nothing(c);
    c->host.ends = LH_ENDED_TIMEOUT;
    lh_conn_lose(c);
}

/* The end of the last answer may still be in the system's buffers, megabytes,
 * when a connection's time is up.  Closing then could cut it: what the client
 * sends meanwhile, such as credit, would be answered with a reset.  So it has
 * more time, as long as it takes octets. */
static bool client_takes_tail(struct lh_conn *c)
{
    if (lh_sock_untaken(c->fd) == 0)
        return false;
    if (!c->tail && !c->blocked)
        begin_to_look(c);
    c->tail = client_takes(c);
    return c->tail;
}

/* --- what is due ---------------------------------------------------------- */

/* A client is judged by what has come from it, which a worker that was busy for
 * long has yet to read.  So each deadline that has passed is postponed once if
 * something waits; not the last one of who lingers. */
static bool is_spared(struct lh_conn *c)
{
    uint64_t at = lh_conn_deadline(c), now = c->worker->ctx.now_ms;

    if (at > now || at == c->spared || at == c->send_deadline ||
        (c->linger_ends && now >= c->linger_ends))
        return false;
    if (!lh_list_linked(&c->fed) && lh_sock_unread(c->fd) == 0)
        return false;
    c->spared = at;
    c->spared_until = lh_deadline(now, SPARED_MS);
    return true;
}

/* Who says nothing to a server that stops has done nothing wrong; nor is it
 * news that somebody who was refused has lingered. */
static void log_state_is_due(const struct lh_conn *c)
{
    const struct lh_context *ctx = &c->worker->ctx;
    const lhttpd_limits_t *limits = ctx->limits;

    if (c->state == LH_CONN_LINGER || (ctx->stopping && !c->heard))
        return;
    if (c->state == LH_CONN_PROXY)
        LH_CONN_LOG(c, LH_LOG_PROXY,
                    "its PROXY header was not whole after %llu ms",
                    (unsigned long long)limits->header_timeout_ms);
    else if (c->state == LH_CONN_HANDSHAKE)
        LH_CONN_LOG(c, LH_LOG_HANDSHAKES,
                    "its TLS handshake was not done after %llu ms",
                    (unsigned long long)limits->handshake_timeout_ms);
    else if (c->heard)
        LH_CONN_LOG(c, LH_LOG_SLOW,
                    "its header section was not whole after %llu ms",
                    (unsigned long long)limits->header_timeout_ms);
    else
        LH_CONN_LOG(c, LH_LOG_SLOW, "it sent nothing for %llu ms",
                    (unsigned long long)limits->idle_timeout_ms);
}

static void state_is_due(struct lh_conn *c)
{
    if (c->state != LH_CONN_LINGER || !client_takes_tail(c)) {
        log_state_is_due(c);
        lh_conn_lose(c);
        return;
    }
    look_at_client_later(c);
    c->state_deadline = c->send_deadline;
    c->send_deadline = LH_NEVER;
}

static void protocol_is_due(struct lh_conn *c)
{
    if ((lh_conn_status(c) & LH_PROTO_IDLE) && client_takes_tail(c)) {
        look_at_client_later(c);
        return;
    }
    lh_conn_end_tail(c);
    c->protocol->expire(c->p);
}

static void conn_is_due(struct lh_conn *c)
{
    uint64_t now = c->worker->ctx.now_ms;

    if (now >= c->state_deadline)
        state_is_due(c);
    else if (c->blocked && now >= c->send_deadline)
        look_whether_it_takes(c);
    else if (c->state == LH_CONN_OPEN && now >= c->protocol->deadline(c->p))
        protocol_is_due(c);
    else if (c->tail && now >= c->send_deadline)
        lh_conn_end_tail(c); /* what was due has become due later */
}

void lh_conn_on_time(struct lh_timer *timer)
{
    struct lh_conn *c = LH_OF(timer, struct lh_conn, timer);

    if (!is_spared(c))
        conn_is_due(c);
    lh_conn_settle(c);
}
