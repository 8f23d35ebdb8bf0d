/*
 * Accepting clients: see accept.h.
 *
 * What always holds: a listener is armed for one event, so that it is silent
 * until its owner (handover.h) arms it again; and a client that waits and
 * cannot be accepted pauses the worker, which would be woken by it in each
 * turn.
 */
#include "server/accept.h"

#include "os/error.h"
#include "server/conn.h"
#include "server/handover.h"

#define ACCEPT_MAX       8    /* clients a listener's event takes in */
#define ACCEPT_ALONE_MAX 64   /* ... where there is no other worker */
#define ACCEPT_LAST_MAX  4096 /* ... once more at a stop: a long queue */
#define AHEAD_MAX        4   /* connections more than the least loaded worker */
#define ACCEPT_PAUSE_MS  100 /* out of descriptors or connections */

/* For a while the worker takes no clients, since there is no room for any;
 * others may have some. */
static void pause_accepting(struct lh_worker *w)
{
    w->accepting = false;
    lh_timer_arm(&w->ctx.timers, &w->accept_pause,
                 w->ctx.now_ms + ACCEPT_PAUSE_MS);
    lh_handover_all(w);
}

/* Whether there is room by now shows when the next client comes. */
static void resume_accepting(struct lh_timer *timer)
{
    struct lh_worker *w = LH_OF(timer, struct lh_worker, accept_pause);

    w->accepting = !w->ctx.stopping;
}

/* A worker that is ahead of another takes one client at a time, which leaves
 * the rest to whoever comes to wait meanwhile; but never none, since the other
 * may be inside a long handler. */
static unsigned share(const struct lh_worker *w)
{
    if (w->server->workers_n == 1)
        return ACCEPT_ALONE_MAX;
    for (unsigned i = 0; i < w->server->workers_n; i++) {
        if (atomic_load(&w->server->workers[i].load) + AHEAD_MAX <= w->conns_n)
            return 1;
    }
    return ACCEPT_MAX;
}

/* A listener that will never have a client again would report for ever. */
static void give_listener_up(struct lh_acceptor *a, const char *why)
{
    int mine = a->worker->number;

    if (atomic_compare_exchange_strong(&a->listener->owner, &mine,
                                       LH_OWNER_GONE))
        lh_log(a->worker->ctx.log, LHTTPD_LOG_ERROR, NULL,
               "%s takes no clients any more: %s", a->listener->where.text,
               why);
}

/* Said once, until it works again; not too often if it comes and goes. */
static void report_trouble(struct lh_acceptor *a, const char *why)
{
    struct lh_context *ctx = &a->worker->ctx;

    if (!a->in_trouble &&
        lh_log_rates_allow(&ctx->log_rates, LH_LOG_ACCEPT, ctx->now_ms))
        lh_log(a->worker->ctx.log, LHTTPD_LOG_WARNING, NULL,
               "%s: no client can be accepted: %s", a->listener->where.text,
               why);
    a->in_trouble = true;
}

/* Tells what may pass from what will not, and makes room where that helps: a
 * connection that is idle is worth less than a client that waits. */
static void not_accepted(struct lh_acceptor *a, int error)
{
    const char *why = lh_sys_text(error);

    switch (lh_sock_not_accepted(a->listener->fd, error)) {
    case LH_ACCEPT_NONE:
        return;
    case LH_ACCEPT_BROKEN:
        give_listener_up(a, why);
        return;
    case LH_ACCEPT_NO_ROOM:
        lh_count_add(&a->worker->ctx.counters.refused[LH_REFUSED_SYSTEM], 1);
        a->worker->ctx.wants_collection = true;
        if (!lh_sock_has_client(a->listener->fd))
            return;
        if (!lh_conns_find_idle(a->worker))
            report_trouble(a, why);
        lh_conns_close_oldest_idle(a->worker);
        break;
    case LH_ACCEPT_FAILED:
        report_trouble(a, why);
        break;
    }
    pause_accepting(a->worker);
}

