/*
 * BearSSL contexts, set up as we want them and kept for reuse; the transport in
 * tls.c drives them.  What the workers share and what each has is here.
 */
#ifndef LH_NET_TLS_CONTEXT_H
#define LH_NET_TLS_CONTEXT_H

#include "base/mem.h"
#include "net/client_auth.h"
#include "net/held_creds.h"
#include "net/hello.h"
#include "net/policy.h"
#include "net/session.h"
#include "net/tls.h"

#include <bearssl.h>

struct lh_tls_context {
    br_ssl_server_context server;
    struct lh_policy policy;
    struct lh_session_link session;
    const char *const *protocols; /* the names that ALPN chooses from */
    struct lh_hello *hello;       /* its client's, for all that ask, while its
                                     handshake runs; or NULL */
    struct lh_client_auth *auth;  /* its certificate, while its handshake runs
                                     and until it was told; or NULL */
    struct lh_tls_context *next;  /* while it waits for its next client */
};

/* What is spoken, as a server and as a client: TLS 1.2, its suites in our
 * order, and the algorithms for them. */
void lh_tls_engine_set_up(br_ssl_engine_context *engine);

struct lh_tls_worker {
    struct lh_tls_shared *shared;
    struct lh_held_creds held;
    struct lh_tls_context *idle;
    unsigned idle_n, out;
    struct lh_pool inputs, outputs; /* record buffers */
};

/* NULL: no memory, or no entropy.  Has no record buffers yet. */
struct lh_tls_context *lh_tls_context_take(struct lh_tls_worker *worker);
void lh_tls_context_give(struct lh_tls_worker *worker,
                         struct lh_tls_context *context);

/* Makes it ready for a client's first byte, its hello known and copied; false:
 * it cannot be used.  Both buffers are from the worker's pools. */
bool lh_tls_context_start(struct lh_tls_worker *worker,
                          struct lh_tls_context *context,
                          const struct lh_hello *hello, void *input,
                          void *output);

/* Once it is started: does the client name a session that is known, and offer
 * its suite?  Then its handshake is a short one. */
bool lh_tls_context_may_resume(const struct lh_tls_context *context);

/* After a handshake that has succeeded: gives up what only that needs.  The
 * engine has the hello's name from then on. */
void lh_tls_context_settle(struct lh_tls_context *context);

/* After a handshake: is it one that we want to go on with?  No: only unknown
 * ALPN names in a resumed hello. */
bool lh_tls_context_agrees(const struct lh_tls_context *context);

/* After a handshake: was there no memory to look at the client's certificate?
 */
bool lh_tls_context_lacks_memory(const struct lh_tls_context *context);

/* Is this whole record, the next that the engine expects, an alert that says
 * close_notify (RFC 5246, 7.2.1) and is the client's own?  The engine does not
 * see it. */
#define LH_TLS_HEADER_BYTES 5  /* of a record */
#define LH_TLS_ALERT_BYTES  32 /* of an encrypted alert; we agree to less */
bool lh_tls_context_is_goodbye(const struct lh_tls_context *context,
                               const uint8_t *record, size_t n);

/* The alert for which the engine's error stands (RFC 5246, 7.2.2), since the
 * engine itself sends none; -1: one of the two sides has sent an alert. */
int lh_tls_context_alert(const struct lh_tls_context *context, int error);

/* Forgets what is known of the client's certificate. */
void lh_tls_context_end_auth(struct lh_tls_context *context);

bool lh_tls_context_is_h2(const struct lh_tls_context *context);
const char *lh_tls_context_cipher(const struct lh_tls_context *context);

#endif
