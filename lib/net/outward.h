/*
 * What a worker needs for connections that its scripts make (httpd.connect):
 * pools, look-ups of names, a count.  It is made by the first of them.
 */
#ifndef LH_NET_OUTWARD_H
#define LH_NET_OUTWARD_H

#include "net/transport.h"
#include "os/resolve.h"

struct lh_outward {
    struct lh_net_pools pools; /* not counted as clients' octets */
    struct lh_resolver resolver;
    unsigned open; /* connections, and such that are being made */
};

/* The worker's; NULL: no memory or no descriptor. */
struct lh_outward *lh_outward_of(struct lh_context *ctx);

/* The worker ends; before its port does, after its VMs. */
void lh_outward_free(struct lh_context *ctx);

#endif
