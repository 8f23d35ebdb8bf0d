/*
 * From protocols to sockets: a step of the turn.  A connection in the queue
 * `dirty` has output; one that did not get rid of it in its first share is in
 * `bulk`.
 */
#ifndef LH_SERVER_CONN_OUTPUT_H
#define LH_SERVER_CONN_OUTPUT_H

#include "server/conn_core.h"

/* Lets the protocol write into the transport's buffer, and adds to *sum how
 * much.  Returns the protocol's status after it. */
unsigned lh_conn_pull(struct lh_conn *c, size_t *sum);

/* The step.  Takes the queues as they are. */
void lh_conns_write(struct lh_worker *w);

#endif
