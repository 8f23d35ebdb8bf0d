/*
 * Names what holds a worker: see watch.h.
 *
 * What always holds: `is_late` says that `late` was running when the thread
 * last looked and is over its time; it is told of once, and of its end only if
 * it was told of.  One run is told from another by the time at which it began,
 * since the same handler may run again.
 */
#include "server/watch.h"

#include "base/mem.h"
#include "base/num.h"
#include "http/request_id.h"
#include "lhttpd.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/interrupt.h"
#include "os/signals.h"
#include "server/server.h"

#include <stdio.h>
#include <string.h>

/* From one look to the next.  While nothing runs that is as long as handlers
 * may run, for what begins meanwhile is not late before: so an idle process
 * sleeps, and still nothing is named too late. */
#define LOOK_MIN_MS   10
#define LOOK_LATE_MS  1000 /* whether what is late has ended */
#define LOOK_START_MS 100  /* whether a stop comes while scripts load */

/* From one interruption to the next, and how long they may be in vain. */
#define KILL_AGAIN_MS 20
#define STUCK_MS      500

/* Milliseconds as seconds with one decimal place: "5.0 s". */
#define TENTHS        "%llu.%llu s"
#define TENTHS_OF(ms) (ms) / 1000ull, (ms) / 100ull % 10ull

/* --- one worker ----------------------------------------------------------- */

/* What is late, or was. */
static struct lh_log_about about_late(const struct lh_watched *worker)
{
    return (struct lh_log_about){.script = worker->script,
                                 .id = worker->id[0] ? worker->id : NULL};
}

/* "worker 3". */
static const char *who(const struct lh_watch *w, unsigned number, char room[32])
{
    snprintf(room, 32, "worker %u", number);
    return number < w->serving_n ? room : "the reload";
}

/* The line is about the script, and names what of it has been running: a
 * handler, its loading, a collection. */
static void tell_late(const struct lh_watch *w, unsigned number,
                      uint64_t now_ms)
{
    const struct lh_watched *worker = &w->workers[number];
    struct lh_log_about about = about_late(worker);
    char name[32];

    lh_log(w->log, LHTTPD_LOG_WARNING, &about,
           "%s has been in %s for " TENTHS " without a pause: %s",
           who(w, number, name), worker->text,
           TENTHS_OF(now_ms - worker->late_ms),
           number < w->serving_n ? "nothing else of this worker is served"
                                 : "what served before goes on");
}

/* "At most", since the pause may have come at any time after the last look. */
static void tell_pause(const struct lh_watch *w, unsigned number,
                       uint64_t now_ms)
{
    const struct lh_watched *worker = &w->workers[number];
    struct lh_log_about about = about_late(worker);
    char name[32];

    lh_log(w->log, LHTTPD_LOG_NOTICE, &about,
           "%s goes on: %s made a pause after at most " TENTHS,
           who(w, number, name), worker->text,
           TENTHS_OF(now_ms - worker->late_ms));
}

/* What a line is about; the request's own thread is told that it has a name. */
static struct lh_log_about about_run(const struct lh_watched *worker,
                                     const struct lh_run *run,
                                     char id[LH_RUN_ID_BYTES])
{
    const char *made = lh_request_id_of_run(worker->ids, run, id);

    if (made)
        atomic_store(&worker->running->told_of, run->request);
    return (struct lh_log_about){.script = run->script, .id = made};
}

/* The words may be freed before the next look. */
static void note_late(struct lh_watched *worker, const struct lh_run *run)
{
    if (!about_run(worker, run, worker->id).id)
        worker->id[0] = '\0';
    worker->is_late = true;
    worker->late_ms = run->since_ms;
    worker->script = run->script;
    lh_run_text(worker->text, sizeof(worker->text), run);
}

