/*
 * The life of connections: see conn.h.
 *
 * From lh_conn_accept() on a connection is in the list busy or idle of its
 * worker, and counted; lh_conns_reap() counts it off.  What a connection does
 * in between is in conn_input.c and conn_output.c.
 */
#include "server/conn.h"

#include "net/tls.h"
#include "server/conn_core.h"
#include "server/conn_input.h"
#include "server/conn_proxy.h"
#include "server/conn_time.h"
#include "server/dispatch.h"
#include "server/negotiate.h"

#define SPARE_PREPARED 8
#define SPARE_KEPT     64

/* How many connections are looked at to find one that may make room. */
#define IDLE_LOOKS 64

/* A client that has just come is given so long to say what it wants. */
#define FRESH_MS 1000

/* What freeing a connection costs, in octets moved. */
#define FREE_COST (LH_STEP_COST / 16)

/* --- the first moments ---------------------------------------------------- */

void lh_conns_prepare(struct lh_worker *w)
{
    while (w->spare_n < SPARE_PREPARED) {
        struct lh_conn *c = lh_alloc(sizeof(*c));
        if (!c)
            return;
        lh_list_append(&w->spare, &c->all);
        w->spare_n++;
    }
}

/* Memory that was prepared when there was time, in the middle of a turn. */
static struct lh_conn *take_spare(struct lh_worker *w)
{
    struct lh_list *link = lh_list_take(&w->spare);

    if (!link)
        return lh_alloc(sizeof(struct lh_conn));
    w->spare_n--;
    return LH_OF(link, struct lh_conn, all);
}

static void give_spare(struct lh_worker *w, struct lh_conn *c)
{
    if (w->spare_n >= SPARE_KEPT) {
        lh_free(c);
        return;
    }
    lh_list_append(&w->spare, &c->all);
    w->spare_n++;
}

void lh_conns_free_spare(struct lh_worker *w)
{
    struct lh_list *link;

    while ((link = lh_list_take(&w->spare)) != NULL)
        lh_free(LH_OF(link, struct lh_conn, all));
    w->spare_n = 0;
}

/* The protocol has a whole header section: finds who handles it. */
static void take_request(struct lh_protocol_host *host, struct lh_exchange *ex)
{
    struct lh_conn *c = LH_OF(host, struct lh_conn, host);

    lh_dispatch(c->worker, c->listener, ex);
}

static size_t untaken(struct lh_protocol_host *host)
{
    return lh_sock_untaken(LH_OF(host, struct lh_conn, host)->fd);
}

static bool is_secure(const struct lh_listener *listener)
{
    return (listener->flags & LHTTPD_LISTEN_TLS) != 0;
}

static uint8_t carrier_of(const struct lh_listener *listener)
{
    if (is_secure(listener))
        return LH_OVER_TLS;
    return listener->where.unix_path ? LH_OVER_UNIX : LH_OVER_TCP;
}

static void init_conn(struct lh_conn *c, struct lh_worker *w,
                      const struct lh_listener *listener, int fd)
{
    *c = (struct lh_conn){
        .source.on_event = lh_conn_on_event,
        .host = {.ctx = &w->ctx,
                 .request = take_request,
                 .wake = lh_conn_wake,
                 .untaken = untaken},
        .worker = w,
        .listener = listener,
        .fd = fd,
        .carrier = carrier_of(listener),
        .state = LH_CONN_SPARE,
        .interest = LH_EV_READ,
        .state_deadline = LH_NEVER,
        .send_deadline = LH_NEVER,
    };
    lh_list_init(&c->all);
    lh_list_init(&c->fed);
    lh_list_init(&c->dirty);
    lh_timer_init(&c->timer, lh_conn_on_time);
}

/* Peer, transport and slot; what was made is undone on failure. */
static bool equip_conn(struct lh_conn *c, const struct lh_sock_ends *ends)
{
    struct lh_worker *w = c->worker;

    c->host.peer = lh_peer_new();
    if (!c->host.peer)
        return false;
    lh_conn_fill_peer(c->host.peer, ends);
    c->transport = is_secure(c->listener) ? lh_tls_new(&w->pools, c->fd)
                                          : lh_tcp_new(&w->pools, c->fd);
    if (!c->transport)
        goto err_after_peer;
    c->transport->owner = c;
    if (lh_slots_add(&w->slots, &c->source, &c->tag) < 0)
        goto err_after_transport;
    if (lh_evq_add(&w->evq, c->fd, c->interest, c->tag) < 0)
        goto err_after_slot;
    return true;

err_after_slot:
    lh_slots_remove(&w->slots, c->tag);
err_after_transport:
    c->transport->ops->free(c->transport);
err_after_peer:
    lh_peer_let_go(c->host.peer);
    return false;
}

/* One more, or one less (-1).  `load` is what other workers see of it. */
static void count_conns(const struct lh_conn *c, int change)
{
    struct lh_worker *w = c->worker;
    struct lh_counters *counters = &w->ctx.counters;

    w->conns_n += (unsigned)change;
    lh_count_set(&counters->connections, w->conns_n);
    lh_count_add(&counters->carried[c->carrier], (uint64_t)change);
    atomic_store(&w->load, w->conns_n);
}

static void count_accepted(struct lh_conn *c)
{
    struct lh_counters *counters = &c->worker->ctx.counters;

    count_conns(c, 1);
    lh_count_add(&counters->accepted[c->carrier], 1);
    lh_count_add(&counters->connections_total, 1);
    c->host.peer->number = lh_count_get(&counters->connections_total);
}

