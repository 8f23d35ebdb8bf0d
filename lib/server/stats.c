/*
 * The statistics: see stats.h.
 *
 * What always holds: only atomics are read here, and what they lie in exists as
 * long as the server: workers are made before it runs, and freed by destroy.
 */
#include "server/stats.h"

#include "base/num.h"
#include "os/clock.h"
#include "server/worker.h"

/* How long an interrupted script may take to end. */
#define STUCK_AFTER_MS 1000

/* From where in the counters to where in the statistics. */
struct count_field {
    size_t from, to;
};

#define FROM(counter) offsetof(struct lh_counters, counter)
#define TO(field)     offsetof(lhttpd_stats_t, field)

static const struct count_field sums[] = {
    {FROM(turns), TO(turns)},
    {FROM(long_turns), TO(long_turns)},
    {FROM(connections), TO(connections)},
    {FROM(idle), TO(connections_idle)},
    {FROM(carried[LH_OVER_TCP]), TO(connections_tcp)},
    {FROM(carried[LH_OVER_TLS]), TO(connections_tls)},
    {FROM(carried[LH_OVER_UNIX]), TO(connections_unix)},
    {FROM(accepted[LH_OVER_TCP]), TO(accepted_tcp)},
    {FROM(accepted[LH_OVER_TLS]), TO(accepted_tls)},
    {FROM(accepted[LH_OVER_UNIX]), TO(accepted_unix)},
    {FROM(refused[LH_REFUSED_LIMIT]), TO(refused_limit)},
    {FROM(refused[LH_REFUSED_SYSTEM]), TO(refused_system)},
    {FROM(refused[LH_REFUSED_MEMORY]), TO(refused_memory)},
    {FROM(refused[LH_REFUSED_IDLE]), TO(closed_for_room)},
    {FROM(octets_in), TO(octets_in)},
    {FROM(octets_out), TO(octets_out)},
    {FROM(access_lost), TO(access_lost)},
    {FROM(handshakes_full), TO(tls_full)},
    {FROM(handshakes_resumed), TO(tls_resumed)},
    {FROM(handshakes_failed), TO(tls_failed)},
    {FROM(exchanges), TO(requests_open)},
    {FROM(tasks), TO(tasks_running)}, /* and those that wait, at first */
    {FROM(tasks_waiting), TO(tasks_waiting)},
    {FROM(vms), TO(vms)},
    {FROM(vm_kib), TO(vm_memory_bytes)}, /* in KiB, at first */
    {FROM(vm_memory_hits), TO(vm_memory_hits)},
    {FROM(scripts_ended), TO(scripts_ended)},
    {FROM(operations), TO(files_pending)},
    {FROM(operations_done), TO(files_done)},
    {FROM(processes), TO(children)},
    {FROM(shared_values), TO(shared_values)},
    {FROM(shared_bytes), TO(shared_bytes)},
    {FROM(shared_evicted), TO(shared_evicted)},
    {FROM(sockets), TO(sockets_open)},
    {FROM(sockets_connected), TO(sockets_connected)},
    {FROM(sockets_failed), TO(sockets_failed)},
    {FROM(by_version[LH_HTTP_1_0]), TO(requests_http10)},
    {FROM(by_version[LH_HTTP_1_1]), TO(requests_http11)},
    {FROM(by_version[LH_HTTP_2]), TO(requests_http2)},
};

static uint64_t *value_at(void *base, size_t offset)
{
    return (uint64_t *)(void *)((char *)base + offset);
}

static void add_counters(lhttpd_stats_t *to, const struct lh_counters *from)
{
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        const char *base = (const char *)from;
        const lh_count *count =
            (const lh_count *)(const void *)(base + sums[i].from);
        *value_at(to, sums[i].to) += lh_count_get(count);
    }
}

/* --- requests ------------------------------------------------------------- */

static void add_latency(lhttpd_latency_t *to, const struct lh_latency *from)
{
    to->sum_us += lh_count_get(&from->sum_us);
    for (int i = 0; i < LHTTPD_LATENCY_BUCKETS; i++)
        to->counts[i] += lh_count_get(&from->counts[i]);
}

static uint64_t of_class(const struct lh_request_counts *n, unsigned class)
{
    uint64_t sum = 0;

    for (unsigned ending = 0; ending < LH_ENDINGS; ending++)
        sum += lh_count_get(&n->ended[class][ending]);
    return sum;
}

static uint64_t of_ending(const struct lh_request_counts *n,
                          enum lh_ending ending)
{
    uint64_t sum = 0;

    for (unsigned class = 0; class < LH_STATUS_CLASSES; class ++)
        sum += lh_count_get(&n->ended[class][ending]);
    return sum;
}

static void add_requests(lhttpd_requests_t *to,
                         const struct lh_request_counts *from)
{
    to->unanswered += of_class(from, 0);
    to->status_2xx += of_class(from, 2);
    to->status_3xx += of_class(from, 3);
    to->status_4xx += of_class(from, 4);
    to->status_5xx += of_class(from, 5);
    to->complete += of_ending(from, LH_ENDED_COMPLETE);
    to->gone += of_ending(from, LH_ENDED_GONE);
    to->timed_out += of_ending(from, LH_ENDED_TIMEOUT);
    to->cut += of_ending(from, LH_ENDED_CUT);
    add_latency(&to->head, &from->head);
    add_latency(&to->end, &from->end);
}

