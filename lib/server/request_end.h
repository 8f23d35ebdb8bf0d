/*
 * The end of a request, whatever ended it: what counts requests, measures them
 * and writes them down hangs on this one function.
 */
#ifndef LH_SERVER_REQUEST_END_H
#define LH_SERVER_REQUEST_END_H

#include "http/exchange.h"

/* ctx->request_ends of a worker: on its thread, once for each request that was
 * begun.  All of the exchange is as it was; what takes it along, copies. */
void lh_request_ends(struct lh_exchange *ex);

#endif
