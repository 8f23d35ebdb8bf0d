/*
 * What a handshake by OpenSSL knows of its client, and the decisions in it:
 * which certificate the client gets, and what its own is worth.
 */
#ifndef LH_NET_HANDSHAKE_OPENSSL_H
#define LH_NET_HANDSHAKE_OPENSSL_H

#include "net/bio_openssl.h"
#include "net/certificate.h"
#include "net/client_cert.h"
#include "net/cred.h"
#include "net/hello.h"
#include "net/key_openssl.h"
#include "net/openssl.h"
#include "net/ticket_keys.h"

/* Of one connection, from its ClientHello to the end of its handshake, in which
 * the SSL object finds it by lh_tls_bio_handshake(). */
struct lh_handshake {
    struct lh_tls_port port;
    struct lh_creds *creds;       /* a share */
    struct lh_ticket_key sealing; /* for its tickets; of period 0: none */
    struct lh_hello hello;
    bool
        pauses; /* where it chooses a certificate, which a short one does not */
    const struct lh_key *chosen;   /* of `creds`; NULL: none yet */
    bool no_pair;                  /* none fitted the client, */
    bool no_suite;                 /* for it has no suite of ours */
    struct lh_client_cert *client; /* NULL: it has shown none */
    enum lh_client_fault fault;    /* why its certificate does not verify */
};

/* NULL: no memory.  Takes a share of the credentials. */
struct lh_handshake *lh_handshake_new(struct lh_creds *creds,
                                      const struct lh_hello *hello);
void lh_handshake_free(struct lh_handshake *handshake); /* NULL allowed */

/* For SSL_CTX_set_cert_cb(). */
int lh_handshake_choose(SSL *ssl, void *unused);

/* Asks the client of this handshake for its certificate, if the credentials
 * want one.  False: no memory. */
bool lh_handshake_ask(const struct lh_handshake *handshake, SSL *ssl);

/* For SSL_CTX_set_cert_verify_callback(). */
int lh_handshake_verify(X509_STORE_CTX *store, void *unused);

/* The other way round: what the certificate of a server is worth that is called
 * so.  Where that is nothing, OpenSSL is told of which alert it has to send. */
enum lh_client_fault lh_handshake_verify_server(X509_STORE_CTX *store,
                                                const struct lh_host *host);

/* At the end: takes what is known of the client's certificate into *out, which
 * is NULL where none was asked for.  False: no memory. */
bool lh_handshake_take_client(struct lh_handshake *handshake, SSL *ssl,
                              struct lh_client_cert **out);

#endif
