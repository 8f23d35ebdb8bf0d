/* A private key and its chain as BearSSL has them: see key.h. */
#ifndef LH_NET_KEY_BEARSSL_H
#define LH_NET_KEY_BEARSSL_H

#include "net/key.h"

#include <bearssl.h>

struct lh_key {
    br_skey_decoder_context decoder; /* holds what its key points into */
    br_x509_certificate chain[LH_KEYPAIR_CHAIN_MAX]; /* of the pair's octets */
    size_t chain_n;
};

#endif