static void add_tally(const struct lhttpd_server_t *s, lhttpd_requests_t *to,
                      const struct lh_tally *tally)
{
    for (unsigned i = 0; i < s->workers_n; i++)
        add_requests(to, &tally->of_worker[i]);
}

static void add_tallies(const struct lhttpd_server_t *s, lhttpd_requests_t *to)
{
    const struct lh_tally *tally = lh_tally_at(&s->tallies, 0);

    for (; tally; tally = lh_tally_next(tally))
        add_tally(s, to, tally);
}

int lh_server_handler_stats(const struct lhttpd_server_t *s, unsigned index,
                            lhttpd_handler_stats_t *stats)
{
    const struct lh_tally *tally = lh_tally_at(&s->tallies, index);

    if (!tally)
        return LHTTPD_EINVAL;
    stats->prefix = tally->prefix;
    stats->script = tally->script;
    stats->name = tally->name;
    stats->vms = atomic_load(&tally->vms);
    add_tally(s, &stats->requests, tally);
    return 0;
}

/* --- workers -------------------------------------------------------------- */

/* A turn may end between the two looks at the clock. */
static uint64_t present_turn_ms(const struct lh_counters *c)
{
    uint64_t began_ms = lh_count_get(&c->turn_ms), now_ms = lh_clock_ms();

    return began_ms && began_ms < now_ms ? now_ms - began_ms : 0;
}

static void add_turns(lhttpd_stats_t *to, const struct lh_counters *c,
                      uint64_t stuck_ms)
{
    uint64_t longest = lh_count_get(&c->longest_turn_ms);
    uint64_t present = present_turn_ms(c);

    to->workers_stuck += present > stuck_ms;
    if (to->longest_turn_ms < longest)
        to->longest_turn_ms = longest;
    if (to->present_turn_ms < present)
        to->present_turn_ms = present;
}

static void add_channels(lhttpd_stats_t *to, const struct lh_channels *c)
{
    to->channels += lh_count_get(&c->open);
    to->channel_subscribers += lh_count_get(&c->subscribers);
    to->channel_messages += lh_count_get(&c->delivered);
    to->channel_dropped += lh_count_get(&c->dropped);
    to->channel_lost += lh_count_get(&c->lost);
}

static void add_worker(lhttpd_stats_t *to, const struct lh_worker *w,
                       uint64_t stuck_ms)
{
    const struct lh_counters *c = &w->ctx.counters;

    add_counters(to, c);
    add_requests(&to->requests, &c->unhandled);
    add_turns(to, c, stuck_ms);
    add_channels(to, &w->channels);
    to->log_lines_left_out += lh_count_get(&w->ctx.log_rates.left_out);
    if (strcmp(w->files_by, "uring") == 0)
        to->files_by_uring++;
    else
        to->files_by_threads++;
}

/* The workers are there once the server has begun to run, and what describes
 * them does not change any more. */
static void add_workers(const struct lhttpd_server_t *s, lhttpd_stats_t *stats)
{
    uint64_t stuck_ms = atomic_load(&s->stuck_ms);

    for (unsigned i = 0; i < s->workers_n; i++)
        add_worker(stats, &s->workers[i], stuck_ms);
}

/* Counted up and down by one thread each, two numbers may be seen a moment
 * apart. */
static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void lh_stats_note_limits(struct lhttpd_server_t *s,
                          const lhttpd_limits_t *limits)
{
    uint64_t kill_ms = s->settings.script_kill_ms;

    atomic_store(&s->stuck_ms, kill_ms ? lh_deadline(kill_ms, STUCK_AFTER_MS)
                                       : limits->handler_run_ms);
    atomic_store(&s->vm_memory_limit, limits->vm_memory_bytes);
}

void lh_server_stats(const struct lhttpd_server_t *s, lhttpd_stats_t *stats)
{
    stats->workers = s->workers_n;
    stats->handlers = atomic_load(&s->tallies.n);
    if (s->state == LH_SERVER_SETUP)
        return;
    stats->reloads = atomic_load(&s->reloads);
    stats->vm_memory_limit = atomic_load(&s->vm_memory_limit);
    stats->uptime_ms = lh_clock_ms() - atomic_load(&s->started_ms);
    add_workers(s, stats);
    add_tallies(s, &stats->requests);
    stats->tasks_running = minus(stats->tasks_running, stats->tasks_waiting);
    stats->vm_memory_bytes *= 1024;
}

/* --- for scripts ---------------------------------------------------------- */

static void sum_all(const void *server, lhttpd_stats_t *stats)
{
    lh_server_stats(server, stats);
}

static int read_handler(const void *server, unsigned index,
                        lhttpd_handler_stats_t *stats)
{
    return lh_server_handler_stats(server, index, stats);
}

void lh_stats_init(struct lhttpd_server_t *s)
{
    s->stats = (struct lh_stats_source){
        .server = s, .read = sum_all, .read_handler = read_handler};
    lh_tallies_init(&s->tallies, s->workers_n);
}
