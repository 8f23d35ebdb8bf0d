/*
 * The authorities that clients' certificates have to be from.  A set does not
 * change once it is shared, as credentials (cred.h), of which it is a part.
 */
#ifndef LH_NET_CLIENT_CA_H
#define LH_NET_CLIENT_CA_H

#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>

struct lh_client_ca {
    _Atomic unsigned shares;
    struct ca_source **sources;
    size_t sources_n;
    struct lh_anchors *anchors;      /* of all sources */
    uint8_t digest[LH_SHA256_BYTES]; /* of all certificates */
    bool optional; /* set before it is shared: who has no certificate that
                      verifies is served all the same */
};

/* A new set: `old` (NULL: none) and what `from` says.  LHTTPD_ECERT with words,
 * LHTTPD_ENOMEM. */
int lh_client_ca_add(struct lh_client_ca **out, const struct lh_client_ca *old,
                     const lhttpd_client_ca_t *from, struct lh_err *err);

/* One share more, or one less; any thread that has a share.  NULL allowed. */
struct lh_client_ca *lh_client_ca_share(struct lh_client_ca *ca);
void lh_client_ca_free(struct lh_client_ca *ca);

/* As lh_creds_look() and lh_creds_read_again(). */
void lh_client_ca_look(struct lh_client_ca *ca, const struct lh_log *log);
int lh_client_ca_read_again(struct lh_client_ca **out,
                            const struct lh_client_ca *old,
                            const struct lh_log *log, struct lh_err *err);

#endif
