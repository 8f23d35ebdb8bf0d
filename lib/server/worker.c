/*
 * A worker's turn and its stop.
 *
 * Bytes move one way in a turn: events -> input -> protocol -> Lua -> protocol
 * -> output -> socket.  Nothing is resumed from inside a callback: callbacks
 * put things into the queues fed, ready_vms and dirty, and each step takes its
 * queue as it is.
 */
#include "server/worker.h"

#include "net/away.h"
#include "net/outward.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/error.h"
#include "os/port.h"
#include "os/self.h"
#include "os/signals.h"
#include "server/accept.h"
#include "server/check.h"
#include "server/conn.h"
#include "server/conn_input.h"
#include "server/conn_output.h"
#include "server/handover.h"
#include "server/over.h"
#include "server/owners.h"
#include "server/publish.h"
#include "server/request_end.h"

/* A pipelining client's requests are served in rounds within one turn. */
#define ROUNDS_MAX 64

/* From the begin of a turn to that of its last task, by a clock that is cheap
 * and moves by one to ten milliseconds. */
#define TASKS_MS 4

/* Events and timers between two looks at the clock. */
#define EVENT_COST  (LH_STEP_COST / 64)
#define TIMERS_ONCE 32

/* What is counted as a long one. */
#define LONG_TURN_MS 100

/* To the next try when the kernel was short of memory for operations. */
#define SUBMIT_AGAIN_MS 10

/* After a cut, how long tasks that still yield are put up with. */
#define CUT_TASKS_MS 1000

/* From one look whether they have ended to the next. */
#define LOOK_AFTER_CUT_MS 10

/* From one try to the next, where lines of the log are not taken. */
#define LINES_AGAIN_MS 20
/* Objects of each kind that a worker keeps for reuse. */
#define POOL_KEPT 256

static _Thread_local const struct lh_worker *current;

/* --- Stopping ------------------------------------------------------------- */

/* The first worker that hears of it says so; a signal handler cannot. */
static void log_stop(const struct lh_worker *w)
{
    uint64_t at = atomic_load(&w->server->stop_at_ms), now = w->ctx.now_ms;

    if (atomic_exchange(&w->server->stop_told, true))
        return;
    uint64_t grace_ms = at > now ? at - now : 0;
    lh_log(w->ctx.log, LHTTPD_LOG_NOTICE, NULL,
           "stopping: requests under way have %llu ms",
           (unsigned long long)grace_ms);
    lh_notify_stopping(w->server, grace_ms);
}

/* Runs on the worker, as its mail: the stop itself was asked for elsewhere. */
static void begin_stop(struct lh_message *message, struct lh_worker *w)
{
    (void)message;
    w->ctx.stopping = true;
    log_stop(w);
    lh_accept_leave(w, atomic_load(&w->server->stop_at_ms) > w->ctx.now_ms);
    lh_conns_drain(w);
    lh_vms_each(w, lh_vm_stopping);
}

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* The grace is over: what has not ended is cut. */
static void cut_when_due(struct lh_worker *w)
{
    if (!w->ctx.stopping || w->cut ||
        w->ctx.now_ms < atomic_load(&w->server->stop_at_ms))
        return;
    w->cut = true;
    /* A request counts once, though it may have a handler, an exchange and a
     * connection, or only one of these any more. */
    unsigned requests = larger(
        lh_vms_tasks(w), (unsigned)lh_count_get(&w->ctx.counters.exchanges));
    lh_vms_each(w, lh_vm_cut);
    atomic_fetch_add(&w->server->cut, larger(requests, lh_conns_cut(w)));
}

/* Lines about requests that have ended, say; who does not take them holds up no
 * stop that is over. */
static bool lines_have_left(const struct lh_worker *w, const struct lh_lines *l)
{
    return lh_lines_have_left(l) ||
           (l->stalled && !l->busy &&
            w->ctx.now_ms >= atomic_load(&w->server->stop_at_ms));
}

/* Nothing is left that the worker would have to see to.  Files whose clients
 * were cut off are given up in the turn after.  After a cut, tasks that do not
 * end are given up in a while, and the server reports them. */
