/*
 * Reload, all or nothing: see reload.h.  One thread at a time, the holder of
 * s->changes, has the loader's context and the mappings' sources.
 */
#include "server/reload.h"

#include "os/clock.h"
#include "os/error.h"
#include "os/signals.h"
#include "server/over.h"
#include "server/worker.h"

#include <string.h>

/* From one try to begin to the next. */
#define AGAIN_MS 5

void lh_reload_deinit(struct lhttpd_server_t *s)
{
    lh_worker_context_deinit(&s->loader);
}

/* --- making --------------------------------------------------------------- */

static void free_sets(struct lh_vms **sets, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lh_vms_free(sets[i]);
    lh_free(sets);
}

static int check_runs(const struct lhttpd_server_t *s, struct lh_err *err)
{
    if (atomic_load(&s->stop_at_ms) == LH_NEVER)
        return 0;
    return lh_err_set(err, LHTTPD_ESTATE, "the server stops");
}

static int make_set(struct lhttpd_server_t *s, unsigned worker,
                    struct lh_vms **set, struct lh_err *err)
{
    s->loader.worker = worker;
    s->loader.now_ms = lh_clock_ms();
    lh_timers_fire(&s->loader.timers, s->loader.now_ms);
    int r = lh_vms_new(set, &s->mappings, &s->loader, &s->loader_ready, err);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < (*set)->n; i++)
        if ((*set)->v[i])
            lh_vm_leave((*set)->v[i]);
    (*set)->predecessor_ms = s->settings.reload_grace_ms;
    return 0;
}

/* For all workers, in this thread; the signals are those of scripts. */
static int make_sets(struct lhttpd_server_t *s, struct lh_vms ***out,
                     struct lh_err *err)
{
    struct lh_vms **sets = lh_calloc(s->workers_n, sizeof(struct lh_vms *));
    int r = lh_mappings_read(&s->mappings, err);

    if (!sets)
        return lh_err_memory(err);
    for (unsigned i = 0; i < s->workers_n && r == 0; i++) {
        r = make_set(s, i, &sets[i], err);
        if (r == 0)
            r = check_runs(s, err); /* loading may have taken long */
    }
    if (r == 0)
        *out = sets;
    else
        free_sets(sets, s->workers_n);
    return r;
}

/* --- all of it ------------------------------------------------------------ */

/* How many certificates stay as they were, or why nothing has changed. */
static int reload(struct lhttpd_server_t *s, struct lh_err *err)
{
    struct lh_creds *creds = NULL;
    struct lh_vms **sets = NULL;
    int kept = 0, r = check_runs(s, err);

    if (r == 0)
        kept = lh_creds_read_again(&creds, s->creds, &s->log, err);
    if (kept < 0)
        r = kept;
    if (r == 0)
        r = make_sets(s, &sets, err);
    if (r < 0) {
        lh_creds_free(creds);
        if (sets)
            free_sets(sets, s->workers_n);
        return r;
    }
    lh_news_give_creds(s, creds);
    lh_news_give_vms(s, sets);
    atomic_fetch_add(&s->reloads, 1);
    lh_free(sets);
    return kept;
}

/* `kept`: certificates whose files could not be read. */
static void describe_reload(struct lh_err *words, int kept)
{
    if (kept)
        lh_err_set(words, 0,
                   "reloaded: scripts are as they are now; %d certificate%s "
                   "could not be read and stay%s as before",
                   kept, kept == 1 ? "" : "s", kept == 1 ? "s" : "");
    else
        lh_err_set(words, 0,
                   "reloaded: scripts and certificates are as they are now");
}

/* Once it stops a service manager is not told of anything else. */
static void tell_outcome(struct lhttpd_server_t *s, const char *outcome)
{
    if (atomic_load(&s->stop_at_ms) == LH_NEVER)
        lh_notify_ready(s, outcome);
}

int lh_server_reload(struct lhttpd_server_t *s, struct lh_err *err)
{
    struct lh_err done;
    sigset_t before;

    lh_notify_reloading(s);
    lh_signals_for_scripts(&before);
    int r = reload(s, err);
    lh_signals_restore(&before);
    if (r < 0) {
        lh_err_prefix(err, "reload: nothing has changed");
        tell_outcome(s, err->text);
        return r;
    }
    describe_reload(&done, r);
    lh_log(&s->log, LHTTPD_LOG_NOTICE, NULL, "%s", done.text);
    lh_creds_tell_time(s->creds, &s->log);
    tell_outcome(s, done.text);
    return 0;
}

/* --- on a thread of its own ----------------------------------------------- */

/* False: the server stops. */
static bool claim_changes(struct lhttpd_server_t *s)
{
    while (atomic_flag_test_and_set(&s->changes)) {
        if (atomic_load(&s->stop_at_ms) != LH_NEVER)
            return false;
        lh_thread_sleep_ms(AGAIN_MS);
    }
    return true;
}

