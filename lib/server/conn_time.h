/*
 * A connection's clocks: what happens when a deadline has passed, and how long
 * a client may take nothing of what is sent to it.
 */
#ifndef LH_SERVER_CONN_TIME_H
#define LH_SERVER_CONN_TIME_H

#include "server/conn_core.h"

/* The socket takes no more for now; and it does again. */
void lh_conn_block(struct lh_conn *c);
void lh_conn_unblock(struct lh_conn *c);

/* The connection's timer. */
void lh_conn_on_time(struct lh_timer *timer);

#endif
