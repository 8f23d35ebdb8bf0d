/* Digests of octets, and their texts. */
#ifndef LH_BASE_DIGEST_H
#define LH_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_SHA1_BYTES   20
#define LH_SHA256_BYTES 32

/* SHA-1 (FIPS 180-4), for protocols that ask for it: it protects nothing. */
void lh_sha1(const void *p, size_t n, uint8_t out[LH_SHA1_BYTES]);

/* SHA-256 (FIPS 180-4). */
void lh_sha256(const void *p, size_t n, uint8_t out[LH_SHA256_BYTES]);

/* HMAC by SHA-256 (RFC 2104), with a key of any length. */
void lh_hmac_sha256(const void *key, size_t key_n, const void *p, size_t n,
                    uint8_t out[LH_SHA256_BYTES]);

/* Are they equal?  How long it takes tells nothing of where they differ. */
bool lh_octets_equal(const void *a, const void *b, size_t n);

/* Base64 with padding (RFC 4648, 4): 4 characters for each 3 octets begun, not
 * terminated.  Returns how many. */
size_t lh_base64(const void *p, size_t n, char *out);

/* Reads it, also in the alphabet for URLs (RFC 4648, 5), and with padding or
 * without.  `out` has room for 3 octets for each 4 characters begun.  False:
 * there is something else in it, or another text stands for the same octets. */
bool lh_unbase64(const char *p, size_t n, uint8_t *out, size_t *made);

#endif