/* Told once of a run. */
static void tell_stuck(struct lh_watch *w, unsigned number,
                       const struct lh_run *run, uint64_t now_ms)
{
    struct lh_watched *worker = &w->workers[number];
    char name[32], text[LH_WATCH_TEXT_BYTES], id[LH_RUN_ID_BYTES];

    worker->stuck_ms = run->since_ms;
    if (!lh_log_rates_allow(&w->rates, LH_LOG_OVERRUNS, now_ms))
        return;
    struct lh_log_about about = about_run(worker, run, id);
    lh_run_text(text, sizeof(text), run);
    lh_log(w->log, LHTTPD_LOG_ERROR, &about,
           "%s is stuck in %s for " TENTHS ": script_kill_ms is over, and this "
           "cannot be interrupted (a loop that LuaJIT has compiled, a C "
           "function, a finalizer)",
           who(w, number, name), text, TENTHS_OF(now_ms - run->since_ms));
}

/* Again and again: the signal may have met it in a C function, or just before
 * it resumed a coroutine.  Returns when to look again. */
static uint64_t interrupt_late(struct lh_watch *w, unsigned number,
                               const struct lh_run *run, uint64_t now_ms)
{
    struct lh_watched *worker = &w->workers[number];
    uint64_t kill_ms = atomic_load(&w->kill_ms);
    uint64_t end_ms = lh_deadline(run->since_ms, kill_ms);

    if (!kill_ms)
        return LH_NEVER;
    if (now_ms < end_ms)
        return end_ms;
    lh_interrupt_send(atomic_load(&worker->running->thread));
    if (now_ms - end_ms >= STUCK_MS && worker->stuck_ms != run->since_ms)
        tell_stuck(w, number, run, now_ms);
    return now_ms + KILL_AGAIN_MS;
}

/* Returns when to look again. */
static uint64_t look_at_late(struct lh_watch *w, unsigned number,
                             const struct lh_run *run, uint64_t now_ms)
{
    struct lh_watched *worker = &w->workers[number];
    /* What is not late yet is looked at again as soon as it could be. */
    uint64_t late_ms = lh_deadline(run->since_ms, atomic_load(&w->limit_ms));

    if (now_ms <= late_ms)
        return lh_deadline(late_ms, 1);
    if (!worker->is_late) {
        note_late(worker, run);
        worker->told = lh_log_rates_allow(&w->rates, LH_LOG_OVERRUNS, now_ms);
        if (worker->told)
            tell_late(w, number, now_ms);
    }
    return now_ms + LOOK_LATE_MS;
}

/* Returns when to look again. */
static uint64_t look_at_worker(struct lh_watch *w, unsigned number,
                               uint64_t now_ms)
{
    struct lh_watched *worker = &w->workers[number];
    struct lh_run run;
    bool runs = lh_running_look(worker->running, &run);

    worker->since_ms = runs ? run.since_ms : LH_NEVER;
    if (worker->is_late && (!runs || run.since_ms != worker->late_ms)) {
        worker->is_late = false;
        if (worker->told)
            tell_pause(w, number, now_ms);
    }
    if (!runs)
        return LH_NEVER;
    uint64_t next_ms = interrupt_late(w, number, &run, now_ms);
    return lh_min64(next_ms, look_at_late(w, number, &run, now_ms));
}

/* --- the service manager's watchdog ----------------------------------------
 */

static bool all_turn(const struct lh_watch *w, unsigned n, uint64_t now_ms,
                     uint64_t most_ms)
{
    for (unsigned i = 0; i < n && i < w->serving_n; i++) {
        if (now_ms > lh_deadline(w->workers[i].since_ms, most_ms))
            return false;
    }
    return true;
}

/* Twice in its time, so that one word that is late does no harm.  Returns when
 * to come again; while a worker does not turn that is soon, for it may go on.
 */
static uint64_t feed_watchdog(struct lh_watch *w, unsigned n, uint64_t now_ms)
{
    struct lh_notify *notify = atomic_load(&w->notify);

    if (!notify)
        return LH_NEVER;
    uint64_t half_ms = notify->manager.watchdog_ms / 2;
    if (now_ms < w->fed_ms + half_ms)
        return w->fed_ms + half_ms;
    if (!all_turn(w, n, now_ms, half_ms))
        return now_ms + LOOK_MIN_MS;
    lh_notify_alive(notify);
    w->fed_ms = now_ms;
    return now_ms + half_ms;
}

