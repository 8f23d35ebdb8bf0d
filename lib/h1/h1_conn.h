/*
 * An HTTP/1.0 and HTTP/1.1 connection (RFC 9112) as a struct lh_protocol.
 */
#ifndef LH_H1_CONN_H
#define LH_H1_CONN_H

#include "http/protocol.h"

extern const struct lh_protocol lh_h1_protocol;

/* NULL: no memory. */
void *lh_h1_new(struct lh_protocol_host *host);

/* Answers the connection's first bytes, whatever they are, with a 400 that says
 * that this port speaks TLS; then close. */
void lh_h1_refuse_plain(void *c);

#endif
