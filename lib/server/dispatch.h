/*
 * From a request to its handler: what the server answers by itself (CONNECT,
 * TRACE, OPTIONS *, redirects, 404) and which VM serves the rest.
 */
#ifndef LH_SERVER_DISPATCH_H
#define LH_SERVER_DISPATCH_H

#include "server/worker.h"

void lh_dispatch(struct lh_worker *w, const struct lh_listener *listener,
                 struct lh_exchange *ex);

#endif
