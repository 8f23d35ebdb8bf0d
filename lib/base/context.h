/*
 * What a worker lends to every layer: its time, timers, limits, log, pools and
 * counters.  One a worker; only that worker's thread touches it, but for
 * `running` and `counters`, which others read.
 */
#ifndef LH_BASE_CONTEXT_H
#define LH_BASE_CONTEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log_rate.h"
#include "base/mem.h"
#include "base/running.h"
#include "base/stats.h"
#include "base/tally.h"
#include "base/timer.h"

struct lh_hub;
struct lh_media;
struct lh_channels;

/* Of os/, where a worker has them; NULL for VMs that are thrown away. */
struct lh_aio;
struct lh_evq;
struct lh_port;
struct lh_slots;

/* Of files/; NULL: none are kept. */
struct lh_open_files;

struct lh_exchange;

/* Of net/. */
struct lh_outward;

/* The server's statistics, for scripts.  Any thread. */
struct lh_stats_source {
    const void *server;
    void (*read)(const void *server, lhttpd_stats_t *stats);
    int (*read_handler)(const void *server, unsigned index,
                        lhttpd_handler_stats_t *stats);
};

/* What ids of requests are made of: see http/request_id.h. */
struct lh_ids {
    struct lh_hash_key key; /* random, of this worker alone */
    bool has_key;           /* or there are no ids */
    bool trusts_clients;    /* theirs are taken where they fit */
};

struct lh_context {
    uint64_t now_ms;           /* monotonic; set at the start of each turn */
    uint64_t now_us;           /* monotonic and exact; set before a turn's input
                                  and once tasks have run */
    int64_t unix_s;            /* the calendar's time, as now_ms */
    char date[30];             /* unix_s as IMF-fixdate (RFC 9110, 5.6.7) */
    uint64_t tasks_until_ms;   /* no further task runs in this turn; 0: any */
    uint64_t resumed_ms;       /* when the last task began to run */
    struct lh_running running; /* what of a script runs now */
    struct lh_mailbox *readers; /* of `running`, see lh_run_words_free() */
    struct lh_timers timers;
    const lhttpd_limits_t *limits; /* resolved: no zeroes */
    const struct lh_log *log;
    struct lh_log_rates log_rates;
    const char *software; /* the server field's value; "" for none */
    unsigned worker;
    size_t stack_bytes;               /* of the thread; 0: unknown */
    struct lh_aio *aio;               /* file operations */
    struct lh_open_files *open_files; /* for the next request */
    long process;               /* that runs the worker; of lh_self_id() */
    struct lh_evq *evq;         /* events, and whose they are: */
    struct lh_slots *slots;     /* for pipes and child processes too */
    struct lh_mailbox *mailbox; /* for struct lh_message, from any thread */
    struct lh_port *port;       /* NULL: nobody has needed it yet */
    struct lh_outward *outward; /* NULL: no script has connected yet */
    struct lh_hub *hub; /* of the server; NULL for VMs that are thrown away */
    struct lh_channels *channels; /* NULL while scripts load */
    struct lh_buf_pools bufs;     /* for lh_buf */
    struct lh_pool exchanges;     /* for http/exchange */
    struct lh_arena_pools arenas; /* for lh_arena */
    struct lh_ids ids;
    uint64_t exchanges_made; /* the number of the last one */
    struct lh_counters counters;
    struct lh_tallies *tallies;   /* of handlers; NULL: they have none */
    uint64_t kill_ms;             /* how long a script may run; 0: for ever */
    void *volatile kill_of;       /* for a signal: the VM that runs, or NULL */
    const struct lh_media *media; /* types of files; NULL: the usual ones */
    const struct lh_stats_source *stats; /* NULL: there are none */
    /* Asks for a reload, which another thread does; 0, or an error in words.
     * NULL for VMs that are thrown away. */
    int (*ask_reload)(struct lh_context *ctx, struct lh_err *err);
    /* Told of each request once, when it has ended; NULL: nobody wants to know.
     */
    void (*request_ends)(struct lh_exchange *ex);
    bool stopping; /* a stop has begun */
    /* Descriptors or the system's memory ran out: what any VM of the worker has
     * lost is to be collected. */
    bool wants_collection;
};

#endif
