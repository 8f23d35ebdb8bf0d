/*
 * What a TLS library makes of a private key and the certificates that belong to
 * it: key_bearssl.c or key_openssl.c.  keypair.c is above it.
 */
#ifndef LH_NET_KEY_H
#define LH_NET_KEY_H

#include "net/keypair.h"

/* The keys that can be used, for messages: "RSA (2048 to 4096 bits) or EC on
 * P-256, P-384 or P-521". */
extern const char lh_key_kinds[];

/* DER: PKCS#1, SEC1 or PKCS#8; copied. */
enum lh_keypair_fault lh_key_read(struct lh_key **key, const uint8_t *der,
                                  size_t n);
void lh_key_free(struct lh_key *key); /* wiped; NULL allowed */

/* DER: can this certificate be decoded, and a key of its kind be used? */
enum lh_keypair_fault lh_key_check_leaf(const uint8_t *der, size_t n);

/* Does the key belong to this certificate? */
enum lh_keypair_fault lh_key_compare(const struct lh_key *key,
                                     const struct lh_chain_link *certificate);

/* Makes of the chain what handshakes need.  It lasts as long as the key. */
enum lh_keypair_fault lh_key_take_chain(struct lh_key *key,
                                        const struct lh_chain_link *chain,
                                        size_t n);

/* Are both of one type, as RSA?  NULL is a type of its own. */
bool lh_key_is_of_kind(const struct lh_key *key, const struct lh_key *other);

#endif
