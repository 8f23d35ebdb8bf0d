/*
 * The answer of an authority that a certificate is not revoked (OCSP, RFC
 * 6960), for clients that ask the server for it (RFC 6066, 8):
 * staple_openssl.c, or staple_none.c where the TLS library cannot send it.
 */
#ifndef LH_NET_STAPLE_H
#define LH_NET_STAPLE_H

#include "base/err.h"
#include "net/keypair.h"

/* Reads the response beside the file of a chain, "x.pem.ocsp" for "x.pem", if
 * there is one, into a pair that is complete.  LHTTPD_ECERT with words,
 * LHTTPD_ENOMEM. */
int lh_staple_read(struct lh_keypair *pair, const char *chain_file,
                   struct lh_err *err);

#endif
