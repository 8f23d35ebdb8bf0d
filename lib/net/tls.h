/*
 * TLS: the transport that is between the socket and the protocol.  Contexts are
 * pooled per worker; what all workers share is read-only, but for the session
 * cache.
 *
 * This header and cred.h are all that a TLS library has to give: each is files
 * of its own, which CMakeLists.txt chooses by LHTTPD_TLS, and nobody above net/
 * knows which.  tls.c and what it includes is BearSSL, tls_openssl.c OpenSSL,
 * tls_none.c no TLS; what the first two have in common is in tls_core.h.
 */
#ifndef LH_NET_TLS_H
#define LH_NET_TLS_H

#include "base/err.h"
#include "net/client_cert.h"
#include "net/cred.h"
#include "net/transport.h"

#include <stdbool.h>

/* The library's name, "bearssl" or "openssl"; NULL: there is no TLS in this
 * build, listeners that want it are refused, and so are credentials. */
const char *lh_tls_library(void);

/* Shared by the workers: credentials, and what resumption needs. */
struct lh_tls_shared;

/* `creds` must last until all workers are made.  LHTTPD_ENOMEM, LHTTPD_ESYSTEM
 * (no entropy). */
int lh_tls_shared_new(struct lh_tls_shared **shared, struct lh_creds *creds,
                      bool http2, struct lh_err *err);
void lh_tls_shared_free(struct lh_tls_shared *shared); /* NULL allowed */

/* Why the kernel cannot encipher what this library has agreed on; NULL: it can.
 * Linux may have to load a module for that, for which it wants privileges: call
 * it before they are dropped. */
const char *lh_tls_kernel_refuses(void);

/* Before the first worker is made: where a client agrees on TLS 1.3, the kernel
 * enciphers what is sent, and so can move files into the connection. */
void lh_tls_use_kernel(struct lh_tls_shared *shared);

/* One worker's pool of contexts. */
struct lh_tls_worker *lh_tls_worker_new(struct lh_tls_shared *shared);
void lh_tls_worker_free(struct lh_tls_worker *worker); /* NULL allowed */

/* Handshakes that begin from the return on use these credentials, of which it
 * takes a share.  Any thread; any number of times. */
void lh_tls_worker_give(struct lh_tls_worker *worker, struct lh_creds *creds);

/* On the worker's thread, now and then: lets go of credentials that were
 * replaced. */
void lh_tls_worker_take(struct lh_tls_worker *worker);

/* Those that it has, until it takes others. */
const struct lh_creds *lh_tls_worker_creds(const struct lh_tls_worker *worker);

/* A TLS server transport on a connected socket; NULL: no memory. */
struct lh_transport *lh_tls_new(struct lh_net_pools *pools, int fd);

/* How the handshake went. */
enum lh_tls_state {
    LH_TLS_HANDSHAKE,  /* goes on */
    LH_TLS_READY,      /* done: the functions below tell what was agreed */
    LH_TLS_PLAIN_HTTP, /* the client speaks HTTP without TLS */
};
enum lh_tls_state lh_tls_state(const struct lh_transport *t);
bool lh_tls_is_h2(const struct lh_transport *t);
bool lh_tls_is_resumed(const struct lh_transport *t); /* of a former session */
const char *
lh_tls_protocol(const struct lh_transport *t); /* "TLSv1.2" or "TLSv1.3" */
const char *lh_tls_cipher(const struct lh_transport *t);      /* IANA name */
const char *lh_tls_server_name(const struct lh_transport *t); /* SNI or "" */

/* With PLAIN_HTTP: takes another transport in place of this one, which is
 * freed. It is a plain one, to which nothing that came is lost, so that a 400
 * can be answered. */
struct lh_transport *lh_tls_take_plain(struct lh_transport *t);

/* What is known of the client's certificate; NULL: none was asked for.  Until
 * it is forgotten, which gives memory back: call it once the handshake is done
 * and what is wanted was read. */
const struct lh_client_cert *lh_tls_client(const struct lh_transport *t);
void lh_tls_forget_client(struct lh_transport *t);

/* After LH_NET_LOST: why, for the operator: "no cipher suite in common",
 * "certificate unknown (alert 46) from the client".  False: it has not failed,
 * or is no TLS, and out is "". */
#define LH_TLS_FAILURE_BYTES 128
bool lh_tls_failure(const struct lh_transport *t,
                    char out[LH_TLS_FAILURE_BYTES]);

/* After LH_NET_LOST: did the socket fail, as by a client that resets the
 * connection, and nothing of TLS? */
bool lh_tls_is_cut(const struct lh_transport *t);

#endif
