/*
 * From a request to its handler: what the server answers by itself (CONNECT,
 * TRACE, OPTIONS *, redirects, 404) and which VM serves the rest.
 */
#ifndef LH_SERVER_DISPATCH_H
#define LH_SERVER_DISPATCH_H

#include "server/worker.h"

void lh_dispatch(struct lh_worker *w, const struct lh_listener *listener,
                 struct lh_exchange *ex);

/* A directory has not what was asked for: the "/notfound" of the script at the
 * root has the request from now on; false: there is none. */
bool lh_dispatch_not_found(struct lh_exchange *ex);

#endif
