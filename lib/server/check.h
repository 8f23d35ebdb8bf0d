/*
 * What always holds of connections and workers, checked in builds for
 * developers (LHTTPD_CHECKS): a broken invariant ends the process where it
 * broke, in tests and fuzzers, and not where it is felt later.  A release has
 * none of it.
 */
#ifndef LH_SERVER_CHECK_H
#define LH_SERVER_CHECK_H

#include "server/conn_core.h"

#if LHTTPD_CHECKS

/* At the end of lh_conn_settle(): what the connection's state says of its
 * protocol, queues, timer and interest. */
void lh_check_conn(const struct lh_conn *c);

/* At the end of a turn: what is counted is in the lists. */
void lh_check_worker(const struct lh_worker *w);

#else

static inline void lh_check_conn(const struct lh_conn *c)
{
    (void)c;
}

static inline void lh_check_worker(const struct lh_worker *w)
{
    (void)w;
}

#endif

#endif
