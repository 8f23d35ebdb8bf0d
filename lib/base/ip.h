/*
 * Numeric addresses and lists of networks, as text, without the system: who is
 * believed what he says of others.  An IPv4 address is kept as the IPv6 address
 * that it is mapped to, so that both ways of writing it are one.
 */
#ifndef LH_BASE_IP_H
#define LH_BASE_IP_H

#include "base/err.h"
#include "base/str.h"

#define LH_IP_TEXT_BYTES 46

struct lh_ip {
    uint8_t octets[16];
};

/* "192.0.2.1" or "2001:db8::1" (RFC 4291, 2.2), without brackets, port or zone;
 * false: it is neither. */
bool lh_ip_parse(struct lh_str text, struct lh_ip *ip);

/* From the octets of an IPv4 address, in the order of the network. */
struct lh_ip lh_ip_of_v4(const uint8_t octets[4]);

/* As RFC 5952 has it; a mapped address is written as IPv4. */
void lh_ip_text(const struct lh_ip *ip, char out[LH_IP_TEXT_BYTES]);

/* All zero: none. */
struct lh_networks {
    struct lh_network *v;
    size_t n;
    bool unix_sockets;
};

/* "10.0.0.0/8, 2001:db8::1, unix:".  LHTTPD_EINVAL with words, LHTTPD_ENOMEM;
 * then *networks is as it was.  What it held before is freed. */
int lh_networks_parse(struct lh_networks *networks, const char *text,
                      struct lh_err *err);
void lh_networks_deinit(struct lh_networks *networks);

bool lh_networks_empty(const struct lh_networks *networks);
bool lh_networks_have(const struct lh_networks *networks,
                      const struct lh_ip *ip);
/* By its text, where "unix" is the other end of a unix socket. */
bool lh_networks_have_text(const struct lh_networks *networks,
                           const char *address);

#endif
