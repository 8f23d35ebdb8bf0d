/*
 * A client's certificate, verified while its handshake runs: BearSSL's X.509
 * engine, which here keeps what the certificate says, and where certificates
 * are optional lets the handshake go on with one that does not verify.
 */
#ifndef LH_NET_CLIENT_AUTH_H
#define LH_NET_CLIENT_AUTH_H

#include "net/client_ca.h"

#include <bearssl.h>

/* A longer name of a subject does not verify. */
#define LH_CLIENT_SUBJECT_BYTES 1024

enum lh_client_verify { LH_CLIENT_NONE, LH_CLIENT_SUCCESS, LH_CLIENT_FAILED };

/* Why a certificate does not verify. */
enum lh_client_fault {
    LH_CLIENT_OK,
    LH_CLIENT_UNKNOWN_ISSUER,
    LH_CLIENT_EXPIRED,
    LH_CLIENT_NOT_YET_VALID,
    LH_CLIENT_CHAIN_DATES,
    LH_CLIENT_BAD_SIGNATURE,
    LH_CLIENT_NOT_CA,
    LH_CLIENT_USAGE,
    LH_CLIENT_WEAK_KEY,
    LH_CLIENT_EXTENSION,
    LH_CLIENT_UNSUPPORTED,
    LH_CLIENT_TOO_LONG,
    LH_CLIENT_DAMAGED,
    LH_CLIENT_NO_MEMORY, /* the handshake fails, optional or not */
};

/* What is told of it, and kept with its session. */
struct lh_client_cert {
    enum lh_client_verify verify;
    enum lh_client_fault fault; /* where it has FAILED */
    uint8_t fingerprint[br_sha256_SIZE];
    char subject[LH_CLIENT_SUBJECT_BYTES]; /* RFC 4514 */
};

/* In words, "unknown issuer". */
const char *lh_client_fault_words(enum lh_client_fault fault);

/* The TLS alert that tells the client (RFC 5246, 7.2.2). */
uint8_t lh_client_fault_alert(enum lh_client_fault fault);

/* Of one handshake.  `vtable` is what BearSSL's engine is given. */
struct lh_client_auth {
    const br_x509_class *vtable; /* first: BearSSL casts */
    struct lh_client_ca *ca;     /* a share */
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
void lh_client_auth_free(struct lh_client_auth *auth); /* NULL allowed */

#endif