/* Nobody waits for it, so a failure is the log's. */
static void reload_once(struct lhttpd_server_t *s)
{
    struct lh_err err;

    if (!claim_changes(s))
        return;
    if (lh_server_reload(s, &err) < 0)
        lh_log(&s->log, LHTTPD_LOG_ERROR, NULL, "%s", err.text);
    atomic_flag_clear(&s->changes);
}

static void *run_reloader(void *arg)
{
    struct lhttpd_server_t *s = arg;
    int state;

    s->reloader.thread =
        lh_thread_self(); /* for who joins it once it has ended */
    do {
        atomic_store(&s->reloader.state, LH_RELOADER_RUNS);
        reload_once(s);
        state = LH_RELOADER_RUNS;
    } while (!atomic_compare_exchange_strong(&s->reloader.state, &state,
                                             LH_RELOADER_ENDED));
    lh_over_note(s);
    return NULL;
}

static int start_reloader(struct lhttpd_server_t *s, struct lh_err *err)
{
    struct lh_thread thread;
    int r = lh_thread_start(&thread, s->loader.stack_bytes, run_reloader, s);

    if (r == 0)
        return 0;
    atomic_store(&s->reloader.state, LH_RELOADER_NONE);
    return lh_err_set(err, LHTTPD_ESYSTEM, "no thread to reload: %s",
                      lh_sys_text(r));
}

/* Who gets it to BEGINS starts the thread, after having collected the last. */
int lh_reload_ask(struct lhttpd_server_t *s, struct lh_err *err)
{
    int state = atomic_load(&s->reloader.state);

    for (;;) {
        int next =
            state == LH_RELOADER_RUNS ? LH_RELOADER_AGAIN : LH_RELOADER_BEGINS;
        if (state == LH_RELOADER_BEGINS || state == LH_RELOADER_AGAIN)
            return 0; /* it has not read anything yet, or will once more */
        if (state == LH_RELOADER_CLOSED)
            return lh_err_set(err, LHTTPD_ESTATE, "the server stops");
        int before = state;
        if (!atomic_compare_exchange_strong(&s->reloader.state, &state, next))
            continue;
        if (next == LH_RELOADER_AGAIN)
            return 0;
        if (before == LH_RELOADER_ENDED)
            lh_thread_join(&s->reloader.thread);
        return start_reloader(s, err);
    }
}

/* In a program's own loop its thread reloads, once the turn is over. */
static int ask_to_reload(struct lh_context *ctx, struct lh_err *err)
{
    struct lhttpd_server_t *s = LH_OF(ctx, struct lh_worker, ctx)->server;

    if (!s->attached)
        return lh_reload_ask(s, err);
    int r = check_runs(s, err);
    if (r == 0)
        atomic_store(&s->reload_asked, true);
    return r;
}

/* Where another thread changes something just now, it is tried again. */
void lh_reload_asked(struct lhttpd_server_t *s)
{
    struct lh_err err;

    if (!atomic_load(&s->reload_asked) || atomic_flag_test_and_set(&s->changes))
        return;
    atomic_store(&s->reload_asked, false);
    if (lh_server_reload(s, &err) < 0)
        lh_log(&s->log, LHTTPD_LOG_ERROR, NULL, "%s", err.text);
    atomic_flag_clear(&s->changes);
}

void lh_reload_init(struct lhttpd_server_t *s)
{
    lh_worker_context(s, &s->loader, 0);
    s->loader.hub = &s->hub;
    lh_list_init(&s->loader_ready);
    lh_watch_add(&s->watch, &s->loader.running, &s->loader.ids);
    atomic_init(&s->reloader.state, LH_RELOADER_NONE);
    for (unsigned i = 0; i < s->workers_n; i++)
        s->workers[i].ctx.ask_reload = ask_to_reload;
}

/* True: no thread reloads, and none will, for the state is CLOSED from now on.
 * Who has asked for more meanwhile (AGAIN) keeps it busy. */
bool lh_reload_has_ended(struct lhttpd_server_t *s)
{
    int state = LH_RELOADER_NONE;

    if (atomic_compare_exchange_strong(&s->reloader.state, &state,
                                       LH_RELOADER_CLOSED) ||
        state == LH_RELOADER_CLOSED)
        return true;
    state = LH_RELOADER_ENDED;
    if (!atomic_compare_exchange_strong(&s->reloader.state, &state,
                                        LH_RELOADER_CLOSED))
        return false;
    lh_thread_join(&s->reloader.thread);
    return true;
}

/* Before it runs, the thread has not left its handle yet. */
void lh_reload_abandon(struct lhttpd_server_t *s)
{
    if (!lh_reload_has_ended(s) &&
        atomic_load(&s->reloader.state) != LH_RELOADER_BEGINS)
        lh_thread_detach(&s->reloader.thread);
}