static bool has_nothing_left(const struct lh_worker *w)
{
    if (!w->ctx.stopping || w->conns_n || w->ctx.counters.operations ||
        !lh_list_empty(&w->served.ready) ||
        !lines_have_left(w, &w->access.lines) ||
        !lines_have_left(w, &w->log_lines))
        return false;
    return lh_vms_tasks(w) == 0 ||
           (w->cut && w->ctx.now_ms >=
                          atomic_load(&w->server->stop_at_ms) + CUT_TASKS_MS);
}

/* Who has nothing left is still asked for its shared values, by handlers of the
 * others: it ends with the last of them, or when the grace is over. */
bool lh_worker_finished(struct lh_worker *w)
{
    struct lhttpd_server_t *s = w->server;

    if (!has_nothing_left(w))
        return false;
    if (!w->idle_told) {
        w->idle_told = true;
        if (atomic_fetch_add(&s->workers_idle, 1) + 1 == s->workers_n)
            for (unsigned i = 0; i < s->workers_n; i++)
                lh_evq_wake(&s->workers[i].evq);
    }
    return w->cut || atomic_load(&s->workers_idle) == s->workers_n;
}

/* --- The turn ------------------------------------------------------------- */

/* Is there something to do that no event will announce? */
static bool work_waits(const struct lh_worker *w)
{
    return !lh_list_empty(&w->fed) || !lh_list_empty(&w->ready_vms) ||
           !lh_list_empty(&w->served.ready) || lh_conns_may_call(w);
}

/* Of two waits as poll() takes them. */
static int shorter_wait(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* When a stop cuts; after the cut what is left is looked after. */
static int wait_for_cut_ms(const struct lh_worker *w)
{
    uint64_t stop_at = atomic_load(&w->server->stop_at_ms);

    if (!w->ctx.stopping)
        return -1;
    if (w->cut || stop_at <= w->ctx.now_ms)
        return LOOK_AFTER_CUT_MS;
    return lh_wait_ms(w->ctx.now_ms, stop_at);
}

static int wait_ms(const struct lh_worker *w)
{
    if (work_waits(w) || !lh_list_empty(&w->dirty) ||
        !lh_list_empty(&w->bulk) || !lh_list_empty(&w->closed) ||
        w->ctx.wants_collection || w->old_vms_due)
        return 0;
    int timeout = lh_timers_wait_ms(&w->ctx.timers, w->ctx.now_ms);
    if (w->submit_again)
        timeout = shorter_wait(timeout, SUBMIT_AGAIN_MS);
    if (w->access.access)
        timeout = shorter_wait(timeout,
                               lh_access_wait_ms(&w->access, w->ctx.stopping));
    if (lh_lines_may_leave(&w->log_lines))
        timeout =
            shorter_wait(timeout, w->log_lines.stalled ? LINES_AGAIN_MS : 0);
    return shorter_wait(timeout, wait_for_cut_ms(w));
}

/* One that has too much to do to sleep does not say that it waits, but takes
 * what nobody else has: its clients must not wait until all others are served.
 */
static void wait_for_events(struct lh_worker *w)
{
    if (w->events_at < w->events_n)
        return; /* the last turn had no time for them */
    int timeout = shorter_wait(wait_ms(w), w->most_ms);
    bool asleep = timeout != 0 && w->accepting;
    lh_count_set(&w->ctx.counters.turn_ms, 0);
    if (asleep)
        atomic_store(&w->waiting, true);
    if (w->accepting)
        lh_handover_take(w);
    w->events_at = 0;
    w->events_n = lh_evq_wait(&w->evq, w->events, LH_EVENTS_MAX, timeout);
    if (asleep)
        atomic_store(&w->waiting, false);
}

/* What requests took is told by this one. */
static void read_exact_clock(struct lh_worker *w)
{
    w->ctx.now_us = lh_clock_ns() / 1000;
}

/* One time for the whole turn: what happens in it happened at once.  The date
 * is written once a second, as it is in every answer. */
static void read_clocks(struct lh_worker *w)
{
    uint64_t now_ms = lh_clock_ms();

    read_exact_clock(w);
    lh_count_set(&w->ctx.counters.turn_ms, now_ms);
    if (now_ms == w->ctx.now_ms && w->ctx.unix_s)
        return;
    w->ctx.now_ms = now_ms;
    int64_t unix_s = lh_clock_unix_s();
    if (unix_s == w->ctx.unix_s)
        return;
    w->ctx.unix_s = unix_s;
    lh_clock_imf_date(unix_s, w->ctx.date);
}

/* Messages are not freed here: who sends one owns it. */
static void deliver_mail(struct lh_worker *w)
{
    struct lh_mailbox_node *node = lh_mailbox_take(&w->mailbox);

    lh_worker_look(w);
    if (w->ctx.port)
        lh_port_deliver(w->ctx.port);
    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct lh_message *message = LH_OF(node, struct lh_message, node);
        message->deliver(message, w);
        node = next;
    }
}

