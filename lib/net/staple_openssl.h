/* OCSP responses by OpenSSL: see staple.h. */
#ifndef LH_NET_STAPLE_OPENSSL_H
#define LH_NET_STAPLE_OPENSSL_H

#include "net/openssl.h"
#include "net/staple.h"

struct lh_staple {
    uint8_t *der;
    size_t n;
    bool fits;        /* it is about the certificate beside it */
    ASN1_TIME *until; /* NULL: it says nothing of its end */
};

void lh_staple_free(struct lh_staple *staple); /* NULL allowed */

/* For SSL_CTX_set_tlsext_status_cb(). */
int lh_staple_send(SSL *ssl, void *unused);

#endif
