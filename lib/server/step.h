/*
 * How long one step of a turn may take: it ends once its time is over, and what
 * is left of its queue is first in the next turn.  So nobody waits for others
 * longer than a few of these, however many they are.
 */
#ifndef LH_SERVER_STEP_H
#define LH_SERVER_STEP_H

#include "os/clock.h"

#include <stdbool.h>
#include <stddef.h>

#define LH_STEP_NS 1000000

/* The clock is looked at after work that costs about as much as moving so many
 * octets; the step's time begins with the first look. */
#define LH_STEP_COST ((size_t)64 << 10)

/* Begin with zeroes. */
struct lh_step {
    uint64_t until_ns;
    size_t cost; /* since the last look */
    bool over;
};

static inline bool lh_step_over(struct lh_step *step, size_t cost)
{
    step->cost += cost;
    if (step->cost < LH_STEP_COST)
        return step->over;
    step->cost = 0;
    uint64_t now = lh_clock_ns();
    if (!step->until_ns)
        step->until_ns = now + LH_STEP_NS;
    step->over = now >= step->until_ns;
    return step->over;
}

#endif
