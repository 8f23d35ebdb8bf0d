/* Steps through DER (X.690), as certificates are encoded. */
#ifndef LH_NET_DER_H
#define LH_NET_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tags that walks through a certificate meet (X.690, 8.1.2; RFC 5280, 4.1). */
#define LH_DER_BOOLEAN    0x01
#define LH_DER_OCTETS     0x04
#define LH_DER_OID        0x06
#define LH_DER_UTC_TIME   0x17
#define LH_DER_TIME       0x18
#define LH_DER_SEQUENCE   0x30
#define LH_DER_SET        0x31
#define LH_DER_VERSION    0xA0
#define LH_DER_EXTENSIONS 0xA3

struct lh_der {
    const uint8_t *p;
    size_t n;
};

/* Takes the next element off *from.  False at its end, and where it is damaged;
 * then *from is as it was. */
bool lh_der_next(struct lh_der *from, uint8_t *tag, struct lh_der *content);

/* The same, for an element that must have this tag. */
bool lh_der_expect(struct lh_der *from, uint8_t wanted, struct lh_der *content);

/* Is this content of an object identifier that one?  They are compared as they
 * are encoded; DER has one encoding for each. */
bool lh_der_is(struct lh_der a, const uint8_t *oid, size_t n);

#endif
