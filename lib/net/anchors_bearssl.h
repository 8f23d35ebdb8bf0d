/* Certificates of authorities as BearSSL has them: see anchors.h. */
#ifndef LH_NET_ANCHORS_BEARSSL_H
#define LH_NET_ANCHORS_BEARSSL_H

#include "net/anchors.h"

#include <bearssl.h>

struct lh_anchors {
    br_x509_trust_anchor *list;
    size_t n;
    void **blocks; /* what the first of the list point into */
    size_t blocks_n;
};

#endif
