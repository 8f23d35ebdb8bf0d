/*
 * A request that stays for long is made small: an idle websocket, a stream of
 * events, a handler that waits.
 */
#ifndef LH_HTTP_PACK_H
#define LH_HTTP_PACK_H

#include "http/exchange.h"

/*
 * Everything of the exchange that is still wanted moves to where it takes
 * least; the blocks that its request was read into are given back.  Does
 * nothing where that is done already, or cannot be: while the response's header
 * waits to leave, or octets of the request's body may still come.  `part` is a
 * part of the request's path, or .p NULL: it moves too.  Nobody else may have
 * anything in the arena.  Without memory all stays as it is.
 */
void lh_exchange_pack(struct lh_exchange *ex, struct lh_str *part);

#endif
