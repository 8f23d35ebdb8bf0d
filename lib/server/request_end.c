/* The end of a request: see request_end.h. */
#include "server/request_end.h"

#include "base/trace.h"

/* For traces, which a release does not have. */
static const char *const ending_names[] = {
    [LH_ENDED_GONE] = "GONE",
    [LH_ENDED_TIMEOUT] = "TIMEOUT",
    [LH_ENDED_CUT] = "CUT",
    [LH_ENDED_COMPLETE] = "COMPLETE",
};

void lh_request_ends(struct lh_exchange *ex)
{
    lh_trace(ex->ctx, ex->peer->number, "request", 0, "BEGUN",
             ending_names[ex->ending]);
}
