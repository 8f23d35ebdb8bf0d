/*
 * How a connection ends in good order: our side is shut once everything has
 * left, and where the client may still be sending, what it sends is discarded
 * for a while (RFC 9112, 9.6), since closing would be a reset that takes the
 * answer from it.
 */
#ifndef LH_SERVER_CONN_CLOSE_H
#define LH_SERVER_CONN_CLOSE_H

#include "server/conn_core.h"

/* The protocol has said its last word.  `lingers`: waits for the client. */
void lh_conn_begin_close(struct lh_conn *c, bool lingers);

/* Goes on with it, once output leaves or input has come. */
void lh_conn_shut(struct lh_conn *c);
void lh_conn_discard(struct lh_conn *c);

#endif
