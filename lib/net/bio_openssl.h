/*
 * The two ends between which OpenSSL works: what came of a socket, and what has
 * to leave by it.  A BIO of ours moves octets between it and them.
 */
#ifndef LH_NET_BIO_OPENSSL_H
#define LH_NET_BIO_OPENSSL_H

#include "net/chunk.h"
#include "net/openssl.h"

struct lh_tls_ends {
    struct lh_net_pools *pools;
    struct lh_chunk raw;    /* what OpenSSL did not take yet */
    struct lh_chunk flight; /* what the socket did not take yet */
};

/* Octets that the flight can take, which it moves to its chunk's beginning. */
size_t lh_tls_ends_room(struct lh_tls_ends *ends);

/* NULL: no memory. */
BIO_METHOD *lh_tls_bio_method_new(void);

/* Reads and writes there.  NULL: no memory. */
BIO *lh_tls_bio_new(const BIO_METHOD *method, struct lh_tls_ends *ends);

#endif
