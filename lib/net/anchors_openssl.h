/* Certificates of authorities as OpenSSL has them: see anchors.h. */
#ifndef LH_NET_ANCHORS_OPENSSL_H
#define LH_NET_ANCHORS_OPENSSL_H

#include "net/anchors.h"
#include "net/openssl.h"

struct lh_anchors {
    STACK_OF(X509) * list;
    /* Of those that were joined: what verifies, and what clients are told. */
    X509_STORE *store;
    STACK_OF(X509_NAME) * names;
};

#endif
