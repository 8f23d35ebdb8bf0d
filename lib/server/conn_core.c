/*
 * What all parts of a connection stand on: see conn_core.h.
 *
 * A connection is in exactly one of its worker's lists busy, idle, closed and
 * spare.  While it lives, its queues, its interest in events, its timer and its
 * list follow from where it has got to, and lh_conn_settle() alone says how.
 */
#include "server/conn_core.h"

#include "base/trace.h"
#include "server/check.h"

#include <assert.h>
#include <string.h>

/* --- how far it is -------------------------------------------------------- */

#define TO(state) (1u << (state))

static const unsigned legal_moves[] = {
    [LH_CONN_SPARE] =
        TO(LH_CONN_PROXY) | TO(LH_CONN_HANDSHAKE) | TO(LH_CONN_SNIFF),
    [LH_CONN_PROXY] =
        TO(LH_CONN_HANDSHAKE) | TO(LH_CONN_SNIFF) | TO(LH_CONN_CLOSED),
    [LH_CONN_HANDSHAKE] =
        TO(LH_CONN_OPEN) | TO(LH_CONN_LINGER) | TO(LH_CONN_CLOSED),
    [LH_CONN_SNIFF] = TO(LH_CONN_OPEN) | TO(LH_CONN_CLOSED),
    [LH_CONN_OPEN] = TO(LH_CONN_LINGER) | TO(LH_CONN_CLOSED),
    [LH_CONN_LINGER] = TO(LH_CONN_CLOSED),
    [LH_CONN_CLOSED] = 0,
};

static const char *const state_names[] = {
    [LH_CONN_SPARE] = "SPARE",         [LH_CONN_PROXY] = "PROXY",
    [LH_CONN_HANDSHAKE] = "HANDSHAKE", [LH_CONN_SNIFF] = "SNIFF",
    [LH_CONN_OPEN] = "OPEN",           [LH_CONN_LINGER] = "LINGER",
    [LH_CONN_CLOSED] = "CLOSED",
};

bool lh_conn_may(enum lh_conn_state from, enum lh_conn_state to)
{
    return legal_moves[from] & TO(to);
}

void lh_conn_move(struct lh_conn *c, enum lh_conn_state to)
{
    assert(lh_conn_may(c->state, to));
    lh_trace(&c->worker->ctx, c->host.peer->number, "conn", 0,
             state_names[c->state], state_names[to]);
    c->state = to;
}

void lh_conn_fill_peer(struct lh_peer *peer, const struct lh_sock_ends *ends)
{
    memcpy(peer->server_addr, ends->local, sizeof(ends->local));
    memcpy(peer->client_addr, ends->remote, sizeof(ends->remote));
    peer->server_port = ends->local_port;
    peer->client_port = ends->remote_port;
}

/* --- what follows from it ------------------------------------------------- */

void lh_conn_wake(struct lh_protocol_host *host)
{
    struct lh_conn *c = LH_OF(host, struct lh_conn, host);

    if (c->state != LH_CONN_OPEN)
        return;
    lh_conn_queue_dirty(c);
    if (!c->feeding && lh_conn_has_more(c))
        lh_conn_queue_fed(c);
}

/* The timer is only ever moved earlier: when it fires too early, it is armed
 * again, which is cheaper than moving it with every request. */
static void set_conn_timer(struct lh_conn *c)
{
    uint64_t at = lh_conn_deadline(c);

    if (at < c->spared_until)
        at = c->spared_until;
    if (at == LH_NEVER ||
        (lh_timer_armed(&c->timer) && c->timer.deadline_ms <= at))
        return;
    lh_timer_arm(&c->worker->ctx.timers, &c->timer, at);
}

