/*
 * A client's certificate, verified while its handshake runs: BearSSL's X.509
 * engine, which here keeps what the certificate says, and where certificates
 * are optional lets the handshake go on with one that does not verify.
 */
#ifndef LH_NET_CLIENT_AUTH_H
#define LH_NET_CLIENT_AUTH_H

#include "net/certificate.h"
#include "net/client_ca.h"
#include "net/client_cert.h"

#include <bearssl.h>

/* Of one handshake.  `vtable` is what BearSSL's engine is given. */
struct lh_client_auth {
    const br_x509_class *vtable; /* first: BearSSL casts */
    struct lh_client_ca *ca;     /* a share; NULL: it is about a server */
    struct lh_host host;         /* then whose certificate it has to be */
    struct lh_client_cert cert;
    br_x509_minimal_context chain;
    br_x509_decoder_context leaf; /* its key, where the chain gives none */
    int64_t now_s;
    uint8_t *der; /* the leaf, until the chain has ended */
    size_t der_n, der_room, octets, certificates;
    bool uses_leaf; /* the key that counts is the leaf's, unverified */
};

/* NULL: no memory.  Takes a share of the authorities. */
struct lh_client_auth *lh_client_auth_new(struct lh_client_ca *ca);

/* The other way round: of a server that is called so, from authorities that
 * last longer. */
struct lh_anchors;
struct lh_client_auth *lh_server_auth_new(const struct lh_anchors *anchors,
                                          const char *host);

void lh_client_auth_free(struct lh_client_auth *auth); /* NULL allowed */

#endif
