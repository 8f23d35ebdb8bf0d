/*
 * A server: start, stop and what its workers share, see server.h.
 *
 * Threads of workers exist from launch() until lh_server_wait() has joined
 * them, and what they use is made before and freed after that.  Their event
 * queues last until lh_server_close(), since a shutdown from another thread or
 * from a signal handler may come as late as that.
 */
#include "server/server.h"

#include "http/request_id.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/refused.h"
#include "os/self.h"
#include "os/signals.h"
#include "server/dispatch.h"
#include "server/logs.h"
#include "server/owners.h"
#include "server/over.h"
#include "server/reload.h"
#include "server/stats.h"
#include "server/unused.h"
#include "server/worker.h"

#include <stdio.h>

/* The standard ones, listeners, what the program has open; a worker's queues
 * and a client that is told to wait. */
#define OWN_DESCRIPTORS    16
#define WORKER_DESCRIPTORS 8

/* Left for clients and what scripts open: too few to start, to say nothing. */
#define NEEDED_DESCRIPTORS 2
#define FEW_DESCRIPTORS    16

/* --- the watch ------------------------------------------------------------ */

static int begin_watch(struct lhttpd_server_t *s, unsigned workers,
                       struct lh_err *err)
{
    if (s->attached)
        return 0;
    int r = lh_watch_begin(&s->watch, &s->log, s->limits.handler_run_ms,
                           workers, err);
    if (r == 0)
        r = lh_watch_kill(&s->watch, s->settings.script_kill_ms, err);
    if (r == 0 && s->notify.manager.watchdog_ms)
        lh_watch_feed(&s->watch, &s->notify);
    return r;
}

/* The names of handlers go with their VMs, so another watch sees these off. */
static void watch_the_end(struct lhttpd_server_t *s)
{
    struct lh_err err;

    lh_watch_end(&s->watch);
    if (begin_watch(s, s->workers_n, &err) < 0)
        lh_log(&s->log, LHTTPD_LOG_WARNING, NULL, "%s", err.text);
    for (unsigned i = 0; i < s->workers_n; i++)
        lh_watch_add(&s->watch, &s->workers[i].ctx.running,
                     &s->workers[i].ctx.ids);
}

/* --- check ---------------------------------------------------------------- */

/* Loads each script once, in a VM that is thrown away, so that a mistake is
 * found by who set it up and not by a client. */
static int check_vms(struct lhttpd_server_t *s)
{
    struct lh_context ctx;
    sigset_t before;
    struct lh_list ready;
    struct lh_vm *vm;
    struct lh_store **stores;
    int r = begin_watch(s, 1, &s->err);

    if (r == 0 && lh_owners_begin_check(s, &stores) < 0)
        r = lh_err_memory(&s->err);
    if (r < 0) {
        lh_watch_end(&s->watch);
        return r;
    }
    lh_signals_for_scripts(&before);
    lh_worker_context(s, &ctx, 0);
    ctx.hub = &s->hub;
    lh_watch_add(&s->watch, &ctx.running, &ctx.ids);
    lh_list_init(&ready);
    for (unsigned i = 0; i < s->mappings.n && r == 0; i++) {
        r = lh_mappings_vm(&s->mappings, i, &ctx, &ready, &vm, &s->err);
        if (r == 0 && vm)
            lh_vm_free(vm);
    }
    lh_watch_end(&s->watch);
    lh_worker_context_deinit(&ctx);
    lh_signals_restore(&before);
    lh_owners_end_check(s, stores);
    return r;
}

/* Is anybody believed who may connect there? */
static bool has_believed(const struct lh_networks *from,
                         const struct lh_listener *l)
{
    return lh_listener_is_unix(l) ? from->unix_sockets : from->n > 0;
}

/* Without proxy_from nobody would be believed, and so nobody served. */
static int check_proxies(struct lhttpd_server_t *s)
{
    const struct lh_networks *from = &s->settings.proxy_from;

    if (s->settings.forwarded && lh_networks_empty(from))
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "forwarded: set proxy_from to the addresses of those "
                          "that are believed");
    for (unsigned i = 0; i < s->listeners.n; i++) {
        const struct lh_listener *l = &s->listeners.v[i];
        if ((l->flags & LHTTPD_LISTEN_PROXY) && !has_believed(from, l))
            return lh_err_set(&s->err, LHTTPD_EINVAL,
                              "listener %s: it is for proxies; set proxy_from "
                              "to %s",
                              l->where.text,
                              lh_listener_is_unix(l)
                                  ? "unix: for whoever may connect to it"
                                  : "their addresses");
    }
    return 0;
}

