/*
 * What a certificate says beside its key, from its octets (RFC 5280, 4.1):
 * whose it is, from when to when, and what for.  Nothing here is verified.
 */
#ifndef LH_NET_CERTIFICATE_H
#define LH_NET_CERTIFICATE_H

#include "base/ip.h"
#include "net/der.h"

/* Whose a server's certificate has to be. */
#define LH_HOST_BYTES 256
struct lh_host {
    char name[LH_HOST_BYTES]; /* without a dot at its end; or cut, and nobody's
                               */
    struct lh_ip address;
    bool is_address;
};

void lh_host_read(struct lh_host *host, const char *text);

struct lh_certificate {
    struct lh_der subject;         /* the distinguished name's sets */
    int64_t not_before, not_after; /* seconds since 1970 */
    bool for_clients; /* its extended key usage, if it has one, allows it */
    bool for_servers; /* likewise */
    struct lh_der
        alternatives; /* subjectAltName's list; n == 0: there is none */
};

/* In `der`, which must last as long.  False: it is no certificate. */
bool lh_certificate_read(const uint8_t *der, size_t n,
                         struct lh_certificate *certificate);

/* Does one of its alternative names stand for that host (RFC 9525, 6)?  An
 * address needs one of its kind, and a "*" stands for one whole label, the
 * first.  The subject's common name is not looked at. */
bool lh_certificate_is_of(const struct lh_certificate *certificate,
                          const struct lh_host *host);

/* A distinguished name as a string (RFC 4514, 2): "CN=Ada,O=A\, B,C=DE",
 * UTF-8, the most specific name first.  Control characters are escaped.  Its
 * length; SIZE_MAX: it is damaged, or does not fit into `room` with its NUL. */
size_t lh_certificate_name(struct lh_der name, char *out, size_t room);

#endif
