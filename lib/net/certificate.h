/*
 * What a certificate says beside its key, from its octets (RFC 5280, 4.1):
 * whose it is, from when to when, and what for.  Nothing here is verified.
 */
#ifndef LH_NET_CERTIFICATE_H
#define LH_NET_CERTIFICATE_H

#include "net/der.h"

struct lh_certificate {
    struct lh_der subject;         /* the distinguished name's sets */
    int64_t not_before, not_after; /* seconds since 1970 */
    bool for_clients; /* its extended key usage, if it has one, allows it */
};

/* In `der`, which must last as long.  False: it is no certificate. */
bool lh_certificate_read(const uint8_t *der, size_t n,
                         struct lh_certificate *certificate);

/* A distinguished name as a string (RFC 4514, 2): "CN=Ada,O=A\, B,C=DE",
 * UTF-8, the most specific name first.  Control characters are escaped.  Its
 * length; SIZE_MAX: it is damaged, or does not fit into `room` with its NUL. */
size_t lh_certificate_name(struct lh_der name, char *out, size_t room);

#endif
