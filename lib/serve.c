/*
 * The main loop of a daemon: signals become calls on its server.
 *
 * A signal's handler finds the server in a variable of the process, and calls
 * only what is async-signal-safe there: a shutdown, and a wake of the queue on
 * which the loop waits, which is the one that a shutdown by anybody else wakes.
 */
#include "lhttpd.h"

#include "os/self.h"
#include "os/signals.h"
#include "server/reload.h"
#include "server/server.h"

#include <stdlib.h>

/* Between tries to open log files while a reload is under way. */
#define AGAIN_MS 20

static struct {
    _Atomic(struct lhttpd_server_t *) server; /* NULL: signals mean nothing */
    unsigned grace_ms;
    _Atomic unsigned stops; /* that were asked for */
    _Atomic bool is_busy;   /* inside start, which may take for ever */
    _Atomic bool reopen;    /* it was asked for; likewise */
    _Atomic bool reload;
} process;

static void stop(struct lhttpd_server_t *s)
{
    unsigned before = atomic_fetch_add(&process.stops, 1);

    if (before && atomic_load(&process.is_busy))
        _Exit(EXIT_FAILURE);
    atomic_store(&s->stop_early, true);
    lhttpd_server_shutdown(s, before ? 0 : process.grace_ms);
}

/* In any thread. */
static void on_signal(enum lh_wish wish)
{
    struct lhttpd_server_t *s = atomic_load(&process.server);

    if (!s)
        return;
    if (wish == LH_WISH_STOP)
        stop(s);
    else if (wish == LH_WISH_RELOAD)
        atomic_store(&process.reload, true);
    else if (wish == LH_WISH_REOPEN)
        atomic_store(&process.reopen, true);
    if (s->state == LH_SERVER_RUNNING && s->process == lh_self_id())
        lh_evq_wake(&s->done);
}

/* Why it failed is the log's business.  False: a reload is under way, and it is
 * to be tried again. */
static bool reopen(struct lhttpd_server_t *s)
{
    int r = lhttpd_server_reopen(s);

    if (r == LHTTPD_ESTATE)
        atomic_store(&process.reopen, true);
    else if (r < 0)
        lhttpd_server_log(s, LHTTPD_LOG_ERROR, lhttpd_server_error(s));
    return r != LHTTPD_ESTATE;
}

/* On a thread of its own: a script that does not end while it loads holds up
 * neither the next signal nor the stop. */
static void reload_on_signal(struct lhttpd_server_t *s)
{
    struct lh_err err;

    if (lh_reload_ask(s, &err) < 0)
        lhttpd_server_log(s, LHTTPD_LOG_ERROR, err.text);
}

static int serve_until_stopped(struct lhttpd_server_t *s)
{
    struct lh_event none[1];

    while (!atomic_load(&process.stops) &&
           atomic_load(&s->stop_at_ms) == LH_NEVER) {
        bool again = atomic_exchange(&process.reopen, false) && !reopen(s);
        if (atomic_exchange(&process.reload, false))
            reload_on_signal(s);
        lh_evq_wait(&s->done, none, 1, again ? AGAIN_MS : -1);
    }
    if (atomic_load(&process.stops)) /* the first came before it ran */
        lhttpd_server_shutdown(s, process.grace_ms);
    int r = lhttpd_server_wait(s);
    if (r == LHTTPD_ESTUCK)
        lhttpd_server_log(s, LHTTPD_LOG_ERROR, lhttpd_server_error(s));
    return r;
}

/* In the thread that watches.  Nobody else will remove the files of sockets. */
static void leave_start_for_good(struct lhttpd_server_t *s)
{
    for (unsigned i = 0; i < s->listeners.n; i++)
        lh_listener_hide(&s->listeners, i);
    _Exit(EXIT_FAILURE);
}

static int start_and_serve(struct lhttpd_server_t *s, lhttpd_daemon_t *daemon)
{
    s->leave = leave_start_for_good;
    atomic_store(&process.is_busy, true);
    int r = lhttpd_server_start(s);
    atomic_store(&process.is_busy, false);
    if (r == 0 && daemon) {
        r = lhttpd_process_ready(daemon);
        if (r < 0)
            lhttpd_server_stop(s, 0);
    }
    return r < 0 ? r : serve_until_stopped(s);
}

int lhttpd_process_serve(lhttpd_server_t *s, lhttpd_daemon_t *daemon,
                         unsigned grace_ms)
{
    struct lhttpd_server_t *nobody = NULL;

    if (!s)
        return LHTTPD_EINVAL;
    if (s->state != LH_SERVER_SETUP)
        return lhttpd_server_start(s); /* says why not */
    if (!atomic_compare_exchange_strong(&process.server, &nobody, s))
        return LHTTPD_ESTATE;
    process.grace_ms = grace_ms;
    atomic_store(&process.stops, 0);
    atomic_store(&process.reload, false);
    atomic_store(&process.reopen, false);
    lh_signals_catch(on_signal);
    int r = start_and_serve(s, daemon);
    atomic_store(&process.server, NULL);
    return r;
}
