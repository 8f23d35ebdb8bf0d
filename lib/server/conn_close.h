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

/* After LH_NET_LOST: says why, if it was TLS that failed, and waits for the
 * client to read its alert; else nothing can be said any more. */
void lh_conn_fail(struct lh_conn *c);

/* Goes on with it, once output leaves or input has come. */
void lh_conn_shut(struct lh_conn *c);
void lh_conn_discard(struct lh_conn *c);

#endif