/* --- a stop during the start ---------------------------------------------- */

/* The script that loads, if there is one. */
static bool find_loading(const struct lh_watch *w, unsigned n,
                         struct lh_run *run)
{
    for (unsigned i = 0; i < n; i++)
        if (lh_running_look(w->workers[i].running, run))
            return true;
    return false;
}

static void leave_start(const struct lh_watch *w, struct lhttpd_server_t *s,
                        const struct lh_run *run, uint64_t now_ms)
{
    struct lh_log_about about = {.script = run->script};
    char text[LH_WATCH_TEXT_BYTES];

    lh_run_text(text, sizeof(text), run);
    lh_log(w->log, LHTTPD_LOG_ERROR, &about,
           "stopped during the start: %s has not returned for " TENTHS, text,
           TENTHS_OF(now_ms - run->since_ms));
    s->leave(s);
}

/* A signal can ask for the stop, but not wake this thread, which may end just
 * now; so it looks by itself.  Returns when to look again. */
static uint64_t look_at_start(struct lh_watch *w, unsigned n, uint64_t now_ms)
{
    struct lhttpd_server_t *s = atomic_load(&w->starts);
    struct lh_run run;

    if (!s)
        return LH_NEVER;
    if (!atomic_load(&s->stop_early))
        return now_ms + LOOK_START_MS;
    if (w->leave_ms == LH_NEVER)
        w->leave_ms = now_ms + LH_LOAD_STOP_MS;
    if (now_ms >= w->leave_ms && find_loading(w, n, &run))
        leave_start(w, s, &run, now_ms);
    return now_ms + LOOK_START_MS;
}

/* --- the thread ----------------------------------------------------------- */

/* Returns for how long to sleep. */
static int look_at_all(struct lh_watch *w)
{
    unsigned n = atomic_load_explicit(&w->workers_n, memory_order_acquire);
    uint64_t now_ms = lh_clock_ms(); /* before the looks: never too late */
    uint64_t limit_ms = atomic_load(&w->limit_ms);
    uint64_t idle_ms = limit_ms > LOOK_LATE_MS ? limit_ms : LOOK_LATE_MS;
    uint64_t kill_ms = atomic_load(&w->kill_ms);
    if (kill_ms)
        idle_ms = lh_min64(idle_ms, kill_ms);
    uint64_t next_ms = now_ms + lh_min64(idle_ms, LH_WAIT_MAX_MS);

    lh_run_words_free_all(&w->readers);
    lh_timers_fire(&w->timers, now_ms);
    for (unsigned i = 0; i < n; i++)
        next_ms = lh_min64(next_ms, look_at_worker(w, i, now_ms));
    next_ms = lh_min64(next_ms, feed_watchdog(w, n, now_ms));
    next_ms = lh_min64(next_ms, look_at_start(w, n, now_ms));
    int timeout = lh_timers_wait_ms(&w->timers, now_ms);
    if (timeout >= 0)
        next_ms = lh_min64(next_ms, now_ms + (uint64_t)timeout);
    return next_ms < now_ms + LOOK_MIN_MS ? LOOK_MIN_MS
                                          : (int)(next_ms - now_ms);
}

/* The last look comes after the end was asked for: what became late since the
 * look before is still named. */
static void *watch_workers(void *arg)
{
    struct lh_watch *w = arg;
    struct lh_event none[1];
    bool ends;

    do {
        ends = atomic_load(&w->ends);
        int timeout = look_at_all(w);
        if (!ends)
            lh_evq_wait(&w->queue, none, 1, timeout);
    } while (!ends);
    lh_log_rates_tell(&w->rates);
    return NULL;
}