/* Who believes that clients are known must not serve anybody. */
static int check_client_ca(struct lhttpd_server_t *s)
{
    bool has_ca = lh_creds_client_ca(s->creds) != NULL;

    if (has_ca && !lh_listeners_tls(&s->listeners))
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "client_ca: no listener speaks TLS, so no client "
                          "would be asked for a certificate");
    if (!has_ca && s->settings.client_must != LH_CLIENTS_NOT_TOLD)
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "client_verify: there is no client_ca to verify "
                          "clients with");
    return 0;
}

/* What listeners, certificates and mappings need of each other. */
static int check_parts(struct lhttpd_server_t *s)
{
    for (unsigned i = 0; i < s->listeners.n; i++) {
        const struct lh_listener *l = &s->listeners.v[i];
        if ((l->flags & LHTTPD_LISTEN_TLS) && lh_creds_empty(s->creds))
            return lh_err_set(&s->err, LHTTPD_EINVAL,
                              "listener %s: TLS needs a certificate; add one "
                              "before start",
                              l->where.text);
        if ((l->flags & LHTTPD_LISTEN_REDIRECT) &&
            !lh_listeners_tls_over_tcp(&s->listeners))
            return lh_err_set(&s->err, LHTTPD_EINVAL,
                              "listener %s: there is no TLS port to redirect "
                              "to",
                              l->where.text);
    }
    const char *way;
    int r = lh_settings_aio(&s->settings, &way, &s->err);
    if (r == 0)
        r = check_client_ca(s);
    return r < 0 ? r : check_proxies(s);
}

/* Allowed, but hardly meant. */
static void warn_of_nothing(const struct lhttpd_server_t *s, unsigned n,
                            const char *what)
{
    if (n == 0)
        lh_log(&s->log, LHTTPD_LOG_WARNING, NULL, "%s", what);
}

static void warn_of_no_mapping(const struct lhttpd_server_t *s)
{
    warn_of_nothing(s, s->mappings.n,
                    "nothing is mapped: every request is answered with 404");
}

/* What will not work once it runs, or does nothing, is said before. */
static void look_ahead(const struct lhttpd_server_t *s)
{
    lh_creds_look(s->creds, &s->log);
    lh_creds_tell_time(s->creds, &s->log);
    lh_logs_look(s);
    lh_unused_tell(s);
}

int lh_server_check(struct lhttpd_server_t *s)
{
    int r = check_parts(s);

    if (r == 0)
        r = lh_mappings_read(&s->mappings, &s->err);
    if (r == 0)
        r = check_vms(s);
    if (r < 0)
        return r;
    look_ahead(s);
    warn_of_no_mapping(s);
    return 0;
}

/* --- start ---------------------------------------------------------------- */

/* Where descriptors are few, a tenth of them is less than we need ourselves. */
static void resolve_connections(struct lhttpd_server_t *s)
{
    uint64_t descriptors = lh_self_descriptors();
    uint64_t own =
        OWN_DESCRIPTORS + (uint64_t)s->workers_n * WORKER_DESCRIPTORS;

    if (s->limits.connections)
        return;
    if (own < descriptors / 10)
        own = descriptors / 10;
    s->limits.connections = descriptors > own ? descriptors - own : 1;
}

/* After a failed start: the first n of them were begun. */
static void free_workers(struct lhttpd_server_t *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lh_worker_deinit(&s->workers[i]);
    lh_watch_end(&s->watch);
    for (unsigned i = 0; i < n; i++)
        lh_worker_close(&s->workers[i]);
    lh_free(s->workers);
    s->workers = NULL;
}

/* Makes the workers; s->workers_n of them exist when it succeeds. */
static int make_workers(struct lhttpd_server_t *s)
{
    s->workers = lh_calloc(s->workers_n, sizeof(*s->workers));
    if (!s->workers)
        return lh_err_memory(&s->err);
    for (unsigned i = 0; i < s->workers_n; i++) {
        int r = lh_worker_init(&s->workers[i], s, i, &s->err);
        if (r == 0)
            continue;
        free_workers(s, i + 1);
        return r;
    }
    return 0;
}

