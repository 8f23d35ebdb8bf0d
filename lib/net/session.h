/*
 * TLS sessions kept for resumption, shared by all workers without a lock, and
 * the link through which one BearSSL context uses them.
 */
#ifndef LH_NET_SESSION_H
#define LH_NET_SESSION_H

#include "net/client_auth.h"

#include <bearssl.h>
#include <stdbool.h>
#include <stdint.h>

#define LH_SESSION_LIFETIME_MS ((uint64_t)3600 * 1000)

/* What a session was made for: SHA-256 of the server name in lower case, and
 * where clients have certificates (`ca`, or NULL) of whom they have to be from,
 * so that none is carried over to other authorities. */
struct lh_session_name {
    uint8_t hash[br_sha256_SIZE];
};
struct lh_session_name lh_session_name(const char *server_name,
                                       const struct lh_client_ca *ca);

/* NULL: no memory.  `clients`: with room for what is known of their
 * certificates. */
struct lh_sessions *lh_sessions_new(bool clients);
void lh_sessions_free(struct lh_sessions *sessions); /* NULL allowed; wipes */

/* Session ids have 32 bytes.  Where a neighbour writes at this very moment, a
 * session is not saved, or not found: it costs a full handshake.  `client`:
 * NULL where clients have no certificates.  A subject that is longer than
 * LH_SESSION_SUBJECT_BYTES is not kept, and its session neither. */
#define LH_SESSION_SUBJECT_BYTES 216
void lh_sessions_save(struct lh_sessions *sessions,
                      const br_ssl_session_parameters *params,
                      const struct lh_session_name *name,
                      const struct lh_client_cert *client, uint64_t now_ms);
/* By params->session_id and the name it was made for (RFC 6066, 3: a session
 * must not be carried over to another); fills the rest, and *client. */
bool lh_sessions_load(struct lh_sessions *sessions,
                      br_ssl_session_parameters *params,
                      const struct lh_session_name *name,
                      struct lh_client_cert *client, uint64_t now_ms);

/* One context's view. */
struct lh_session_link {
    const br_ssl_session_cache_class *vtable; /* first: BearSSL casts */
    struct lh_sessions *sessions;
    const char *server_name; /* the present client's, while its handshake runs
                              */
    struct lh_client_auth
        *client; /* its certificate; NULL: none is asked for */
    bool is_new; /* its handshake has made a session */
};

/* The suite of a session that the present client would get; 0: it is not known.
 */
unsigned lh_session_suite(const struct lh_session_link *link, const uint8_t *id,
                          size_t n);

void lh_session_link_init(struct lh_session_link *link,
                          struct lh_sessions *sessions);

#endif
