/*
 * How often lines of one kind may come: clients and failing scripts cause as
 * many as they like, and must neither fill a disk nor bury other lines.  One of
 * each a worker; at level debug nothing is left out.
 */
#ifndef LH_BASE_LOG_RATE_H
#define LH_BASE_LOG_RATE_H

#include "base/log.h"
#include "base/stats.h"
#include "base/timer.h"

/* So many lines of a kind in each period; how many more there were is said at
 * its end. */
#define LH_LOG_RATE_LINES     20
#define LH_LOG_RATE_PERIOD_MS 10000

enum lh_log_kind {
    LH_LOG_FAILURES, /* handlers that raised */
    LH_LOG_OVERRUNS, /* handlers that ran for too long */
    LH_LOG_CLIENTS,  /* what clients did wrong */
    LH_LOG_REFUSED,  /* requests that no handler saw: 4xx, 5xx, a closed one */
    LH_LOG_SLOW,     /* clients whose time was up */
    LH_LOG_HANDSHAKES, /* of TLS, that failed */
    LH_LOG_PROXY,      /* connections without a PROXY header to believe */
    LH_LOG_NO_ROOM,    /* clients that a limit has kept out, or cut */
    LH_LOG_ACCEPT,     /* listeners that had to wait for room */
    LH_LOG_PUBLISHED,  /* what was published and lost */
    LH_LOG_KINDS,
};

struct lh_log_rate {
    uint64_t until_ms; /* the end of the period that its first line began */
    uint64_t lines;    /* in it, with those that were left out */
};

struct lh_log_rates {
    struct lh_log_rate kinds[LH_LOG_KINDS];
    const struct lh_log *log;
    struct lh_timers *timers;
    struct lh_timer timer; /* armed while there is something to be said */
    lh_count left_out;     /* lines in all */
};

void lh_log_rates_init(struct lh_log_rates *rates, const struct lh_log *log,
                       struct lh_timers *timers);

/* Whether one more line of this kind may be logged; false counts it. */
bool lh_log_rates_allow(struct lh_log_rates *rates, enum lh_log_kind kind,
                        uint64_t now_ms);

/* How grave a line of this kind is. */
lhttpd_log_level_t lh_log_kind_level(enum lh_log_kind kind);

/* Says what was left out so far; a worker's end calls it, else a timer. */
void lh_log_rates_tell(struct lh_log_rates *rates);

#endif
