/*
 * Who is on the other side of a connection and how it is reached, in words for
 * scripts and the log.  Shared by the connection and its exchanges, which may
 * outlive it; counted, and used by one worker only.
 */
#ifndef LH_HTTP_PEER_H
#define LH_HTTP_PEER_H

#include "base/context.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* A client's certificate, in words. */
struct lh_peer_cert {
    char verify[80];      /* "SUCCESS", or "FAILED:" and why */
    char fingerprint[65]; /* SHA-256, in hex */
    char subject[];       /* RFC 4514 */
};

struct lh_peer {
    unsigned owners;
    bool secure; /* the client speaks TLS, to us or to a proxy that says so */
    bool tells_cert; /* our own TLS does, and would know of a certificate */
    uint16_t logged_bytes; /* of `logged` */
    uint64_t number;       /* of the connection in its worker, from 1 on */
    int server_port, client_port; /* 0 on a unix socket */
    int proxy_port;
    char server_addr[46]; /* numeric; "unix" on a unix socket */
    char client_addr[46];
    const char *tls_protocol;    /* "TLSv1.2"; NULL on plain TCP */
    const char *tls_cipher;      /* the IANA name */
    const char *tls_server_name; /* SNI; "" when none was sent */
    struct lh_peer_cert *cert;   /* the client's; NULL: it has sent none */
    char *own_words;             /* where these live that are no constants */
    char *proxy_addr; /* who is connected to us and speaks for the client; NULL:
                         the client */
    char *logged;     /* what its lines of the access log have alike, from
                             lh_alloc(); NULL: not written yet */
    struct lh_peer *origin; /* of one that is for a single request: whose
                               strings these are; or NULL */
};

struct lh_peer *lh_peer_new(void); /* zeroed, one owner; NULL: no memory */
/* Copies the client's SNI.  False: no memory. */
bool lh_peer_set_server_name(struct lh_peer *peer, const char *name);

/* What a proxy says of its TLS with the client; "": nothing.  False: no memory.
 */
bool lh_peer_set_tls(struct lh_peer *peer, struct lh_str protocol,
                     struct lh_str cipher, struct lh_str name);
/* Copies what is known of the client's certificate.  `fault`: NULL where it has
 * been verified.  False: no memory. */
bool lh_peer_set_cert(struct lh_peer *peer, const char *fault,
                      const uint8_t fingerprint[32], const char *subject);
/* Who is told as the client so far is a proxy; the caller then fills in whom it
 * speaks for.  False: no memory. */
bool lh_peer_is_proxy(struct lh_peer *peer);
/* Another peer, of one request that the client has sent on for somebody else;
 * NULL: no memory.  As it is, but for the proxy. */
struct lh_peer *lh_peer_for_request(struct lh_peer *peer);
struct lh_peer *lh_peer_hold(struct lh_peer *peer);
void lh_peer_let_go(struct lh_peer *peer); /* NULL allowed */

/*
 * Logs that a client was refused, timed out, or failed otherwise: one line
 * each, as printf() makes it, which says what happened and where in the
 * protocol. It has the client's address and the level of its kind, and is left
 * out and counted where there were too many of the kind lately.
 */
void lh_log_client(struct lh_context *ctx, const struct lh_peer *peer,
                   enum lh_log_kind kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