/* A paused connection keeps LH_EV_READ until an event finds it paused. */
static void set_conn_interest(struct lh_conn *c, unsigned now)
{
    unsigned interest = c->interest & (LH_EV_READ | LH_EV_FIN);

    if (c->eof)
        interest = 0;
    else if (now & LH_PROTO_WANTS_INPUT)
        interest = LH_EV_READ;
    if (c->blocked)
        interest |= LH_EV_WRITE;
    if (interest == c->interest || c->hung_up)
        return;
    lh_evq_change(&c->worker->evq, c->fd, interest, c->tag);
    c->interest = interest;
}

/* May it be closed for room?  Not while something of it waits to be sent. */
static bool is_idle(const struct lh_conn *c, unsigned now)
{
    if (c->blocked || lh_list_linked(&c->dirty))
        return false;
    if (c->state < LH_CONN_OPEN)
        return !c->heard;
    return now & LH_PROTO_IDLE || c->state == LH_CONN_LINGER;
}

static void set_idle(struct lh_conn *c, unsigned now)
{
    bool idle = is_idle(c, now);

    if (idle == c->counts_idle)
        return;
    c->counts_idle = idle;
    lh_count_add(&c->worker->ctx.counters.idle, idle ? 1 : (uint64_t)-1);
    if (idle)
        c->idle_ms = c->worker->ctx.now_ms;
    else
        c->used |= c->state == LH_CONN_OPEN;
    lh_list_remove(&c->all);
    lh_list_append(idle ? &c->worker->idle : &c->worker->busy, &c->all);
}

void lh_conn_settle(struct lh_conn *c)
{
    if (c->state != LH_CONN_CLOSED)
        lh_conn_settle_as(c, lh_conn_status(c));
}

void lh_conn_settle_as(struct lh_conn *c, unsigned now)
{
    c->wants_input = (now & LH_PROTO_WANTS_INPUT) != 0;
    if (c->tail && c->state == LH_CONN_OPEN && !(now & LH_PROTO_IDLE))
        lh_conn_end_tail(c);
    if (((now & LH_PROTO_WANTS_INPUT) && lh_conn_has_more(c)) ||
        (c->transport->ended && !c->eof))
        lh_conn_queue_fed(c);
    if (!c->blocked && (now & (LH_PROTO_HAS_OUTPUT | LH_PROTO_CLOSE) ||
                        c->pulled || c->transport->ops->unsent(c->transport)))
        lh_conn_queue_dirty(c);
    if (c->blocked || !(now & LH_PROTO_CLOSE))
        set_conn_interest(c, now);
    set_idle(c, now);
    set_conn_timer(c);
    if (!lh_list_linked(&c->fed) && !lh_list_linked(&c->dirty))
        c->transport->ops->rest(c->transport);
    lh_check_conn(c);
}

/* --- the end -------------------------------------------------------------- */

void lh_conn_count_failure(struct lh_conn *c)
{
    if (c->state == LH_CONN_HANDSHAKE && c->heard)
        lh_count_add(&c->worker->ctx.counters.handshakes_failed, 1);
}

static void count_lost(struct lh_conn *c)
{
    lh_count_sub(&c->worker->ctx.counters.idle, c->counts_idle);
    c->counts_idle = false;
    lh_conn_count_failure(c);
}

/* Whatever could call it back is taken away here. */
void lh_conn_lose(struct lh_conn *c)
{
    struct lh_worker *w = c->worker;

    if (c->state == LH_CONN_CLOSED)
        return;
    if (c->state == LH_CONN_OPEN) {
        c->protocol->gone(c->p);
        if (c->protocol->status(c->p) & LH_PROTO_RESET)
            lh_sock_abort(c->fd);
    }
    count_lost(c);
    lh_conn_end_call(c);
    lh_conn_move(c, LH_CONN_CLOSED);
    lh_timer_disarm(&c->timer);
    lh_list_remove(&c->fed);
    lh_list_remove(&c->dirty);
    lh_list_remove(&c->all);
    lh_list_append(&w->closed, &c->all);
    lh_evq_forget(&w->evq, c->fd);
    lh_slots_remove(&w->slots, c->tag);
}