/* The workers have ended. */
static void stopped(struct lhttpd_server_t *s)
{
    sigset_t before;

    s->state = LH_SERVER_STOPPED;
    watch_the_end(s);
    lh_signals_for_scripts(&before); /* finalizers, and files with output */
    for (unsigned i = 0; i < s->workers_n; i++)
        lh_worker_deinit(&s->workers[i]);
    lh_signals_restore(&before);
    lh_watch_end(&s->watch);
    lh_reload_deinit(s);
    lh_tls_shared_free(s->tls);
    s->tls = NULL;
}

void lh_server_close(struct lhttpd_server_t *s)
{
    if (!s->workers)
        return;
    for (unsigned i = 0; i < s->workers_n; i++)
        lh_worker_close(&s->workers[i]);
    lh_free(s->workers);
    s->workers = NULL;
    lh_evq_deinit(&s->done);
    lh_over_deinit(s);
}

/* Threads inherit the mask of signals, and scripts' threads want none of them.
 */
static int launch(struct lhttpd_server_t *s)
{
    sigset_t before;
    int r = 0;

    lh_signals_for_scripts(&before);
    for (unsigned i = 0; i < s->workers_n && r == 0; i++)
        r = lh_worker_launch(&s->workers[i], &s->err);
    lh_signals_restore(&before);
    return r;
}

/* Those that were launched before another one could not be. */
static void end_launched(struct lhttpd_server_t *s)
{
    atomic_store(&s->stop_told, true); /* it never served */
    atomic_store(&s->stop_at_ms, 0);
    for (unsigned i = 0; i < s->workers_n; i++) {
        struct lh_worker *w = &s->workers[i];
        if (!w->launched)
            continue;
        lh_worker_stop(w);
        lh_thread_join(&w->thread);
    }
    lh_listeners_close(&s->listeners);
}

static void say_refused(void *data, const char *call, const char *why,
                        const char *instead)
{
    const struct lhttpd_server_t *s = data;

    lh_log(&s->log, LHTTPD_LOG_DEBUG, NULL, "%s is refused (%s): %s", call, why,
           instead);
}

/* On a unix socket nobody is in between. */
static bool is_plain_on_networks(const struct lh_listeners *l)
{
    bool is_tcp = false;

    for (unsigned i = 0; i < l->n; i++)
        is_tcp |= !lh_listener_is_unix(&l->v[i]);
    return is_tcp && !lh_listeners_tls_over_tcp(l);
}

static void log_start(struct lhttpd_server_t *s)
{
    if (lh_log_wants(&s->log, LHTTPD_LOG_DEBUG))
        lh_refused_each(say_refused, s);
    warn_of_nothing(s, s->listeners.n,
                    "there is no listener: no client can connect");
    warn_of_no_mapping(s);
    for (unsigned i = 0; i < s->listeners.n; i++)
        lh_log(&s->log, LHTTPD_LOG_NOTICE, NULL, "listening on %s%s%s%s",
               s->listeners.v[i].where.text,
               s->listeners.v[i].flags & LHTTPD_LISTEN_REDIRECT ? " (redirect)"
                                                                : "",
               s->listeners.v[i].flags & LHTTPD_LISTEN_TLS ? " (TLS)" : "",
               s->listeners.v[i].flags & LHTTPD_LISTEN_PROXY ? " (PROXY)" : "");
    if (is_plain_on_networks(&s->listeners))
        lh_log(&s->log, LHTTPD_LOG_NOTICE, NULL,
               "serves plain HTTP: what passes can be read and changed on "
               "its way");
    const char *slow = s->mappings.n ? lh_vm_no_traces() : NULL;
    if (slow)
        lh_log(&s->log, LHTTPD_LOG_NOTICE, NULL, "%s", slow);
}

