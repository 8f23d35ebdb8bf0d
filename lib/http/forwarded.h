/*
 * Whose request it is that a proxy sends on: the fields x-forwarded-for and
 * x-forwarded-proto, or forwarded (RFC 7239).  Anybody may send them, so only
 * what trusted proxies have added is looked at: from the right, up to the first
 * address that is not trusted.
 */
#ifndef LH_HTTP_FORWARDED_H
#define LH_HTTP_FORWARDED_H

#include "base/ip.h"
#include "http/field.h"

/* Which of the fields is believed: one, for a proxy that sets one passes the
 * other on as the client sent it. */
enum lh_forwarded_by {
    LH_FORWARDED_NOT,
    LH_FORWARDED_X,
    LH_FORWARDED_RFC7239,
};

/* More proxies behind each other are taken for nonsense. */
#define LH_FORWARDED_HOPS 32

struct lh_forwarded {
    char addr[LH_IP_TEXT_BYTES]; /* "": not told, or the fields are malformed */
    int port;                    /* 0: not told */
    struct lh_str scheme;        /* "http" or "https"; .p NULL: not told */
};

/* From a request that came from a trusted proxy. */
void lh_forwarded_read(const struct lh_fields *fields, enum lh_forwarded_by by,
                       const struct lh_networks *trusted,
                       struct lh_forwarded *out);

#endif
