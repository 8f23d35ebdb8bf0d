/* Authorities that servers' certificates have to be from, and where a system
 * keeps those that its programs trust. */
#ifndef LH_NET_TRUST_H
#define LH_NET_TRUST_H

#include "base/err.h"
#include "net/anchors.h"

/* Those of `file`, PEM or DER, each of which has to be of use.  NULL: the
 * system's, of which those that are not understood are left out: the file of
 * the environment's SSL_CERT_FILE, or the first of the usual ones that is
 * there. The caller frees *out.  Errors as lh_trust_new() (tls_client.h). */
int lh_trust_read(struct lh_anchors **out, const char *file,
                  struct lh_err *err);

#endif