/* The worker takes none any more, or there is none. */
static void drop_mail(struct lh_worker *w)
{
    struct lh_mailbox_node *node = lh_mailbox_take(&w->mailbox);

    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct lh_message *message = LH_OF(node, struct lh_message, node);
        if (message->drop)
            message->drop(message);
        node = next;
    }
}

/* A tag finds nothing where its owner has gone since the event was taken. */
static void read_events(struct lh_worker *w)
{
    struct lh_step step = {0};

    while (w->events_at < w->events_n) {
        const struct lh_event *event = &w->events[w->events_at++];
        struct lh_source *source = lh_slots_find(&w->slots, event->tag);
        if (source)
            source->on_event(source, event->ready);
        if (lh_step_over(&step, EVENT_COST))
            return;
    }
}

/* In portions, with a look at the clock between: a flood of clients that time
 * out at once must not hold up the rest. */
static void fire_timers(struct lh_worker *w)
{
    struct lh_step step = {0};

    while (lh_timers_fire_some(&w->ctx.timers, w->ctx.now_ms, TIMERS_ONCE)) {
        if (lh_step_over(&step, LH_STEP_COST))
            return;
    }
}

/* VM by VM, until the time for tasks is over; who had none is first in the next
 * round. */
static void run_tasks(struct lh_worker *w)
{
    struct lh_list vms, *link;

    lh_list_move(&vms, &w->ready_vms);
    while ((link = lh_list_take(&vms)) != NULL) {
        lh_vm_run(lh_vm_of_ready(link));
        if (w->ctx.resumed_ms >= w->ctx.tasks_until_ms)
            break;
    }
    lh_list_put_first(&w->ready_vms, &vms);
    read_exact_clock(w);
}

/* Files that scripts have lost are open until they are collected, and the
 * garbage of one VM is memory that another may need.  What is open for requests
 * to come goes first. */
static void find_lost(struct lh_worker *w)
{
    if (!w->ctx.wants_collection)
        return;
    w->ctx.wants_collection = false;
    lh_open_files_forget(&w->open_files);
    lh_vms_each(w, lh_vm_find_lost);
}

/* A pipelined request is parsed once the answer before it is there, so input
 * and tasks take turns until nothing moves. */
static void run_rounds(struct lh_worker *w)
{
    struct lh_step step = {0};

    w->ctx.tasks_until_ms = w->ctx.now_ms + TASKS_MS;
    for (int i = 0; i < ROUNDS_MAX && work_waits(w); i++) {
        if (i > 0 && lh_step_over(&step, LH_STEP_COST))
            return;
        lh_conns_feed(w);
        if (!lh_list_empty(&w->served.ready))
            lh_served_run(&w->served);
        if (lh_list_empty(&w->ready_vms))
            continue;
        lh_handover_all(w);
        run_tasks(w);
    }
}

/* How long others had to wait at most. */
static void count_turn(struct lh_worker *w)
{
    struct lh_counters *c = &w->ctx.counters;
    uint64_t ms = lh_clock_ms() - w->ctx.now_ms;

    lh_count_add(&c->turns, 1);
    if (ms >= LONG_TURN_MS)
        lh_count_add(&c->long_turns, 1);
    if (ms > lh_count_get(&c->longest_turn_ms))
        lh_count_set(&c->longest_turn_ms, ms);
}

