/*
 * An HTTP/2 connection (RFC 9113) as a struct lh_protocol.  Its input begins
 * with the client's connection preface.
 */
#ifndef LH_H2_CONN_H
#define LH_H2_CONN_H

#include "http/protocol.h"

extern const struct lh_protocol lh_h2_protocol;

/* NULL: no memory. */
void *lh_h2_new(struct lh_protocol_host *host);

#endif
