/* Who accepts next: see handover.h. */
#include "server/handover.h"

/* One event, then silence until it is armed again.  May be another worker's
 * queue. */
static void arm_listener(struct lh_worker *of, unsigned i)
{
    struct lh_acceptor *a = &of->acceptors[i];

    lh_evq_arm(&of->evq, a->listener->fd, a->tag);
}

/* The waiting worker with the fewest connections, or NULL. */
static struct lh_worker *find_waiting(const struct lh_worker *w)
{
    struct lh_worker *best = NULL;

    for (unsigned i = 0; i < w->server->workers_n; i++) {
        struct lh_worker *other = &w->server->workers[i];
        if (other != w && atomic_load(&other->waiting) &&
            (!best || atomic_load(&other->load) < atomic_load(&best->load)))
            best = other;
    }
    return best;
}

/* Goes round once more only when another worker has ceased or begun to wait
 * meanwhile, and so got on. */
void lh_handover(struct lh_worker *w, unsigned i)
{
    _Atomic int *owner = &w->server->listeners.v[i].owner;
    int from = w->number;

    if (atomic_load(owner) != from)
        return;
    for (;;) {
        struct lh_worker *to = find_waiting(w);
        int next = to ? to->number : LH_OWNER_NONE;
        if (!atomic_compare_exchange_strong(owner, &from, next))
            return; /* whoever has it now sees to it */
        if (to)
            arm_listener(to, i);
        if (to ? atomic_load(&to->waiting) : !find_waiting(w))
            return;
        from = next;
    }
}

/* Before a handler, which may take long. */
void lh_handover_all(struct lh_worker *w)
{
    if (w->server->workers_n == 1 || w->ctx.stopping)
        return;
    for (unsigned i = 0; i < w->server->listeners.n; i++)
        lh_handover(w, i);
}

/* Only reads where there is nothing to take: this is asked in every turn, and
 * a write would have the workers' processors wait for each other. */
static bool owns_now(struct lh_worker *w, struct lh_listener *listener)
{
    int owner = atomic_load(&listener->owner);

    if (owner == LH_OWNER_NONE &&
        atomic_compare_exchange_strong(&listener->owner, &owner, w->number))
        return true;
    return owner == w->number;
}

void lh_handover_take(struct lh_worker *w)
{
    for (unsigned i = 0; i < w->server->listeners.n; i++) {
        struct lh_acceptor *a = &w->acceptors[i];
        if (!owns_now(w, a->listener))
            continue;
        if (!a->armed)
            arm_listener(w, i);
        a->armed = true;
    }
}
