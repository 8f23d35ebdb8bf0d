/* How often lines of one kind may come: see log_rate.h. */
#include "base/log_rate.h"

/* The level of a kind's lines, and what is counted when there are too many. */
static const struct {
    lhttpd_log_level_t level;
    const char *what;
} kinds[LH_LOG_KINDS] = {
    [LH_LOG_FAILURES] = {LHTTPD_LOG_ERROR, "failed requests"},
    [LH_LOG_OVERRUNS] = {LHTTPD_LOG_WARNING, "handlers that ran too long"},
    [LH_LOG_CLIENTS] = {LHTTPD_LOG_INFO, "clients' troubles"},
    [LH_LOG_REFUSED] = {LHTTPD_LOG_INFO, "refused requests"},
    [LH_LOG_SLOW] = {LHTTPD_LOG_INFO, "clients that were too slow"},
    [LH_LOG_HANDSHAKES] = {LHTTPD_LOG_INFO, "failed TLS handshakes"},
    [LH_LOG_PROXY] = {LHTTPD_LOG_INFO, "refused PROXY headers"},
    [LH_LOG_NO_ROOM] = {LHTTPD_LOG_INFO, "clients without room"},
    [LH_LOG_ACCEPT] = {LHTTPD_LOG_WARNING,
                       "times that no client could be accepted"},
    [LH_LOG_PUBLISHED] = {LHTTPD_LOG_WARNING,
                          "times that what was published was lost"},
};

lhttpd_log_level_t lh_log_kind_level(enum lh_log_kind kind)
{
    return kinds[kind].level;
}

/* Ends a kind's period: says how many lines were left out, if any. */
static void tell_left_out(struct lh_log_rates *rates, enum lh_log_kind kind)
{
    struct lh_log_rate *rate = &rates->kinds[kind];

    if (rate->lines > LH_LOG_RATE_LINES)
        lh_log(rates->log, kinds[kind].level, NULL,
               "%llu more %s were not logged, to keep the log readable",
               (unsigned long long)(rate->lines - LH_LOG_RATE_LINES),
               kinds[kind].what);
    *rate = (struct lh_log_rate){0};
}

void lh_log_rates_tell(struct lh_log_rates *rates)
{
    for (enum lh_log_kind kind = 0; kind < LH_LOG_KINDS; kind++)
        tell_left_out(rates, kind);
}

/* The timer is armed only where lines are left out: no cost for a quiet log. */
static void period_ended(struct lh_timer *timer)
{
    lh_log_rates_tell(LH_OF(timer, struct lh_log_rates, timer));
}

void lh_log_rates_init(struct lh_log_rates *rates, const struct lh_log *log,
                       struct lh_timers *timers)
{
    *rates = (struct lh_log_rates){.log = log, .timers = timers};
    lh_timer_init(&rates->timer, period_ended);
}

bool lh_log_rates_allow(struct lh_log_rates *rates, enum lh_log_kind kind,
                        uint64_t now_ms)
{
    struct lh_log_rate *rate = &rates->kinds[kind];

    if (rates->log->level >= LHTTPD_LOG_DEBUG)
        return true;
    if (!lh_log_wants(rates->log, kinds[kind].level))
        return false; /* and nothing is left out */
    if (rate->lines == 0 || now_ms >= rate->until_ms) {
        tell_left_out(rates, kind);
        rate->until_ms = lh_deadline(now_ms, LH_LOG_RATE_PERIOD_MS);
    }
    if (++rate->lines <= LH_LOG_RATE_LINES)
        return true;
    lh_count_add(&rates->left_out, 1);
    if (!lh_timer_armed(&rates->timer))
        lh_timer_arm(rates->timers, &rates->timer, rate->until_ms);
    return false;
}
