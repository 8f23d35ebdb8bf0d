/*
 * The PROXY header in front of a connection, on listeners that have
 * LHTTPD_LISTEN_PROXY: whom a proxy speaks for.
 */
#ifndef LH_SERVER_CONN_PROXY_H
#define LH_SERVER_CONN_PROXY_H

#include "server/conn_core.h"

/* Is a header from there believed?  No: it is closed, and the log says so. */
bool lh_conn_proxy_may(struct lh_worker *w, int fd,
                       const struct lh_sock_ends *ends);

/* To the state PROXY. */
void lh_conn_proxy_begin(struct lh_conn *c);

/* In that state, once something has come: on to the client's own octets, or
 * closes. */
void lh_conn_proxy_read(struct lh_conn *c);

/* Gives back what it holds, in any state. */
void lh_conn_proxy_end(struct lh_conn *c);

#endif
