/*
 * Names of requests for logs: 128 bits that look random, made when somebody
 * asks for the first time, or what the client calls it where that is believed.
 * They are a keyed hash of the request's number, so that another thread can
 * name a request whose own is held by its handler.
 */
#ifndef LH_HTTP_REQUEST_ID_H
#define LH_HTTP_REQUEST_ID_H

#include "http/exchange.h"

/* With the zero at its end. */
#define LH_REQUEST_ID_BYTES 33

/* 32 hexadecimal digits, or the client's x-request-id, 128 characters at most;
 * NULL: no memory, or the system has no random octets.  It lives as long as the
 * exchange does. */
const char *lh_request_id(struct lh_exchange *ex);

/* The same id, of the request whose handler a worker with these ids was found
 * in; NULL: it is none's, or has none.  Any thread. */
const char *lh_request_id_of_run(const struct lh_ids *ids,
                                 const struct lh_run *run,
                                 char id[LH_RUN_ID_BYTES]);

/* Its handler runs from now on: lets other threads name it, */
void lh_request_runs(struct lh_exchange *ex);

/* ... as one may have done meanwhile. */
static inline bool lh_request_was_told_of(const struct lh_exchange *ex)
{
    return atomic_load_explicit(&ex->ctx->running.told_of,
                                memory_order_relaxed) == ex->number;
}

/* Has it been named, by its own thread or by another one? */
static inline bool lh_request_has_id(const struct lh_exchange *ex)
{
    return ex->id || ex->ctx->ids.trusts_clients || lh_request_was_told_of(ex);
}

/* lh_log_client() about one request, whose id the line has. */
void lh_log_request(struct lh_exchange *ex, enum lh_log_kind kind,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
