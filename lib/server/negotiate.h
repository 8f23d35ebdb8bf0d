/*
 * Which protocol a connection speaks: TLS agrees on it by ALPN in its
 * handshake, on plain TCP the client's first octets tell.  The only file of
 * server/ that knows whether there is HTTP/2.
 */
#ifndef LH_SERVER_NEGOTIATE_H
#define LH_SERVER_NEGOTIATE_H

#include "server/conn_core.h"

/* To the state HANDSHAKE or SNIFF: the client's own octets come next. */
void lh_negotiate_begin(struct lh_conn *c);

/* In the states HANDSHAKE and SNIFF, once input has come. */
void lh_negotiate_handshake(struct lh_conn *c);
void lh_negotiate_sniff(struct lh_conn *c);

/* After LH_NET_LOST: logs why, if it was TLS that failed.  True: it failed by
 * what the client has sent, and the socket is sound. */
bool lh_negotiate_log_loss(const struct lh_conn *c);

#endif
