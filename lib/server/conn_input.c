/*
 * From sockets to protocols: see conn_input.h.
 *
 * A step takes at most one chunk from the socket and gives the protocol all of
 * it that it wants; what is left keeps the connection from reading on.  Nothing
 * is read, and no protocol called, outside of a step.
 */
#include "server/conn_input.h"

#include "net/away.h"
#include "server/conn_close.h"
#include "server/conn_output.h"
#include "server/conn_proxy.h"
#include "server/conn_time.h"
#include "server/negotiate.h"

/* What a step of a connection costs beside the octets that it moves. */
#define FEED_COST (LH_STEP_COST / 4)

/* So many requests begin before their handlers run: each takes a task, and as
 * many as there were at once are kept.  One connection may begin more. */
#define REQUESTS_ONCE 128

/* A full TLS handshake that no helper does holds the worker for a millisecond
 * or two. */
#define HANDSHAKES_A_TURN 4

/* --- what comes ----------------------------------------------------------- */

/* A handshake that begins while the server stops has its whole time. */
static void hear_client(struct lh_conn *c)
{
    const struct lh_context *ctx = &c->worker->ctx;

    if (!c->heard && ctx->stopping && c->state == LH_CONN_HANDSHAKE)
        c->state_deadline =
            lh_deadline(ctx->now_ms, ctx->limits->handshake_timeout_ms);
    c->heard = true;
}

/* At most one chunk, and only when the last one was used up: the client is held
 * back by its socket's buffer, not by ours.  Who closes without a word has not
 * been heard: it has only looked whether the port is open. */
static void receive_input(struct lh_conn *c)
{
    bool heard = c->heard;

    c->readable = false;
    if (lh_conn_has_input(c))
        return;
    hear_client(c);
    enum lh_net outcome = c->transport->ops->receive(c->transport);
    lh_worker_look(c->worker);
    if (outcome == LH_NET_EOF)
        c->heard = heard;
    if (lh_conn_has_read(c, outcome))
        return;
    lh_conn_fail(c);
}

/* A pipelined request can only be used once the answer before it has been
 * pulled; so this pulls too, and one send takes all answers along. */
static void feed_protocol(struct lh_conn *c)
{
    const uint8_t *p;
    size_t n, used, pulled = 0;

    while ((p = c->transport->ops->peek(c->transport, &n)) != NULL) {
        if (!(lh_conn_pull(c, &pulled) & LH_PROTO_WANTS_INPUT))
            return;
        int r = c->protocol->feed(c->p, p, n, &used);
        c->transport->ops->consume(c->transport, used);
        if (r < 0 || used < n)
            return;
    }
}

/* Before a protocol is there, nothing can be answered. */
static void tell_protocol_eof(struct lh_conn *c)
{
    if (c->state == LH_CONN_LINGER && c->blocked)
        return; /* until our end has left */
    if (c->state == LH_CONN_HANDSHAKE && c->heard)
        LH_CONN_LOG(c, LH_LOG_HANDSHAKES,
                    "it closed the connection in its TLS handshake");
    if (c->state != LH_CONN_OPEN) {
        lh_conn_lose(c);
        return;
    }
    if (c->eof == LH_TOLD)
        return;
    c->eof = LH_TOLD;
    c->protocol->eof(c->p);
}

/* That the end comes is of use to who waits for it, though octets stand before
 * it that nobody wants yet. */
static void tell_protocol_fin(struct lh_conn *c)
{
    c->fin = LH_TOLD;
    if (c->protocol->fin)
        c->protocol->fin(c->p);
}

/* --- the step ------------------------------------------------------------- */

/* The step of one connection, from its socket as far as its state allows. */
static void feed_conn(struct lh_conn *c)
{
    if (c->state == LH_CONN_PROXY) {
        lh_conn_proxy_read(c);
        lh_conn_settle(c);
        return;
    }
    c->feeding = true;
    lh_conn_end_call(c);
    if (c->state == LH_CONN_LINGER)
        lh_conn_discard(c);
    else if (c->readable || lh_conn_has_more(c))
        receive_input(c);
    if (c->state == LH_CONN_HANDSHAKE)
        lh_negotiate_handshake(c);
    if (c->state == LH_CONN_SNIFF)
        lh_negotiate_sniff(c);
    if (c->state == LH_CONN_OPEN && c->fin == LH_SEEN)
        tell_protocol_fin(c);
    if (c->state == LH_CONN_OPEN)
        feed_protocol(c);
    if (c->transport->ended)
        lh_conn_see(&c->eof);
    if (c->state != LH_CONN_CLOSED && c->eof && !lh_conn_has_input(c))
        tell_protocol_eof(c);
    c->feeding = false;
    lh_conn_settle(c);
}

/* The others do not wait for more than a few handshakes. */
static bool may_shake_hands(struct lh_worker *w)
{
    if (lh_step_over(&w->shaking, LH_STEP_COST))
        return false;
    return w->handshakes++ < HANDSHAKES_A_TURN;
}

