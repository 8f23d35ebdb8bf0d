/* The end of a request: see request_end.h. */
#include "server/request_end.h"

#include "base/trace.h"
#include "server/worker.h"

/* For traces, which a release does not have. */
static const char *const ending_names[] = {
    [LH_ENDED_GONE] = "GONE",
    [LH_ENDED_TIMEOUT] = "TIMEOUT",
    [LH_ENDED_CUT] = "CUT",
    [LH_ENDED_COMPLETE] = "COMPLETE",
};

static const char *prefix_of(const struct lh_worker *w,
                             const struct lh_exchange *ex)
{
    return ex->mapping_number < 0
               ? NULL
               : w->server->mappings.v[ex->mapping_number].prefix;
}

_Static_assert(LH_ENDED_COMPLETE + 1 == LH_ENDINGS, "one count each");

/* Of the handler alone, where there is one: readers add up. */
static void count_end(const struct lh_exchange *ex)
{
    struct lh_counters *all = &ex->ctx->counters;
    struct lh_request_counts *n = ex->counts ? ex->counts : &all->unhandled;
    unsigned status = lh_exchange_status(ex);
    unsigned class =
        status == 101 ? 2 : status / 100; /* a websocket went well */

    lh_count_add(&n->ended[class < LH_STATUS_CLASSES ? class : 0][ex->ending],
                 1);
    if (ex->head_us)
        lh_latency_add(&n->head, ex->head_us - ex->begun_us);
    lh_latency_add(&n->end, ex->ctx->now_us - ex->begun_us);
}

void lh_request_ends(struct lh_exchange *ex)
{
    struct lh_worker *w = LH_OF(ex->ctx, struct lh_worker, ctx);

    count_end(ex);
    if (w->access.access)
        lh_access_add(&w->access, ex, prefix_of(w, ex));
    lh_trace(ex->ctx, ex->peer->number, "request", 0, "BEGUN",
             ending_names[ex->ending]);
}