static void turn(struct lh_worker *w)
{
    wait_for_events(w);
    read_clocks(w);
    w->handshakes = 0;
    w->shaking = (struct lh_step){0};
    deliver_mail(w);
    read_events(w);
    fire_timers(w);
    find_lost(w);
    run_rounds(w);
    lh_conns_write(w);
    if (w->access.access)
        lh_access_leave(&w->access, w->ctx.stopping);
    if (lh_lines_may_leave(&w->log_lines))
        lh_lines_leave(&w->log_lines);
    w->submit_again = lh_aio_submit(w->aio);
    cut_when_due(w);
    lh_conns_prepare(w);
    lh_trim_look(w);
    lh_conns_reap(w);
    w->old_vms_due = !lh_list_empty(&w->old_vms) && lh_vms_free_old(w);
    lh_away_call(&w->pools);
    count_turn(w);
    lh_check_worker(w);
}

/* --- Without a thread ----------------------------------------------------- */

/* In what the program calls meanwhile nothing of ours is left: neither the mask
 * of signals nor that this thread runs scripts. */
void lh_worker_turn(struct lh_worker *w, int most_ms)
{
    sigset_t before;

    lh_signals_for_scripts(&before);
    lh_signals_of_forked(true);
    lh_lines_of_thread(&w->log_lines);
    current = w;
    w->most_ms = most_ms;
    turn(w);
    current = NULL;
    lh_lines_of_thread(NULL);
    lh_signals_of_forked(false);
    lh_signals_restore(&before);
}

/* The timer stays as it is where it fires before it has to; then the next turn
 * sets it again. */
void lh_worker_rest(struct lh_worker *w, int most_ms)
{
    int timeout =
        shorter_wait(w->events_at < w->events_n ? 0 : wait_ms(w), most_ms);
    uint64_t now = w->ctx.now_ms;

    if (w->accepting)
        lh_handover_take(w);
    lh_evq_flush(&w->evq);
    if (timeout < 0)
        return;
    uint64_t until = lh_deadline(now, (uint64_t)timeout);
    if (w->evq.timer_set && w->rests_until_ms <= until)
        return;
    lh_evq_set_timer(&w->evq, timeout);
    w->rests_until_ms = until;
}

int lh_worker_wait_ms(struct lh_worker *w, int most_ms)
{
    if (w->events_at < w->events_n)
        return 0;
    read_clocks(w);
    return shorter_wait(wait_ms(w), most_ms);
}

/* --- Life ----------------------------------------------------------------- */

/* File operations have ended; their tasks become ready. */
static void on_completions(struct lh_source *source, unsigned ready)
{
    struct lh_worker *w = LH_OF(source, struct lh_worker, aio_source);

    (void)ready;
    lh_aio_deliver(w->aio);
}

static int add_aio(struct lh_worker *w, struct lh_err *err)
{
    const char *way;
    int r = lh_settings_aio(&w->server->settings, &way, err);

    if (r == 0)
        r = lh_aio_new(&w->aio, way, err);
    if (r < 0)
        return r;
    w->files_by = lh_aio_way(w->aio);
    w->aio_source.on_event = on_completions;
    if (lh_slots_add(&w->slots, &w->aio_source, &w->aio_tag) < 0)
        return lh_err_memory(err);
    if (lh_evq_add(&w->evq, lh_aio_fd(w->aio), LH_EV_READ, w->aio_tag) < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM,
                          "worker %d: file operations cannot be watched",
                          w->number);
    w->ctx.aio = w->aio;
    w->ctx.evq = &w->evq;
    w->ctx.process = lh_self_id();
    w->ctx.slots = &w->slots;
    lh_log(w->ctx.log, LHTTPD_LOG_DEBUG, NULL,
           "worker %d: file operations by %s", w->number, lh_aio_way(w->aio));
    return 0;
}

/* Handshakes have come back from helpers. */
static void on_back(struct lh_source *source, unsigned ready)
{
    struct lh_worker *w = LH_OF(source, struct lh_worker, crew_source);

    (void)ready;
    lh_away_take(&w->pools);
}

static int watch_crew(struct lh_worker *w)
{
    w->crew_source.on_event = on_back;
    if (lh_slots_add(&w->slots, &w->crew_source, &w->crew_tag) < 0)
        return LH_SYS_ENOMEM;
    return lh_evq_add(&w->evq, lh_crew_fd(w->pools.crew), LH_EV_READ,
                      w->crew_tag);
}

