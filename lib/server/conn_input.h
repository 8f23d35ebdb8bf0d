/*
 * From sockets to protocols: a step of the turn.  A connection in the queue
 * `fed` has input to use; events only put it there.
 */
#ifndef LH_SERVER_CONN_INPUT_H
#define LH_SERVER_CONN_INPUT_H

#include "server/conn_core.h"

/* For its source in the event queue. */
void lh_conn_on_event(struct lh_source *source, unsigned ready);

/* The step.  Takes the queue as it is. */
void lh_conns_feed(struct lh_worker *w);

/* For the worker's pools: a step of a handshake is back (net/away.h). */
void lh_conn_on_back(struct lh_transport *t);

/* Waits a handshake for a helper that is there?  The step sees to it. */
bool lh_conns_may_call(const struct lh_worker *w);

#endif