/* What is open for requests to come gives way to a client. */
static int accept_one(struct lh_acceptor *a, struct lh_sock_ends *ends)
{
    int fd = lh_sock_accept(a->listener->fd, ends);

    if (fd < 0 && lh_sys_is_no_room(fd) &&
        lh_open_files_forget(&a->worker->open_files))
        fd = lh_sock_accept(a->listener->fd, ends);
    return fd;
}

/* False: no client waits, or there is no room for it. */
static bool accept_client(struct lh_acceptor *a)
{
    struct lh_worker *w = a->worker;
    bool full = w->conns_n >= w->conns_max;
    struct lh_sock_ends ends;

    if (full && !lh_conns_find_idle(w)) {
        lh_count_add(&w->ctx.counters.refused[LH_REFUSED_LIMIT], 1);
        report_trouble(a, "all connections that may be open are busy "
                          "(limit \"connections\")");
        pause_accepting(w);
        return false;
    }
    int fd = accept_one(a, &ends);
    if (fd < 0) {
        not_accepted(a, fd);
        return false;
    }
    a->in_trouble = false;
    if (full)
        lh_conns_close_oldest_idle(w);
    lh_conn_accept(w, a->listener, fd, &ends);
    return true;
}

/* At most a share: the others are to have clients too.  Mostly a client comes
 * alone, and to accept nobody costs many times what it costs to look: the
 * kernel makes a socket before it finds that there is no client for it. */
static void accept_clients(struct lh_acceptor *a)
{
    for (unsigned i = 0; i < share(a->worker); i++) {
        if (i > 0 && !lh_sock_has_client(a->listener->fd))
            return;
        if (!accept_client(a))
            return;
    }
}

/* At a stop: whoever the kernel has accepted for us believes to be connected.
 */
static void accept_rest(struct lh_acceptor *a)
{
    for (int n = 0; n < ACCEPT_LAST_MAX; n++) {
        if (!accept_client(a))
            return;
    }
}

/* The listener was armed one-shot, so it does not report again before somebody
 * arms it. */
static void on_client(struct lh_source *source, unsigned ready)
{
    struct lh_acceptor *a = LH_OF(source, struct lh_acceptor, source);

    (void)ready;
    a->armed = false;
    if (a->worker->accepting)
        accept_clients(a);
    if (a->worker->server->workers_n > 1)
        lh_handover(a->worker, (unsigned)(a - a->worker->acceptors));
}

void lh_accept_leave(struct lh_worker *w, bool rest)
{
    struct lhttpd_server_t *s = w->server;

    for (unsigned i = 0; i < s->listeners.n; i++) {
        struct lh_acceptor *a = &w->acceptors[i];
        if (rest)
            accept_rest(a);
        lh_evq_forget(&w->evq, a->listener->fd);
        lh_slots_remove(&w->slots, a->tag);
    }
    /* Who comes between the last look and the end is reset after all. */
    bool last = lh_listeners_leave(&s->listeners);
    for (unsigned i = 0; last && i < s->listeners.n; i++) {
        lh_listener_hide(&s->listeners, i);
        if (rest)
            accept_rest(&w->acceptors[i]);
        lh_listener_close(&s->listeners, i);
    }
    w->accepting = false;
    lh_timer_disarm(&w->accept_pause);
}

int lh_accept_init(struct lh_worker *w, struct lh_err *err)
{
    lh_timer_init(&w->accept_pause, resume_accepting);
    for (unsigned i = 0; i < w->server->listeners.n; i++) {
        struct lh_acceptor *a = &w->acceptors[i];
        a->source.on_event = on_client;
        a->worker = w;
        a->listener = &w->server->listeners.v[i];
        if (lh_slots_add(&w->slots, &a->source, &a->tag) < 0)
            return lh_err_memory(err);
        if (lh_evq_add(&w->evq, a->listener->fd, LH_EV_ONESHOT, a->tag) < 0)
            return lh_err_set(err, LHTTPD_ESYSTEM,
                              "listener %s: cannot be watched for clients",
                              a->listener->where.text);
    }
    return 0;
}
