/* Traces of state changes: see trace.h. */
#include "base/trace.h"

#if LHTTPD_CHECKS

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* The environment is asked once.  Two threads may both be the first to ask,
 * and then find the same. */
static bool is_asked_for(void)
{
    enum { UNKNOWN, YES, NO };
    static _Atomic int answer = UNKNOWN;
    int known = atomic_load_explicit(&answer, memory_order_relaxed);

    if (known == UNKNOWN) {
        known = getenv("LHTTPD_TRACE") ? YES : NO;
        atomic_store_explicit(&answer, known, memory_order_relaxed);
    }
    return known == YES;
}

void lh_trace(const struct lh_context *ctx, uint64_t connection,
              const char *what, uint64_t id, const char *from, const char *to)
{
    char of[24] = "";

    if (!is_asked_for())
        return;
    if (id)
        snprintf(of, sizeof(of), " s%" PRIu64, id);
    fprintf(stderr, "w%u c%" PRIu64 " %s%s %s -> %s\n", ctx->worker, connection,
            what, of, from, to);
}

#endif
