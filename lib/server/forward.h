/* Requests that a trusted proxy sends on: whose they are. */
#ifndef LH_SERVER_FORWARD_H
#define LH_SERVER_FORWARD_H

#include "server/worker.h"

/* For servers with the setting `forwarded`: where the request comes from a
 * proxy that proxy_from names, the exchange has from here on the peer and the
 * scheme that the proxy tells.  False: no memory. */
bool lh_forward_apply(const struct lh_worker *w, struct lh_exchange *ex);

#endif
