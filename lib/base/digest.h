/* Digests of octets. */
#ifndef LH_BASE_DIGEST_H
#define LH_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define LH_SHA1_BYTES 20

/* SHA-1 (FIPS 180-4), for protocols that ask for it: it protects nothing. */
void lh_sha1(const void *p, size_t n, uint8_t out[LH_SHA1_BYTES]);

/* Base64 with padding (RFC 4648, 4): 4 characters for each 3 octets begun, not
 * terminated.  Returns how many. */
size_t lh_base64(const void *p, size_t n, char *out);

#endif
