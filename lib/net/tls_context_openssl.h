/*
 * OpenSSL, set up as we want it: what the workers share, and what each has.
 * The transport in tls_openssl.c drives the SSL objects that are made here.
 */
#ifndef LH_NET_TLS_CONTEXT_OPENSSL_H
#define LH_NET_TLS_CONTEXT_OPENSSL_H

#include "base/mem.h"
#include "net/bio_openssl.h"
#include "net/handshake_openssl.h"
#include "net/held_creds.h"
#include "net/ticket_keys.h"
#include "net/tls.h"

#define LH_TLS_RECORD_BYTES 16384 /* of application data (RFC 8446, 5.1) */

struct lh_tls_worker {
    struct lh_tls_shared *shared;
    struct lh_held_creds held;
    SSL_CTX *ctx;
    BIO *bio;                /* of all connections after their handshakes, */
    struct lh_tls_port port; /* at the ends of that which is served just now */
    struct lh_ticket_key sealing; /* the newest that it has seen */
    struct lh_pool records;       /* LH_TLS_RECORD_BYTES */
    unsigned out;                 /* SSL objects */
};

/* An SSL object for a client's handshake, between these ends.  NULL: no memory.
 */
SSL *lh_tls_ssl_new(struct lh_tls_worker *worker,
                    struct lh_handshake *handshake, struct lh_tls_ends *ends);

/* The handshake has succeeded: what only that needed is given back.  From then
 * on the worker's port says at which ends the object works; where it `writes`
 * into the socket by itself, that is where it reads. */
void lh_tls_ssl_settle(struct lh_tls_worker *worker, SSL *ssl, bool writes);
void lh_tls_ssl_free(struct lh_tls_worker *worker, SSL *ssl); /* NULL allowed */

/* Versions, cipher suites, groups and signatures, of a server or a client.
 * False: no memory. */
bool lh_tls_set_choices(SSL_CTX *ctx);

/* Empties OpenSSL's queue of errors, as has to be done before each call whose
 * result is looked at: somebody else may have left one in this thread. */
void lh_tls_clear_errors(void);

#endif
