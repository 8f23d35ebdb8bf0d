/* A private key and its chain as OpenSSL has them: see key.h. */
#ifndef LH_NET_KEY_OPENSSL_H
#define LH_NET_KEY_OPENSSL_H

#include "net/key.h"
#include "net/openssl.h"
#include "net/staple_openssl.h"

enum lh_key_type { LH_KEY_OTHER, LH_KEY_RSA, LH_KEY_EC, LH_KEY_ED25519 };

/* LH_KEY_OTHER: one that is not used here, or NULL. */
enum lh_key_type lh_key_type_of(const EVP_PKEY *pkey);

struct lh_key {
    EVP_PKEY *pkey;
    enum lh_key_type type;
    int curve; /* an EC key's, by OpenSSL's number */
    X509 *leaf;
    STACK_OF(X509) * others;  /* what follows the leaf */
    struct lh_staple *staple; /* or NULL */
};

#endif
