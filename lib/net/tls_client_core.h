/*
 * What a connection by TLS to a server is with either library: how far it has
 * got, why it has failed, and what is taken from its socket.
 */
#ifndef LH_NET_TLS_CLIENT_CORE_H
#define LH_NET_TLS_CLIENT_CORE_H

#include "net/chunk.h"
#include "net/tls_client.h"

/* With the NUL; longer words are cut. */
#define LH_TLS_CLIENT_WORDS_BYTES 128

/* A library's own struct begins with it, and it with the transport, so that one
 * pointer is all three. */
struct lh_tls_client_core {
    struct lh_transport base;
    enum lh_tls_client_state state;
    bool heard; /* the first octets of the server have come */
    bool old;   /* ... in a record of a former version */
    bool ended; /* it has said its goodbye */
    char words[LH_TLS_CLIENT_WORDS_BYTES]; /* why it has failed; copied */
};

/* The connection has failed; the first failure's words stay, since what follows
 * is its consequence.  LOST, for the caller to return. */
enum lh_net lh_tls_client_lose(struct lh_tls_client_core *core,
                               const char *words);

/* Takes what the socket has into *chunk, which has nothing that waits; OK: now
 * it has, and what came first was TLS.  Only once in a step, which *filled
 * tells: a server that sends without end does not hold the thread. */
enum lh_net lh_tls_client_fill(struct lh_tls_client_core *core,
                               struct lh_chunk *chunk, bool *filled);

#endif
