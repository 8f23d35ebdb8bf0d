/*
 * What a worker counts.  Its own thread alone writes, by a plain load and a
 * plain store; any other may read at any time, and adds the workers up.  So a
 * count costs two moves and an addition, and nobody waits; what a reader sees
 * of several counts may be a moment apart.
 */
#ifndef LH_BASE_STATS_H
#define LH_BASE_STATS_H

#include "lhttpd.h"

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t lh_count;

static inline uint64_t lh_count_get(const lh_count *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void lh_count_set(lh_count *c, uint64_t n)
{
    atomic_store_explicit(c, n, memory_order_relaxed);
}

/* The owner's; `n` may be a negative number's bits. */
static inline void lh_count_add(lh_count *c, uint64_t n)
{
    lh_count_set(c, lh_count_get(c) + n);
}

static inline void lh_count_sub(lh_count *c, uint64_t n)
{
    lh_count_set(c, lh_count_get(c) - n);
}

/* What a connection runs on. */
enum lh_carrier { LH_OVER_TCP, LH_OVER_TLS, LH_OVER_UNIX, LH_CARRIERS };

/* Why there was no room for a client. */
enum lh_refusal {
    LH_REFUSED_LIMIT,  /* the limit "connections": it waits */
    LH_REFUSED_SYSTEM, /* no descriptors or no memory of the system: likewise */
    LH_REFUSED_MEMORY, /* accepted, and closed for lack of memory */
    LH_REFUSED_IDLE,   /* an idle one was closed to make room */
    LH_REFUSALS,
};

/* How long requests took; see lhttpd_latency_t. */
struct lh_latency {
    lh_count sum_us;
    lh_count counts[LHTTPD_LATENCY_BUCKETS];
};

/* The first bucket whose bound, a power of two, is not below `us`. */
static inline unsigned lh_latency_bucket(uint64_t us)
{
    unsigned bits = us > 1 ? 64 - (unsigned)__builtin_clzll(us - 1) : 0;

    return bits < LHTTPD_LATENCY_BUCKETS ? bits : LHTTPD_LATENCY_BUCKETS - 1;
}

static inline void lh_latency_add(struct lh_latency *latency, uint64_t us)
{
    lh_count_add(&latency->sum_us, us);
    lh_count_add(&latency->counts[lh_latency_bucket(us)], 1);
}

#define LH_STATUS_CLASSES 6 /* 0: no status has left; 2 to 5 */
#define LH_ENDINGS        4 /* see http/exchange.h */

/* How requests went.  Those of two workers share no line of a cache. */
struct lh_request_counts {
    lh_count ended[LH_STATUS_CLASSES][LH_ENDINGS];
    struct lh_latency head, end;
    char apart[64];
};

/* All zero at first.  The first group is what there is now: all zero once a
 * worker has stopped, or something leaked. */
struct lh_counters {
    lh_count connections, idle, carried[LH_CARRIERS];
    lh_count exchanges;
    lh_count tasks, tasks_waiting;
    lh_count operations; /* of files */
    lh_count processes;
    lh_count sockets;     /* of scripts, those too that are being made */
    lh_count vms, vm_kib; /* what their states take, in KiB */

    lh_count accepted[LH_CARRIERS], refused[LH_REFUSALS];
    lh_count connections_total;
    lh_count requests_begun;            /* see http/exchange.h */
    lh_count by_version[3];             /* likewise, of those that have ended */
    struct lh_request_counts unhandled; /* of those without a handler */
    lh_count octets_in, octets_out;     /* of sockets */
    lh_count access_lost;               /* lines of the access log */
    lh_count handshakes_full, handshakes_resumed, handshakes_failed;
    lh_count operations_done;
    lh_count vm_memory_hits;              /* of the limit vm_memory_bytes */
    lh_count shared_values, shared_bytes; /* now, of those that it owns */
    lh_count shared_evicted;
    lh_count scripts_ended; /* by script_kill_ms */
    lh_count sockets_connected, sockets_failed;
    lh_count turn_ms; /* when the present turn began; 0: it waits for events */
    lh_count turns, long_turns, longest_turn_ms; /* a turn: without its wait */
};

static inline uint64_t lh_requests_ended(const struct lh_counters *c)
{
    return lh_count_get(&c->by_version[0]) + lh_count_get(&c->by_version[1]) +
           lh_count_get(&c->by_version[2]);
}

#endif
