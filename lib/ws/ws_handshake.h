/*
 * The opening handshake of a WebSocket: by an upgrade on HTTP/1.1 (RFC 6455,
 * 4), by an extended CONNECT on HTTP/2 (RFC 8441).
 */
#ifndef LH_WS_WS_HANDSHAKE_H
#define LH_WS_WS_HANDSHAKE_H

#include "http/exchange.h"

/* 0: the request opens one.  Else the status that says it does not, 400 or 426,
 * and why in words. */
unsigned lh_ws_handshake_check(struct lh_exchange *ex, const char **why);

/* Does the client offer this subprotocol? */
bool lh_ws_offers(struct lh_exchange *ex, struct lh_str protocol);

/* Accepts it; `protocol` is what was chosen, .p NULL for none, and lasts.
 * LHTTPD_ENOMEM, or as lh_exchange_upgrade(). */
int lh_ws_accept(struct lh_exchange *ex, struct lh_str protocol);

#endif
