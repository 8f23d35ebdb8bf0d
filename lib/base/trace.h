/*
 * Traces of state changes, for developers: what a connection, stream, request
 * or task went through, one line on standard error for each move,
 *
 *     w0 c17 conn SNIFF -> OPEN
 *     w0 c17 h2 s5 OPEN -> HALF_REMOTE
 *
 * which says the worker, the connection's number there (struct lh_peer), whose
 * state it is and, where a connection has many, its id.
 *
 * They are compiled where LHTTPD_CHECKS is 1 (the presets dev, tsan, coverage
 * and fuzz) and printed where the environment has LHTTPD_TRACE.  A release has
 * none of it, as long as the names come from a static table of the caller.
 */
#ifndef LH_BASE_TRACE_H
#define LH_BASE_TRACE_H

#include "base/context.h"

#include <stdint.h>

#if LHTTPD_CHECKS

/* `connection`: 0 where there is none; `id`: a stream's, or 0. */
void lh_trace(const struct lh_context *ctx, uint64_t connection,
              const char *what, uint64_t id, const char *from, const char *to);

#else

static inline void lh_trace(const struct lh_context *ctx, uint64_t connection,
                            const char *what, uint64_t id, const char *from,
                            const char *to)
{
    (void)ctx;
    (void)connection;
    (void)what;
    (void)id;
    (void)from;
    (void)to;
}

#endif

#endif
