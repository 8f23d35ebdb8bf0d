/* What always holds: see check.h. */
#include "server/check.h"

#if LHTTPD_CHECKS

#include <assert.h>

/* Lists that are longer are walked in every so many turns only. */
#define LONG_LIST     256
#define TURNS_BETWEEN 64

/* --- a connection --------------------------------------------------------- */

static void check_state(const struct lh_conn *c)
{

    assert(c->state > LH_CONN_SPARE && c->state < LH_CONN_CLOSED);
    if (c->state != LH_CONN_LINGER) /* with none, a handshake has failed */
        assert((c->protocol != NULL) == (c->state == LH_CONN_OPEN));
    assert(c->fd >= 0 && c->transport && c->host.peer);
    assert(lh_list_linked(&c->all));
    assert(!c->feeding); /* its step is over */
    if (c->linger_ends)
        assert(c->state == LH_CONN_LINGER);
    if (c->hung_up)
        assert(c->fin != LH_NOT_SEEN);
    if (c->blocked)
        assert(c->send_deadline != LH_NEVER);
    if (c->tail && c->state == LH_CONN_OPEN)
        assert(c->send_deadline != LH_NEVER);
}

/* Nothing of it waits for an event that does not come. */
static void check_queues(const struct lh_conn *c, unsigned now)
{
    if (((now & LH_PROTO_WANTS_INPUT) && lh_conn_has_more(c)) || c->queues)
        assert(lh_list_linked(&c->fed));
    if (!c->blocked && (now & (LH_PROTO_HAS_OUTPUT | LH_PROTO_CLOSE)))
        assert(lh_list_linked(&c->dirty));
    if (c->blocked && !c->hung_up)
        assert(c->interest & LH_EV_WRITE);
    if (c->counts_idle)
        assert(!c->blocked && !lh_list_linked(&c->dirty));
}

/* The timer may be early, never late. */
static void check_timer(const struct lh_conn *c)
{
    uint64_t at = lh_conn_deadline(c);

    if (at < c->spared_until)
        at = c->spared_until;
    if (at != LH_NEVER)
        assert(lh_timer_armed(&c->timer) && c->timer.deadline_ms <= at);
}

void lh_check_conn(const struct lh_conn *c)
{
    check_state(c);
    check_queues(c, lh_conn_status(c));
    check_timer(c);
}

/* --- a worker ------------------------------------------------------------- */

/* How many connections are in the list, which `idle` and `closed` describe. */
static unsigned check_list(const struct lh_worker *w,
                           const struct lh_list *list, bool idle, bool closed)
{
    unsigned n = 0;

    for (const struct lh_list *l = list->next; l != list; l = l->next) {
        const struct lh_conn *c = LH_OF(l, struct lh_conn, all);
        assert(c->worker == w);
        assert((c->state == LH_CONN_CLOSED) == closed);
        if (!closed)
            assert(c->counts_idle == idle);
        n++;
    }
    return n;
}

/* Who is closed is in no queue. */
static void check_queue(const struct lh_list *queue, size_t offset)
{
    for (const struct lh_list *l = queue->next; l != queue; l = l->next) {
        const struct lh_conn *c =
            (const struct lh_conn *)(const void *)((const char *)l - offset);
        assert(c->state > LH_CONN_SPARE && c->state < LH_CONN_CLOSED);
    }
}

/* Who has a helper's place kept goes on in the next step. */
static void check_called(const struct lh_worker *w)
{
    unsigned n = 0;

    for (const struct lh_list *l = w->fed.next; l != &w->fed; l = l->next)
        n += LH_OF(l, struct lh_conn, fed)->called;
    assert(n == w->called);
}

/* Each that was begun ends, at the latest with its connection. */
static void check_requests(const struct lh_worker *w)
{
    const struct lh_counters *n = &w->ctx.counters;
    uint64_t ended = lh_requests_ended(n);

    assert(ended <= n->requests_begun);
    assert(n->requests_begun - ended <= n->exchanges);
    if (w->conns_n == 0)
        assert(ended == n->requests_begun);
}

void lh_check_worker(const struct lh_worker *w)
{
    assert(w->ctx.counters.connections == w->conns_n);
    assert(atomic_load(&w->load) == w->conns_n);
    assert(w->ctx.counters.exchanges == w->ctx.exchanges.out);
    assert(w->ctx.counters.tasks == lh_vms_tasks(w)); /* of old VMs too */
    check_requests(w);
    if (w->conns_n > LONG_LIST &&
        lh_count_get(&w->ctx.counters.turns) % TURNS_BETWEEN)
        return;
    unsigned n = check_list(w, &w->busy, false, false);
    n += check_list(w, &w->idle, true, false);
    n += check_list(w, &w->closed, false, true);
    assert(n == w->conns_n);
    check_queue(&w->fed, offsetof(struct lh_conn, fed));
    check_queue(&w->queue, offsetof(struct lh_conn, fed));
    check_called(w);
    check_queue(&w->dirty, offsetof(struct lh_conn, dirty));
    check_queue(&w->bulk, offsetof(struct lh_conn, dirty));
}

#endif