/* Everything of our own is open by now. */
static int check_descriptors(struct lhttpd_server_t *s)
{
    unsigned room = lh_fd_room(FEW_DESCRIPTORS);
    unsigned long long limit = lh_self_descriptors();

    if (room < NEEDED_DESCRIPTORS)
        return lh_err_set(&s->err, LHTTPD_ESYSTEM,
                          "the limit of open files, %llu, leaves none for a "
                          "client and its files: raise it (ulimit -n)%s",
                          limit,
                          s->workers_n > 1 ? ", or have fewer workers" : "");
    if (room < FEW_DESCRIPTORS)
        lh_log(&s->log, LHTTPD_LOG_WARNING, NULL,
               "the limit of open files, %llu, leaves %u for clients and "
               "their files: raise it (ulimit -n)",
               limit, room);
    return 0;
}

/* What was named for a check has no socket. */
static int check_opened(struct lhttpd_server_t *s)
{
    for (unsigned i = 0; i < s->listeners.n; i++) {
        const struct lh_listener *l = &s->listeners.v[i];
        if (l->flags & LHTTPD_LISTEN_CHECK)
            return lh_err_set(&s->err, LHTTPD_EINVAL,
                              "listener %s: it was named for "
                              "lhttpd_server_check alone "
                              "(LHTTPD_LISTEN_CHECK)",
                              l->where.text);
    }
    return 0;
}

static void use_kernel_tls(struct lhttpd_server_t *s)
{
    const char *why = lh_tls_kernel_refuses();

    if (why)
        lh_log(&s->log, LHTTPD_LOG_WARNING, NULL,
               "kernel_tls is on, but %s does all: %s", lh_tls_library(), why);
    else
        lh_tls_use_kernel(s->tls);
}

static int make_shared(struct lhttpd_server_t *s)
{
    int r = check_opened(s);

    if (r == 0)
        r = check_parts(s);
    if (r == 0)
        r = lh_mappings_read(&s->mappings, &s->err);
    if (r == 0)
        r = lh_mappings_begin(&s->mappings, &s->settings.directories,
                              &s->tallies, lh_dispatch_not_found, &s->err);
    lh_creds_set_client_optional(s->creds, s->settings.client_must ==
                                               LH_CLIENTS_OPTIONAL);
    if (r == 0 && lh_listeners_tls(&s->listeners))
        r = lh_tls_shared_new(&s->tls, s->creds, LHTTPD_HTTP2 != 0, &s->err);
    if (r == 0 && s->tls && s->settings.kernel_tls)
        use_kernel_tls(s);
    if (r == 0)
        look_ahead(s);
    return r;
}

void lh_server_tell_start(struct lhttpd_server_t *s)
{
    log_start(s);
    lh_notify_ready(s, NULL);
}

int lh_server_begin(struct lhttpd_server_t *s)
{
    sigset_t before;
    int r = make_shared(s);

    if (r < 0)
        goto err_after_shared;
    resolve_connections(s);
    if (lh_evq_init(&s->done) < 0) {
        r = lh_err_set(&s->err, LHTTPD_ESYSTEM,
                       "no event queue; too many open files?");
        goto err_after_shared;
    }
    lh_fd_make_room(s->limits.connections); /* no thread of ours runs yet */
    r = begin_watch(s, s->workers_n, &s->err);
    if (r < 0)
        goto err_after_done;
    if (s->leave)
        lh_watch_start(&s->watch, s);
    lh_signals_for_scripts(&before); /* they are loaded in this thread */
    r = make_workers(s);
    lh_signals_restore(&before);
    lh_watch_start(&s->watch, NULL);
    if (r < 0)
        goto err_after_done;
    r = check_descriptors(s);
    if (r < 0)
        goto err_after_workers;
    lh_reload_init(s);
    atomic_store(&s->listeners.in_use, s->workers_n);
    s->process = lh_self_id();
    atomic_store(&s->started_ms, lh_clock_ms());
    lh_stats_note_limits(s, &s->limits);
    s->state = LH_SERVER_RUNNING; /* before a handler can ask */
    return 0;

err_after_workers:
    free_workers(s, s->workers_n);
err_after_done:
    lh_watch_end(&s->watch);
    lh_evq_deinit(&s->done);
err_after_shared:
    lh_tls_shared_free(s->tls);
    s->tls = NULL;
    return r;
}

int lh_server_start(struct lhttpd_server_t *s)
{
    int r = lh_server_begin(s);

    if (r < 0)
        return r;
    r = launch(s);
    if (r < 0) {
        end_launched(s);
        stopped(s);
        return r;
    }
    lh_server_tell_start(s);
    return 0;
}

