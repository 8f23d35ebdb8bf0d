/* The BIO of ours that moves octets between OpenSSL and the two ends between
 * which it works. */
#ifndef LH_NET_BIO_OPENSSL_H
#define LH_NET_BIO_OPENSSL_H

#include "net/chunk.h"
#include "net/openssl.h"

struct lh_handshake;

/* Octets that the flight can take, which it moves to its chunk's beginning. */
size_t lh_tls_ends_room(struct lh_tls_ends *ends);

/* What a BIO finds by its data. */
struct lh_tls_port {
    struct lh_tls_ends *ends;
    struct lh_handshake *handshake; /* whose it is; NULL: nobody's */
    bool flushes; /* flushing is to wait until all has left; */
    bool held;    /* it waits, which OpenSSL's own buffer does not tell: to
                     SSL_get_error() it is a failed system call */
};

/* NULL: no memory. */
BIO_METHOD *lh_tls_bio_method_new(void);

/* Reads and writes at the port's ends.  NULL: no memory. */
BIO *lh_tls_bio_new(const BIO_METHOD *method, struct lh_tls_port *port);

/* The handshake that this SSL object is in; NULL: in none.  OpenSSL's own way
 * to find it (SSL_set_app_data) would cost each connection memory for good. */
struct lh_handshake *lh_tls_bio_handshake(const SSL *ssl);

#endif
