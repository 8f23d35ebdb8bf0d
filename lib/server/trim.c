/* Memory goes back to the system: see trim.h. */
#include "server/trim.h"

#include "base/mem.h"
#include "os/memory.h"
#include "server/worker.h"

/* A period must pass quietly, with less than a quarter of the load before.  So
 * a load that lasts costs nothing, and one that comes and goes little. */
#define PERIOD_MS 5000
#define QUIET     4

/* A lower load is not worth the work: 256 requests hold a megabyte or two. */
#define LOAD_LEAST 256

/* What holds memory while it is served. */
static unsigned load_of(const struct lh_worker *w)
{
    return w->conns_n + w->ctx.exchanges.out;
}

static void arm_trim(struct lh_worker *w)
{
    lh_timer_arm(&w->ctx.timers, &w->trim.timer, w->ctx.now_ms + PERIOD_MS);
}

static void period_is_over(struct lh_timer *timer)
{
    struct lh_worker *w = LH_OF(timer, struct lh_worker, trim.timer);
    struct lh_trim *t = &w->trim;

    if (t->peak < t->before / QUIET) {
        if (!lh_mem_is_given())
            lh_memory_give_back();
        t->before = 0;
    }
    if (t->before < t->peak)
        t->before = t->peak;
    t->peak = load_of(w);
    if (t->before >= LOAD_LEAST)
        arm_trim(w);
}

void lh_trim_init(struct lh_worker *w)
{
    lh_timer_init(&w->trim.timer, period_is_over);
}

void lh_trim_look(struct lh_worker *w)
{
    unsigned load = load_of(w);

    if (load <= w->trim.peak)
        return;
    w->trim.peak = load;
    if (load >= LOAD_LEAST && !lh_timer_armed(&w->trim.timer))
        arm_trim(w);
}