/* --- stop ----------------------------------------------------------------- */

/* Async-signal-safe: atomics, clock_gettime() and write() alone. */
void lh_server_shutdown(struct lhttpd_server_t *s, unsigned grace_ms)
{
    uint64_t at = lh_clock_ms() + grace_ms;
    uint64_t before = atomic_load(&s->stop_at_ms);

    while (at < before &&
           !atomic_compare_exchange_weak(&s->stop_at_ms, &before, at))
        continue;
    for (unsigned i = 0; i < s->workers_n; i++)
        lh_worker_stop(&s->workers[i]);
    lh_over_shutdown(s);
}

/* Who is inside of a script; NULL: nobody. */
static struct lh_context *who_runs_script(struct lhttpd_server_t *s,
                                          struct lh_run *run)
{
    for (unsigned i = 0; i < s->workers_n; i++)
        if (lh_running_look(&s->workers[i].ctx.running, run))
            return &s->workers[i].ctx;
    return lh_running_look(&s->loader.running, run) ? &s->loader : NULL;
}

/* The request is named as in the log, where its end will have that name too. */
static int tell_script_stuck(struct lhttpd_server_t *s, struct lh_context *who,
                             const struct lh_run *run)
{
    char text[LH_ERR_TEXT_BYTES], made[LH_RUN_ID_BYTES];
    const char *id = lh_request_id_of_run(&who->ids, run, made);

    lh_run_text(text, sizeof(text), run);
    if (id)
        atomic_store(&who->running.told_of, run->request);
    return lh_err_set(&s->err, LHTTPD_ESTUCK,
                      "a script does not return: %s%s%s; its thread goes on",
                      text, id ? ", request " : "", id ? id : "");
}

bool lh_server_has_ended(struct lhttpd_server_t *s)
{
    if (atomic_load(&s->workers_done) < s->workers_n)
        return false;
    if (!s->changes_end) /* for ever */
        s->changes_end = !atomic_flag_test_and_set(&s->changes);
    return s->changes_end && lh_reload_has_ended(s);
}

/* A thread cannot be ended from outside.  So it keeps what it uses, for ever,
 * and the program is told what holds it. */
int lh_server_give_up(struct lhttpd_server_t *s)
{
    struct lh_run run;

    lh_watch_end(&s->watch);
    lh_listeners_vacate(&s->listeners, s->done.fd);
    for (unsigned i = 0; i < s->workers_n && !s->attached; i++)
        lh_thread_detach(&s->workers[i].thread);
    lh_reload_abandon(s);
    s->state = LH_SERVER_STUCK;
    struct lh_context *who = who_runs_script(s, &run);
    if (who)
        return tell_script_stuck(s, who, &run);
    return lh_err_set(&s->err, LHTTPD_ESTUCK,
                      "a file operation does not return from the kernel "
                      "(a dead mount, a device without data); its thread "
                      "goes on");
}

/* How it went, once all workers have ended. */
static int tell_stop(struct lhttpd_server_t *s)
{
    unsigned cut = atomic_load(&s->cut);

    if (cut == 0) {
        lh_log(&s->log, LHTTPD_LOG_NOTICE, NULL,
               "stopped: every request was answered");
        return 0;
    }
    lh_log(&s->log, LHTTPD_LOG_WARNING, NULL,
           "stopped: the grace ran out, requests were cut: %u", cut);
    return lh_err_set(&s->err, LHTTPD_ECUT,
                      "the grace ran out: requests were cut: %u", cut);
}

int lh_server_end(struct lhttpd_server_t *s)
{
    stopped(s);
    return tell_stop(s);
}

/* Workers say that they have ended by a wake; the last one ends the wait. */
int lh_server_wait(struct lhttpd_server_t *s)
{
    struct lh_event none[1];

    while (!lh_server_has_ended(s)) {
        int timeout = lh_over_patience_ms(s);
        if (timeout == 0)
            return lh_server_give_up(s);
        lh_evq_wait(&s->done, none, 1, timeout);
    }
    for (unsigned i = 0; i < s->workers_n; i++)
        lh_thread_join(&s->workers[i].thread);
    return lh_server_end(s);
}
