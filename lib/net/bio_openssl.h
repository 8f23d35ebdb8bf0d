/* The BIO of ours that moves octets between OpenSSL and the two ends between
 * which it works. */
#ifndef LH_NET_BIO_OPENSSL_H
#define LH_NET_BIO_OPENSSL_H

#include "net/chunk.h"
#include "net/openssl.h"

/* Octets that the flight can take, which it moves to its chunk's beginning. */
size_t lh_tls_ends_room(struct lh_tls_ends *ends);

/* NULL: no memory. */
BIO_METHOD *lh_tls_bio_method_new(void);

/* Reads and writes there.  NULL: no memory. */
BIO *lh_tls_bio_new(const BIO_METHOD *method, struct lh_tls_ends *ends);

#endif
