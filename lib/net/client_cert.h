/* What is known of a TLS client's certificate, whichever library has read it.
 */
#ifndef LH_NET_CLIENT_CERT_H
#define LH_NET_CLIENT_CERT_H

#include <stdint.h>

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
    LH_CLIENT_OTHER_NAME, /* these two: of a server's that we ask */
    LH_CLIENT_NOT_FOR_SERVERS,
    LH_CLIENT_NO_MEMORY, /* the handshake fails, optional or not */
};

/* What is told of it, and kept with its session. */
struct lh_client_cert {
    enum lh_client_verify verify;
    enum lh_client_fault fault;            /* where it has FAILED */
    uint8_t fingerprint[32];               /* SHA-256 of it all */
    char subject[LH_CLIENT_SUBJECT_BYTES]; /* RFC 4514 */
};

/* In words, "unknown issuer". */
const char *lh_client_fault_words(enum lh_client_fault fault);

/* The TLS alert that tells the client (RFC 5246, 7.2.2). */
uint8_t lh_client_fault_alert(enum lh_client_fault fault);

#endif
