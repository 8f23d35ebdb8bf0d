/*
 * Certificates and private keys: reading PEM and DER, checking that they belong
 * together, choosing one for a client.
 */
#ifndef LH_NET_CRED_H
#define LH_NET_CRED_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Several chains with their keys, in the order in which they were added. */
struct lh_creds;

struct lh_creds *lh_creds_new(void);        /* NULL: no memory */
void lh_creds_free(struct lh_creds *creds); /* NULL allowed; wipes keys */

/* Reads, checks and adds one; all of it is copied.  LHTTPD_ECERT with words
 * ("certificate 'x.pem': the key in 'y.pem' does not match"), LHTTPD_ENOMEM. */
int lh_creds_add(struct lh_creds *creds, const lhttpd_certificate_t *from,
                 struct lh_err *err);
bool lh_creds_empty(const struct lh_creds *creds);

/* For policy.c: the i-th pair (keypair.h), NULL past the last. */
struct lh_keypair;
const struct lh_keypair *lh_creds_at(const struct lh_creds *creds, size_t i);

#endif