/* For lack of memory, or of room in the event queue. */
static void turn_away(struct lh_worker *w, int fd,
                      const struct lh_sock_ends *ends)
{
    struct lh_peer peer;

    lh_conn_fill_peer(&peer, ends);
    lh_count_add(&w->ctx.counters.refused[LH_REFUSED_MEMORY], 1);
    lh_log_client(&w->ctx, &peer, LH_LOG_NO_ROOM,
                  "no memory for its connection");
    lh_sock_close(fd);
}

void lh_conn_accept(struct lh_worker *w, const struct lh_listener *listener,
                    int fd, const struct lh_sock_ends *ends)
{
    if ((listener->flags & LHTTPD_LISTEN_PROXY) &&
        !lh_conn_proxy_may(w, fd, ends))
        return;
    struct lh_conn *c = take_spare(w);
    if (!c) {
        turn_away(w, fd, ends);
        return;
    }
    init_conn(c, w, listener, fd);
    if (!equip_conn(c, ends)) {
        turn_away(w, fd, ends);
        give_spare(w, c);
        return;
    }
    lh_list_append(&w->busy, &c->all);
    count_accepted(c);
    c->transport->number = c->host.peer->number;
    if (listener->flags & LHTTPD_LISTEN_PROXY)
        lh_conn_proxy_begin(c);
    else
        lh_negotiate_begin(c);
    lh_conn_settle(c);
}

/* --- the last ones -------------------------------------------------------- */

/* Its exchanges may live on with their handlers; they hold the peer. */
static void free_conn(struct lh_conn *c)
{
    if (c->protocol)
        c->protocol->free(c->p);
    c->transport->ops->free(c->transport);
    lh_conn_proxy_end(c);
    lh_sock_close(c->fd);
    lh_peer_let_go(c->host.peer);
    give_spare(c->worker, c);
}

void lh_conns_reap(struct lh_worker *w)
{
    struct lh_step step = {0};
    struct lh_list *link;

    while ((link = lh_list_take(&w->closed)) != NULL) {
        struct lh_conn *c = LH_OF(link, struct lh_conn, all);
        count_conns(c, -1);
        free_conn(c);
        if (lh_step_over(&step, FREE_COST))
            return;
    }
}

/* --- room for others ------------------------------------------------------ */

/* Its request may be on its way, or have come while its event has not, and the
 * last answer may still be on its way in the system.  What comes while it
 * lingers is nothing.
 */
static bool can_make_room(const struct lh_conn *c)
{
    bool fresh = c->worker->ctx.now_ms - c->idle_ms < FRESH_MS;

    if ((fresh && !c->used) || lh_sock_untaken(c->fd) > 0)
        return false;
    return c->state == LH_CONN_LINGER ||
           (!lh_list_linked(&c->fed) && lh_sock_unread(c->fd) == 0);
}

/* One that cannot is passed over and counts as idle from now on. */
bool lh_conns_find_idle(struct lh_worker *w)
{
    for (int i = 0; i < IDLE_LOOKS && !lh_list_empty(&w->idle); i++) {
        struct lh_conn *c = LH_OF(w->idle.next, struct lh_conn, all);
        if (can_make_room(c))
            return true;
        lh_list_remove(&c->all);
        lh_list_append(&w->idle, &c->all);
    }
    return false;
}

bool lh_conns_close_oldest_idle(struct lh_worker *w)
{
    if (!lh_conns_find_idle(w))
        return false;
    struct lh_conn *c = LH_OF(w->idle.next, struct lh_conn, all);
    lh_count_add(&w->ctx.counters.refused[LH_REFUSED_IDLE], 1);
    LH_CONN_LOG(c, LH_LOG_NO_ROOM,
                "closed after %llu ms without a request: a new client needs "
                "room",
                (unsigned long long)(w->ctx.now_ms - c->idle_ms));
    lh_conn_lose(c);
    return true;
}

/* --- a stop --------------------------------------------------------------- */

/* Who has connected and said nothing yet is given a moment, as the protocol
 * gives it to those who are further. */
static void drain_conn(struct lh_conn *c)
{
    uint64_t soon = lh_deadline(c->worker->ctx.now_ms, LH_PROTO_DRAIN_MS);

    if (c->state == LH_CONN_OPEN)
        c->protocol->drain(c->p);
    else if (c->state < LH_CONN_OPEN && !c->heard)
        c->state_deadline = lh_min64(c->state_deadline, soon);
    lh_conn_settle(c);
}

/* `visit` may move a connection to another list, or close it. */
static void for_all_conns(struct lh_worker *w, void (*visit)(struct lh_conn *c))
{
    struct lh_list *lists[] = {&w->idle, &w->busy};

    for (int i = 0; i < 2; i++) {
        struct lh_list all, *link;
        lh_list_move(&all, lists[i]);
        while ((link = lh_list_take(&all)) != NULL) {
            struct lh_conn *c = LH_OF(link, struct lh_conn, all);
            lh_list_append(lists[i], link);
            visit(c);
        }
    }
}

void lh_conns_drain(struct lh_worker *w)
{
    for_all_conns(w, drain_conn);
}

static void cut_conn(struct lh_conn *c)
{
    c->host.ends = LH_ENDED_CUT;
    lh_conn_lose(c);
}

unsigned lh_conns_cut(struct lh_worker *w)
{
    unsigned cut = 0;

    for (struct lh_list *link = w->busy.next; link != &w->busy;
         link = link->next)
        cut += LH_OF(link, struct lh_conn, all)->state == LH_CONN_OPEN;
    for_all_conns(w, cut_conn);
    return cut;
}