/* Handshakes are done in place where there can be no helpers, as there are to
 * be none in a program's own loop. */
static void add_crew(struct lh_worker *w)
{
    unsigned helpers = (unsigned)w->server->settings.tls_threads;

    w->pools.back = lh_conn_on_back;
    if (!w->pools.tls || w->server->attached || helpers == 0)
        return;
    int r = lh_crew_new(&w->pools.crew, helpers);
    if (r == 0 && (r = watch_crew(w)) < 0)
        lh_away_end(&w->pools);
    if (r < 0)
        lh_log(w->ctx.log, LHTTPD_LOG_NOTICE, NULL,
               "worker %d: TLS handshakes hold up other requests, for there is "
               "no thread for them: %s",
               w->number, lh_sys_text(r));
}

void lh_worker_context(struct lhttpd_server_t *s, struct lh_context *ctx,
                       unsigned worker)
{
    *ctx = (struct lh_context){
        .now_ms = lh_clock_ms(),
        .limits = &s->limits,
        .log = &s->log,
        .software = s->software,
        .kill_ms = s->settings.script_kill_ms,
        .tallies = &s->tallies,
        .stats = &s->stats,
        .media = &s->settings.directories.media,
        .worker = worker,
        .stack_bytes = lh_self_stack_bytes(),
        .ids = {.trusts_clients = s->settings.trust_request_id},
    };
    ctx->ids.has_key = lh_entropy(&ctx->ids.key, sizeof(ctx->ids.key)) == 0;
    lh_timers_init(&ctx->timers, ctx->now_ms);
    lh_log_rates_init(&ctx->log_rates, ctx->log, &ctx->timers);
    lh_buf_pools_init(&ctx->bufs, POOL_KEPT);
    lh_arena_pools_init(&ctx->arenas, POOL_KEPT);
    lh_pool_init(&ctx->exchanges, sizeof(struct lh_exchange), POOL_KEPT);
}

void lh_worker_context_deinit(struct lh_context *ctx)
{
    lh_outward_free(ctx);
    lh_port_close(ctx->port);
    lh_pool_deinit(&ctx->exchanges);
    lh_buf_pools_deinit(&ctx->bufs);
    lh_arena_pools_deinit(&ctx->arenas);
}

static void init_lists(struct lh_worker *w)
{
    struct lh_list *lists[] = {&w->busy,    &w->idle,        &w->closed,
                               &w->spare,   &w->fed,         &w->queue,
                               &w->dirty,   &w->bulk,        &w->ready_vms,
                               &w->old_vms, &w->served.ready};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        lh_list_init(lists[i]);
}

int lh_worker_init(struct lh_worker *w, struct lhttpd_server_t *s,
                   unsigned number, struct lh_err *err)
{
    *w = (struct lh_worker){.server = s, .number = (int)number, .most_ms = -1};
    w->evq.fd = w->evq.wake_fd = w->evq.timer_fd = -1;
    w->accepting = true;
    w->stop.deliver = begin_stop;
    atomic_flag_clear(&w->stop_posted);
    init_lists(w);
    lh_mailbox_init(&w->mailbox);
    lh_worker_context(s, &w->ctx, number);
    lh_open_files_init(&w->open_files, &w->ctx);
    w->ctx.mailbox = &w->mailbox;
    lh_publish_begin_worker(w);
    lh_owners_begin_worker(w);
    lh_watch_add(&s->watch, &w->ctx.running, &w->ctx.ids);
    read_clocks(w);
    lh_trim_init(w);
    lh_expiry_init(w);
    lh_net_pools_init(&w->pools);
    w->pools.ctx = &w->ctx;
    w->limits = s->limits;
    w->ctx.limits = &w->limits;
    w->ctx.readers = s->attached ? NULL : &s->watch.readers;
    w->ctx.request_ends = lh_request_ends;
    lh_worker_share(w);
    if (s->tls && !(w->pools.tls = lh_tls_worker_new(s->tls)))
        return lh_err_memory(err);
    lh_expiry_look(w);
    if (lh_evq_init(&w->evq) < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM,
                          "worker %u: no event queue; too many open files?",
                          number);
    if (s->attached && lh_evq_add_timer(&w->evq) < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM, "no timer for the event queue");
    int r = lh_accept_init(w, err);
    if (r == 0)
        r = add_aio(w, err);
    if (r == 0)
        add_crew(w);
    lh_access_init(&w->access, &s->access, &w->ctx);
    lh_lines_init(&w->log_lines, s->log_file, w->aio);
    if (r == 0)
        r = lh_vms_new(&w->vms, &s->mappings, &w->ctx, &w->ready_vms, err);
    if (r == 0)
        lh_vms_each(w, lh_vm_begin);
    return r;
}

