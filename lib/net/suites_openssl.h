/* The cipher suites that are spoken by OpenSSL, and their order. */
#ifndef LH_NET_SUITES_OPENSSL_H
#define LH_NET_SUITES_OPENSSL_H

#include "net/openssl.h"

#include <stdbool.h>

/* All of them, AES-GCM first where the CPU has AES, else ChaCha20 first.
 * False: no memory. */
bool lh_suites_set(SSL_CTX *ctx);

/* Is one of them in the list that is authenticated by RSA, or else by ECDSA?
 * TLS 1.2; NULL allowed. */
bool lh_suites_have(const STACK_OF(SSL_CIPHER) * list, bool rsa);

#endif