/* --- handshakes by helpers ----------------------------------------------- */

/* The helpers have enough to do.  What the client has sent stays in its socket,
 * for a handshake that has begun takes memory.  Who came first goes first. */
static bool has_to_queue(const struct lh_conn *c)
{
    const struct lh_worker *w = c->worker;

    return !c->called && !c->transport->away &&
           (lh_away_is_full(&w->pools) || !lh_list_empty(&w->queue));
}

/* Whose handshake has begun goes before those that would begin one: it holds
 * what a handshake takes. */
static void queue_for_helper(struct lh_conn *c)
{
    struct lh_list *queue = &c->worker->queue;

    c->queues = true;
    lh_list_append(c->heard ? queue->next : queue, &c->fed);
    lh_conn_settle(c);
}

/* Out of that queue, if it is in it, and into the other. */
static void conn_call(struct lh_conn *c)
{
    if (c->queues)
        lh_list_remove(&c->fed);
    c->queues = false;
    c->worker->called += !c->called;
    c->called = true;
    lh_conn_queue_fed(c);
}

bool lh_conns_may_call(const struct lh_worker *w)
{
    return !lh_list_empty(&w->queue) && w->called < lh_away_room(&w->pools);
}

/* Those that wait for a helper go on as far as there is one.  Whose client has
 * gone since it said its hello cannot end its handshake. */
static void call_conns(struct lh_worker *w)
{
    while (lh_conns_may_call(w)) {
        struct lh_conn *c = LH_OF(w->queue.next, struct lh_conn, fed);
        if (c->fin && !c->heard)
            lh_conn_lose(c);
        else
            conn_call(c);
    }
}

/* What it has come to is seen in its next step, which is called though there
 * may be nothing to read.  One that was closed meanwhile waits to be freed. */
void lh_conn_on_back(struct lh_transport *t)
{
    struct lh_conn *c = t->owner;

    if (c->state == LH_CONN_CLOSED)
        return;
    c->readable = true;
    conn_call(c);
}

/* --- the queue ------------------------------------------------------------ */

/* Not all that wait for their turn: those that were called go first. */
static void feed_or_wait(struct lh_conn *c)
{
    bool shakes = c->state == LH_CONN_HANDSHAKE;

    if (shakes && has_to_queue(c))
        queue_for_helper(c);
    else if (shakes && !may_shake_hands(c->worker))
        lh_conn_queue_fed(c);
    else
        feed_conn(c);
}

void lh_conns_feed(struct lh_worker *w)
{
    const lh_count *begun = &w->ctx.counters.requests_begun;
    uint64_t enough = lh_count_get(begun) + REQUESTS_ONCE;
    struct lh_step step = {0};
    struct lh_list queue, *link;

    call_conns(w);
    lh_list_move(&queue, &w->fed);
    while ((link = lh_list_take(&queue)) != NULL) {
        feed_or_wait(LH_OF(link, struct lh_conn, fed));
        if (lh_step_over(&step, FEED_COST) || lh_count_get(begun) >= enough)
            break;
    }
    lh_list_put_first(&w->fed, &queue);
}

/* --- events --------------------------------------------------------------- */

/* Level-triggered interest that nobody serves would spin.  The client's FIN is
 * worth knowing meanwhile, once. */
static void stop_input(struct lh_conn *c)
{
    unsigned interest = c->interest & LH_EV_WRITE;

    if (!c->fin)
        interest |= LH_EV_FIN;
    lh_evq_change(&c->worker->evq, c->fd, interest, c->tag);
    c->interest = interest;
}

/* The client of a unix socket has closed it: nothing will be taken any more,
 * but its request may be there to be read, and is served as on TCP, where a
 * close looks like a half-close.  The report would come again and again. */
static void hang_up(struct lh_conn *c)
{
    lh_evq_forget(&c->worker->evq, c->fd);
    c->hung_up = true;
    lh_conn_see(&c->fin);
    if (c->blocked)
        lh_conn_unblock(c);
    lh_conn_queue_fed(c);
}

/* Only notes what happened; the step of the turn does the rest. */
void lh_conn_on_event(struct lh_source *source, unsigned ready)
{
    struct lh_conn *c = LH_OF(source, struct lh_conn, source);

    if (ready & LH_EV_LOST ||
        (ready & LH_EV_HANGUP && c->state == LH_CONN_LINGER)) {
        lh_conn_lose(c);
        return;
    }
    if (ready & LH_EV_HANGUP) {
        hang_up(c);
        return;
    }
    if (ready & LH_EV_WRITE)
        lh_conn_unblock(c);
    if (ready & LH_EV_FIN)
        lh_conn_see(&c->fin);
    if (!(ready & (LH_EV_READ | LH_EV_FIN)))
        return;
    if (c->wants_input || c->fin) {
        c->readable = true;
        lh_conn_queue_fed(c);
    }
    if (!c->wants_input)
        stop_input(c);
}
