/*
 * Certificates of authorities as a TLS library has them: anchors_bearssl.c or
 * anchors_openssl.c.  client_ca.c is above them.
 */
#ifndef LH_NET_ANCHORS_H
#define LH_NET_ANCHORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The keys that authorities may have, for messages: "RSA (2048 bits or more),
 * or EC on P-256, P-384 or P-521".  How long they are client_ca.c looks at. */
extern const char lh_anchors_kinds[];

struct lh_anchors;

struct lh_anchors *lh_anchors_new(void);          /* NULL: no memory */
void lh_anchors_free(struct lh_anchors *anchors); /* NULL allowed */

/* DER; copied.  One that is no authority is trusted itself, and nothing else by
 * it.  0, LHTTPD_ENOMEM, or LHTTPD_ECERT where it cannot be used. */
int lh_anchors_add(struct lh_anchors *anchors, const uint8_t *der, size_t n);

/* Those of `from` too, which must last as long.  False: no memory. */
bool lh_anchors_join(struct lh_anchors *anchors, const struct lh_anchors *from);

size_t lh_anchors_count(const struct lh_anchors *anchors);

/* Octets of all their names, with the length before each that clients are told.
 */
size_t lh_anchors_names_bytes(const struct lh_anchors *anchors);

#endif