void lh_worker_deinit(struct lh_worker *w)
{
    drop_mail(w);
    lh_news_deinit(&w->news);
    lh_vms_deinit(w);
    lh_open_files_forget(&w->open_files);
    lh_channels_deinit(&w->channels);
    lh_conns_free_spare(w);
    lh_access_deinit(&w->access);
    lh_lines_deinit(&w->log_lines);
    lh_aio_free(w->aio);
    lh_away_end(&w->pools);
    lh_tls_worker_free(w->pools.tls);
    lh_net_pools_deinit(&w->pools);
    lh_slots_deinit(&w->slots);
    lh_worker_context_deinit(&w->ctx);
}

/* A thread of the program may have sent something as late as now. */
void lh_worker_close(struct lh_worker *w)
{
    drop_mail(w);
    lh_channels_deinit(&w->channels);
    if (w->evq.fd >= 0)
        lh_evq_deinit(&w->evq);
}

/* What is not zero here has leaked; tests read it. */
static void log_counters(const struct lh_worker *w)
{
    const struct lh_counters *c = &w->ctx.counters;

    lh_log(
        w->ctx.log, LHTTPD_LOG_DEBUG, NULL,
        "worker %d: connections %llu, exchanges %llu, tasks %llu, operations "
        "%llu (%llu connections and %llu requests in all; %llu turns, the "
        "longest of %llu ms)",
        w->number, (unsigned long long)c->connections,
        (unsigned long long)c->exchanges, (unsigned long long)c->tasks,
        (unsigned long long)c->operations,
        (unsigned long long)c->connections_total,
        (unsigned long long)c->requests_begun, (unsigned long long)c->turns,
        (unsigned long long)c->longest_turn_ms);
}

/* Its last words. */
void lh_worker_end(struct lh_worker *w)
{
    struct lhttpd_server_t *s = w->server;

    lh_lines_lose(&w->log_lines); /* those of who has not taken them */
    lh_lines_of_thread(NULL);
    lh_log_rates_tell(&w->ctx.log_rates);
    lh_access_end(&w->access);
    log_counters(w);
    /* Who posts and sees that it has not ended knows that its message is
     * delivered or dropped soon. */
    atomic_store(&w->ended, true);
    drop_mail(w);
    if (atomic_fetch_add(&s->workers_done, 1) + 1 == s->workers_n)
        atomic_store(&s->done_ms, lh_clock_ms());
    lh_over_note(s);
}

/* The thread. */
static void *run_worker(void *arg)
{
    struct lh_worker *w = arg;

    current = w;
    lh_signals_of_forked(true);
    lh_lines_of_thread(&w->log_lines);
    lh_vm_interruptible(&w->ctx);
    while (!lh_worker_finished(w))
        turn(w);
    lh_worker_end(w);
    return NULL;
}

int lh_worker_launch(struct lh_worker *w, struct lh_err *err)
{
    int r = lh_thread_start(&w->thread, w->ctx.stack_bytes, run_worker, w);

    if (r < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM, "worker %d: no thread: %s",
                          w->number, lh_sys_text(r));
    w->launched = true;
    return 0;
}

void lh_worker_stop(struct lh_worker *w)
{
    if (!atomic_flag_test_and_set(&w->stop_posted))
        lh_mailbox_post(&w->mailbox, &w->stop.node);
    lh_evq_wake(&w->evq);
}

bool lh_worker_is_current(const struct lhttpd_server_t *s)
{
    return current && current->server == s;
}
