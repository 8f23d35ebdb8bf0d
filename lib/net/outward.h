/*
 * What a worker needs for connections that its scripts make (httpd.connect):
 * pools, look-ups of names, a count.  It is made by the first of them.
 */
#ifndef LH_NET_OUTWARD_H
#define LH_NET_OUTWARD_H

#include "base/err.h"
#include "net/tls_client.h"
#include "os/resolve.h"

struct lh_outward {
    struct lh_net_pools pools; /* not counted as clients' octets */
    struct lh_resolver resolver;
    struct lh_list trusts; /* authorities that were read, each file once */
    unsigned trusts_n;
    unsigned open; /* connections, and such that are being made */
};

/* The worker's; NULL: no memory or no descriptor. */
struct lh_outward *lh_outward_of(struct lh_context *ctx);

/* The authorities of a file, NULL for the system's, which are read at the first
 * time.  As lh_trust_new(), and LHTTPD_ECERT for one file too many; they last
 * as long as the worker. */
int lh_outward_trust(struct lh_outward *outward, const char *file,
                     const struct lh_trust **out, struct lh_err *err);

/* The worker ends; before its port does, after its VMs. */
void lh_outward_free(struct lh_context *ctx);

#endif
