/*
 * What a client's connection by TLS is with either library: how far it has got,
 * what came of its socket and what has to leave by it, and why it has failed.
 * The transport itself is the library's, in tls.c and tls_openssl.c.
 */
#ifndef LH_NET_TLS_CORE_H
#define LH_NET_TLS_CORE_H

#include "net/away.h"
#include "net/chunk.h"
#include "net/hello.h"
#include "net/hello_part.h"
#include "net/tls.h"

/* Why a connection failed. */
#define LH_TLS_NO_MEMORY "no memory"
#define LH_TLS_UNREAD    "the client does not read what it asks for"

/* RFC 5246, 7.3 and RFC 8446, A.2, seen from outside the library. */
enum lh_tls_phase {
    LH_PHASE_FRESH, /* the ClientHello is not whole: nothing is the library's */
    LH_PHASE_HANDSHAKE,
    LH_PHASE_OPEN,   /* application data flows */
    LH_PHASE_CLOSED, /* close_notify went both ways; BearSSL ends so */
    LH_PHASE_LOST,   /* the connection or the library failed */
    LH_PHASE_PLAIN,  /* it is HTTP without TLS: `plain` is to be taken */
    LH_PHASES
};

/* A library's own struct begins with it, and it with the transport, so that one
 * pointer is all three.  While a step is away the ends are the helper's. */
struct lh_tls_core {
    struct lh_transport base;
    enum lh_tls_phase phase;
    bool agreed;     /* the handshake succeeded */
    bool closing;    /* our close_notify was asked for */
    bool shut;       /* our FIN is sent */
    bool aside;      /* steps of this handshake are for helpers */
    bool stepped;    /* one was done, whose outcome is to be looked at */
    bool is_garbage; /* what came first was no ClientHello */
    /* LOST: why, where it is not the library's error. */
    int socket_error;    /* a negative errno, or 0 */
    const char *failure; /* or NULL */
    size_t written;      /* octets of application data: see early.h */
    struct lh_tls_ends ends;
    struct lh_hello_part hello; /* FRESH: what came of the ClientHello */
    struct lh_transport *plain; /* PLAIN: until it is taken */
    struct lh_away away;
};

/* All of it is zero before. */
void lh_tls_core_init(struct lh_tls_core *core,
                      const struct lh_transport_ops *ops,
                      struct lh_net_pools *pools, int fd);
void lh_tls_core_deinit(struct lh_tls_core *core);

#if LHTTPD_CHECKS
/* What always holds between two calls. */
void lh_tls_core_check(const struct lh_tls_core *core);
#else
static inline void lh_tls_core_check(const struct lh_tls_core *core)
{
    (void)core;
}
#endif

void lh_tls_move(struct lh_tls_core *core, enum lh_tls_phase phase);

/* The connection has failed; the first failure stays.  `why`: NULL where the
 * socket's error or the library's says it.  LOST, for the caller to return. */
enum lh_net lh_tls_lose(struct lh_tls_core *core, const char *why);
enum lh_net lh_tls_lose_socket(struct lh_tls_core *core, ssize_t error);

/* For receive, which it begins.  OK: something waits in the raw chunk, or a
 * step has come back; else what receive says. */
enum lh_net lh_tls_fill(struct lh_tls_core *core);

/* FRESH, when something came.  OK: a handshake begins, with *hello, if it is
 * not garbage; or the phase is PLAIN, and the library has nothing to do. */
enum lh_net lh_tls_begin(struct lh_tls_core *core, struct lh_hello *hello);

/* Gives the raw chunk back once all of it was taken. */
static inline void lh_tls_give_raw(struct lh_tls_core *core)
{
    if (!core->base.away)
        lh_chunk_give_if_empty(core->base.pools, &core->ends.raw);
}

/* Sends the flight, as send does; does more follow at once? */
enum lh_net lh_tls_send_flight(struct lh_tls_core *core, bool more_follows);

/* For shutdown, which it ends: the FIN, once what was to be `sent` before is.
 */
enum lh_net lh_tls_shut(struct lh_tls_core *core, enum lh_net sent);

/* For discard: the library gets nothing any more. */
enum lh_net lh_tls_discard(struct lh_transport *t);

/* For lh_tls_failure(): why it is lost; false: the library's error says it. */
bool lh_tls_words(const struct lh_tls_core *core,
                  char out[LH_TLS_FAILURE_BYTES]);

#endif
