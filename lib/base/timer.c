/*
 * The timer wheel: see timer.h.
 *
 * Level l has slots of 64^l milliseconds.  A timer is kept on the level of the
 * highest digit (base 64) in which its deadline differs from now, in the slot
 * that this digit numbers.  So on each level all timers are in slots after the
 * current one, of the current round; slot 0 would never be used.  The top
 * level's slot 0 holds what is due after the top level's round.
 */
#include "base/timer.h"

#include <limits.h>

#define DIGIT_BITS 6
#define TOP        (LH_WHEEL_LEVELS - 1)

_Static_assert(1 << DIGIT_BITS == LH_WHEEL_SLOTS, "a digit numbers a slot");

/* The number of a level's slot, counted from time 0. */
static uint64_t slot_of(uint64_t ms, unsigned level)
{
    return ms >> (level * DIGIT_BITS);
}

static uint64_t round_of(uint64_t ms, unsigned level)
{
    return slot_of(ms, level) / LH_WHEEL_SLOTS;
}

static void place(struct lh_timers *timers, struct lh_timer *timer)
{
    uint64_t deadline = timer->deadline_ms, now = timers->now_ms;

    if (deadline <= now) {
        lh_list_append(&timers->due, &timer->link);
        return;
    }
    unsigned highest_bit = 63 - (unsigned)__builtin_clzll(deadline ^ now);
    unsigned level = highest_bit / DIGIT_BITS, slot = 0;
    if (level > TOP)
        level = TOP;
    else
        slot = (unsigned)(slot_of(deadline, level) % LH_WHEEL_SLOTS);
    lh_list_append(&timers->slots[level][slot], &timer->link);
    timers->used[level] |= UINT64_C(1) << slot;
}

void lh_timers_init(struct lh_timers *timers, uint64_t now_ms)
{
    for (unsigned level = 0; level < LH_WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < LH_WHEEL_SLOTS; slot++)
            lh_list_init(&timers->slots[level][slot]);
        timers->used[level] = 0;
    }
    lh_list_init(&timers->due);
    timers->now_ms = now_ms;
}

/* The slots of a level, one bit each, that begin in (timers->now_ms, now_ms].
 * Only in a new round is that slot 0, and then it is all of them. */
static uint64_t slots_begun(const struct lh_timers *timers, unsigned level,
                            uint64_t now_ms)
{
    if (round_of(now_ms, level) != round_of(timers->now_ms, level))
        return UINT64_MAX;
    uint64_t current = UINT64_C(1) << (slot_of(now_ms, level) % LH_WHEEL_SLOTS);
    return (current | (current - 1)) & ~UINT64_C(1);
}

static void move_all(struct lh_list *to, struct lh_list *from)
{
    struct lh_list *l;

    while ((l = lh_list_take(from)))
        lh_list_append(to, l);
}

/* Moves time on: what the begun slots hold is placed anew, each timer once. */
static void turn_wheel(struct lh_timers *timers, uint64_t now_ms)
{
    struct lh_list moving, *l;

    lh_list_init(&moving);
    for (unsigned level = 0; level < LH_WHEEL_LEVELS; level++) {
        uint64_t begun =
            timers->used[level] & slots_begun(timers, level, now_ms);
        timers->used[level] &= ~begun;
        for (; begun; begun &= begun - 1)
            move_all(&moving, &timers->slots[level][__builtin_ctzll(begun)]);
    }
    timers->now_ms = now_ms;
    while ((l = lh_list_take(&moving)))
        place(timers, LH_OF(l, struct lh_timer, link));
}

bool lh_timers_fire_some(struct lh_timers *timers, uint64_t now_ms,
                         unsigned max)
{
    struct lh_list firing, *l;

    if (now_ms > timers->now_ms)
        turn_wheel(timers, now_ms);
    if (lh_list_empty(&timers->due))
        return false;
    /* What a callback arms for the past waits for the next call. */
    lh_list_move(&firing, &timers->due);
    while (max-- && (l = lh_list_take(&firing))) {
        struct lh_timer *timer = LH_OF(l, struct lh_timer, link);
        timer->fire(timer);
    }
    bool more = !lh_list_empty(&firing);
    lh_list_put_first(&timers->due, &firing);
    return more;
}

void lh_timers_fire(struct lh_timers *timers, uint64_t now_ms)
{
    lh_timers_fire_some(timers, now_ms, UINT_MAX);
}

/* When a slot begins that lies after the current one of its level. */
static uint64_t slot_begins(const struct lh_timers *timers, unsigned level,
                            unsigned slot)
{
    uint64_t wheel_round = round_of(timers->now_ms, level) + (slot == 0);

    return (wheel_round * LH_WHEEL_SLOTS + slot) << (level * DIGIT_BITS);
}

/* The first begin of a slot with timers on this level; LH_NEVER: none. */
static uint64_t level_next(const struct lh_timers *timers, unsigned level)
{
    const struct lh_list *slots = timers->slots[level];

    for (uint64_t used = timers->used[level] & ~UINT64_C(1); used;
         used &= used - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(used);
        if (!lh_list_empty(&slots[slot]))
            return slot_begins(timers, level, slot);
    }
    if (!lh_list_empty(&slots[0]))
        return slot_begins(timers, level, 0);
    return LH_NEVER;
}

int lh_timers_wait_ms(const struct lh_timers *timers, uint64_t now_ms)
{
    uint64_t next = LH_NEVER;

    if (!lh_list_empty(&timers->due))
        return 0;
    for (unsigned level = 0; next == LH_NEVER && level <= TOP; level++)
        next = level_next(timers, level);
    if (next == LH_NEVER)
        return -1;
    if (next <= now_ms)
        return 0;
    return next - now_ms < INT_MAX ? (int)(next - now_ms) : INT_MAX;
}

void lh_timer_init(struct lh_timer *timer, void (*fire)(struct lh_timer *))
{
    lh_list_init(&timer->link);
    timer->deadline_ms = LH_NEVER;
    timer->fire = fire;
}

void lh_timer_arm(struct lh_timers *timers, struct lh_timer *timer,
                  uint64_t deadline_ms)
{
    lh_timer_disarm(timer);
    timer->deadline_ms = deadline_ms;
    if (deadline_ms != LH_NEVER)
        place(timers, timer);
}

void lh_timer_disarm(struct lh_timer *timer)
{
    lh_list_remove(&timer->link);
    timer->deadline_ms = LH_NEVER;
}
