/*
 * Deadlines in milliseconds on a hierarchical wheel: arming, moving and
 * disarming cost a few instructions and never fail.  Time is passed in.  `fire`
 * is called from lh_timers_fire() alone; it may arm and disarm any timer.
 */
#ifndef LH_BASE_TIMER_H
#define LH_BASE_TIMER_H

#include "base/list.h"

#include <stdint.h>

#define LH_NEVER UINT64_MAX

#define LH_WHEEL_LEVELS 5
#define LH_WHEEL_SLOTS  64

struct lh_timer {
    struct lh_list link;
    uint64_t deadline_ms;
    void (*fire)(struct lh_timer *timer);
};

struct lh_timers {
    struct lh_list slots[LH_WHEEL_LEVELS][LH_WHEEL_SLOTS];
    uint64_t used[LH_WHEEL_LEVELS]; /* one bit a slot that may have timers */
    struct lh_list due;             /* whose deadline is past */
    uint64_t now_ms;
};

void lh_timers_init(struct lh_timers *timers, uint64_t now_ms);

/* Fires, once each, what is due at now_ms or before.  Never early. */
void lh_timers_fire(struct lh_timers *timers, uint64_t now_ms);
/* The same, but at most `max`; true: there are more, which go first next. */
bool lh_timers_fire_some(struct lh_timers *timers, uint64_t now_ms,
                         unsigned max);

/* How long a wait may last at most: -1 for ever.  It may be shorter than up to
 * the next deadline (a far one is looked at again on its way). */
int lh_timers_wait_ms(const struct lh_timers *timers, uint64_t now_ms);

void lh_timer_init(struct lh_timer *timer, void (*fire)(struct lh_timer *));

/* Arms or moves; a deadline that is past fires at the next lh_timers_fire();
 * LH_NEVER disarms. */
void lh_timer_arm(struct lh_timers *timers, struct lh_timer *timer,
                  uint64_t deadline_ms);
void lh_timer_disarm(struct lh_timer *timer); /* allowed when not armed */

static inline bool lh_timer_armed(const struct lh_timer *timer)
{
    return lh_list_linked(&timer->link);
}

/* A wait may end too early, as those who wait look again. */
#define LH_WAIT_MAX_MS 60000

/* How long to wait until at_ms, as poll() takes it: -1 is for ever. */
static inline int lh_wait_ms(uint64_t now_ms, uint64_t at_ms)
{
    if (at_ms == LH_NEVER)
        return -1;
    uint64_t left = at_ms > now_ms ? at_ms - now_ms : 0;
    return left < LH_WAIT_MAX_MS ? (int)left : LH_WAIT_MAX_MS;
}

/* now + timeout, LH_NEVER where either is unlimited or the sum overflows. */
static inline uint64_t lh_deadline(uint64_t now_ms, uint64_t timeout_ms)
{
    return timeout_ms > LH_NEVER - now_ms ? LH_NEVER : now_ms + timeout_ms;
}

#endif
