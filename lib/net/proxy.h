/*
 * The header that a proxy sends in front of a connection to say whose it is:
 * the PROXY protocol, version 1 (text) and 2 (binary), as HAProxy's
 * specification proxy-protocol.txt has it.
 */
#ifndef LH_NET_PROXY_H
#define LH_NET_PROXY_H

#include "base/str.h"
#include "os/sock.h"

/* A longer header is refused; those of real proxies have 28 to some 1,000
 * octets, more where they hand on a client's certificate. */
#define LH_PROXY_BYTES_MAX 16384

enum lh_proxy_result {
    LH_PROXY_MORE,  /* the header is not whole yet; all of it is the header's */
    LH_PROXY_WHOLE, /* *proxy is filled in */
    LH_PROXY_BAD,   /* it is none: proxy->why says in words what is wrong */
};

struct lh_proxy {
    size_t used; /* octets of the header; what follows is the client's */
    const char *why;
    /* False: the connection is the proxy's own (a health check), or it does not
     * know whose; the socket's addresses hold. */
    bool conveys;
    struct lh_sock_ends ends; /* local: what the client has connected to */
    bool secure;              /* the client speaks TLS to the proxy */
    /* In the header's octets; .p NULL: not said, or nothing printable. */
    struct lh_str protocol, cipher, server_name;
};

/* p: what came of the connection so far. */
enum lh_proxy_result lh_proxy_read(const uint8_t *p, size_t n,
                                   struct lh_proxy *proxy);

#endif
