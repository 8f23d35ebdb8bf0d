/*
 * Connections: from accepting a client to the end.  Each drives a transport and
 * a protocol on a socket; what it is made of, and its files: conn_core.h.
 *
 *     socket -> transport -> protocol      lh_conns_feed(), conn_input.h
 *     protocol -> transport -> socket      lh_conns_write(), conn_output.h
 *
 * Both run in their own step of the turn only; events, timers and exchanges
 * just put the connection into the worker's queues `fed` and `dirty`.
 */
#ifndef LH_SERVER_CONN_H
#define LH_SERVER_CONN_H

#include "server/worker.h"

/* Connections that wait for their clients: made when there is time. */
void lh_conns_prepare(struct lh_worker *w);
void lh_conns_free_spare(struct lh_worker *w);

/* Takes a client over; closes `fd` where there is no memory. */
void lh_conn_accept(struct lh_worker *w, const struct lh_listener *listener,
                    int fd, const struct lh_sock_ends *ends);

/* The end of the turn: frees what was closed in it. */
void lh_conns_reap(struct lh_worker *w);

/* Is there an idle connection that can be closed without cutting an answer?
 * And closes the one that has been idle the longest; false: there is none. */
bool lh_conns_find_idle(struct lh_worker *w);
bool lh_conns_close_oldest_idle(struct lh_worker *w);

/* A stop: what is under way is finished, and each client's next request served
 * if it comes soon; and the end of its grace, which returns how many
 * connections were cut that were not idle. */
void lh_conns_drain(struct lh_worker *w);
unsigned lh_conns_cut(struct lh_worker *w);

#endif