/* Signals are for the program's own threads, so this one blocks them. */
static int start_thread(struct lh_watch *w, struct lh_err *err)
{
    sigset_t before;

    lh_signals_for_helpers(&before);
    int r = lh_thread_start(&w->thread, 0, watch_workers, w);
    lh_signals_restore(&before);
    if (r == 0)
        return 0;
    return lh_err_set(err, LHTTPD_ESYSTEM, "no thread to watch the workers: %s",
                      lh_sys_text(r));
}

int lh_watch_begin(struct lh_watch *w, const struct lh_log *log,
                   uint64_t limit_ms, unsigned workers, struct lh_err *err)
{
    int r;

    /* One by one: a signal may shut the server down while a second watch
     * begins, and then looks at the limit. */
    w->log = log;
    w->is_on = false;
    w->serving_n = workers;
    w->fed_ms = 0;
    atomic_store(&w->limit_ms, limit_ms);
    atomic_store(&w->ends, false);
    atomic_store(&w->workers_n, 0);
    atomic_store(&w->kill_ms, 0);
    atomic_store(&w->notify, NULL);
    atomic_store(&w->starts, NULL);
    w->leave_ms = LH_NEVER;
    lh_mailbox_init(&w->readers);
    lh_timers_init(&w->timers, lh_clock_ms());
    lh_log_rates_init(&w->rates, log, &w->timers);
    w->workers = lh_calloc(workers + 1, sizeof(*w->workers));
    if (!w->workers)
        return lh_err_memory(err);
    if (lh_evq_init(&w->queue) < 0) {
        r = lh_err_set(err, LHTTPD_ESYSTEM,
                       "no event queue; too many open files?");
        goto err_after_workers;
    }
    r = start_thread(w, err);
    if (r < 0)
        goto err_after_queue;
    w->is_on = true;
    return 0;

err_after_queue:
    lh_evq_deinit(&w->queue);
err_after_workers:
    lh_free(w->workers);
    return r;
}

/* The pointer is stored before the count that makes it visible to the thread.
 */
void lh_watch_add(struct lh_watch *w, struct lh_running *running,
                  const struct lh_ids *ids)
{
    unsigned n = atomic_load_explicit(&w->workers_n, memory_order_relaxed);

    if (!w->is_on)
        return;
    w->workers[n].running = running;
    w->workers[n].ids = ids;
    atomic_store_explicit(&w->workers_n, n + 1, memory_order_release);
}

void lh_watch_start(struct lh_watch *w, struct lhttpd_server_t *s)
{
    if (!w->is_on)
        return;
    atomic_store(&w->starts, s);
    if (s)
        lh_evq_wake(&w->queue);
}

void lh_watch_feed(struct lh_watch *w, struct lh_notify *notify)
{
    if (!w->is_on)
        return;
    atomic_store(&w->notify, notify);
    lh_evq_wake(&w->queue);
}

void lh_watch_set_limit(struct lh_watch *w, uint64_t limit_ms)
{
    atomic_store(&w->limit_ms, limit_ms);
    if (w->is_on)
        lh_evq_wake(&w->queue);
}

int lh_watch_kill(struct lh_watch *w, uint64_t kill_ms, struct lh_err *err)
{
    if (!kill_ms)
        return 0;
    int r = lh_interrupt_take();
    if (r < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM, "script_kill_ms: SIGURG: %s",
                          lh_sys_text(r));
    atomic_store(&w->kill_ms, kill_ms);
    lh_evq_wake(&w->queue);
    return 0;
}

void lh_watch_end(struct lh_watch *w)
{
    if (!w->is_on) {
        lh_run_words_free_all(&w->readers);
        return;
    }
    w->is_on = false;
    atomic_store(&w->ends, true);
    lh_evq_wake(&w->queue);
    lh_thread_join(&w->thread);
    if (atomic_load(&w->kill_ms))
        lh_interrupt_give_back();
    lh_evq_deinit(&w->queue);
    lh_run_words_free_all(&w->readers);
    lh_free(w->workers);
}
