/*
 * Who is on the other side of a connection and how it is reached, in words for
 * scripts and the log.  Shared by the connection and its exchanges, which may
 * outlive it; counted, and used by one worker only.
 */
#ifndef LH_HTTP_PEER_H
#define LH_HTTP_PEER_H

#include <stdbool.h>

struct lh_peer {
    unsigned owners;
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

#endif
