/*
 * TLS as a client, for connections that a worker makes: the transport between
 * the socket and who uses it, which verifies the server's certificate.
 *
 * This header is all that a TLS library has to give for it: each is files of
 * its own, which CMakeLists.txt chooses by LHTTPD_TLS.
 */
#ifndef LH_NET_TLS_CLIENT_H
#define LH_NET_TLS_CLIENT_H

#include "base/err.h"
#include "net/transport.h"

/* The authorities that servers' certificates have to be from. */
struct lh_trust;

/* Those of a PEM file; NULL: the system's (trust.h).  LHTTPD_ECERT with words,
 * as that this build cannot do it, or LHTTPD_ENOMEM. */
int lh_trust_new(struct lh_trust **out, const char *file, struct lh_err *err);
void lh_trust_free(struct lh_trust *trust);

/* A transport on a connected socket, to a server that is called so: by a name,
 * or an IPv4 or IPv6 address.  All of it lasts longer than the transport.
 * NULL: no memory.  Both receive and send take the handshake further. */
struct lh_transport *lh_tls_client_new(struct lh_net_pools *pools, int fd,
                                       const struct lh_trust *trust,
                                       const char *host);

enum lh_tls_client_state {
    LH_TLS_CLIENT_HANDSHAKE,
    LH_TLS_CLIENT_READY,
    LH_TLS_CLIENT_FAILED,
};
enum lh_tls_client_state lh_tls_client_state(const struct lh_transport *t);

/* Why it has failed: "certificate: expired".  As long as the transport. */
const char *lh_tls_client_failure(const struct lh_transport *t);

#endif
