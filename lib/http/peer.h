/*
 * Who is on the other side of a connection and how it is reached, in words for
 * scripts and the log.  Shared by the connection and its exchanges, which may
 * outlive it; counted, and used by one worker only.
 */
#ifndef LH_HTTP_PEER_H
#define LH_HTTP_PEER_H

#include "base/context.h"

#include <stdbool.h>
#include <stdint.h>

struct lh_peer {
    unsigned owners;
    uint64_t number; /* of the connection in its worker, from 1 on */
    int server_port, client_port; /* 0 on a unix socket */
    char server_addr[46];         /* numeric; "unix" on a unix socket */
    char client_addr[46];
    const char *tls_protocol;    /* "TLSv1.2"; NULL on plain TCP */
    const char *tls_cipher;      /* the IANA name */
    const char *tls_server_name; /* SNI; "" when none was sent */
    char *own_server_name;       /* where that lives, if it is not "" */
};

struct lh_peer *lh_peer_new(void); /* zeroed, one owner; NULL: no memory */
/* Copies the client's SNI.  False: no memory. */
bool lh_peer_set_server_name(struct lh_peer *peer, const char *name);
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
