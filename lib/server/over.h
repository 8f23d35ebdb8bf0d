/*
 * When lhttpd_server_wait() would return: who ends says so, and a program may
 * watch a descriptor for it.
 */
#ifndef LH_SERVER_OVER_H
#define LH_SERVER_OVER_H

#include "server/server.h"

/* Something that wait waits for has ended.  Any thread. */
void lh_over_note(struct lhttpd_server_t *s);

/* A stop was asked for; wait gives it up after so long.  Async-signal-safe. */
void lh_over_shutdown(struct lhttpd_server_t *s, int patience_ms);

/* A descriptor that is readable once wait would return; or LHTTPD_ESYSTEM. */
int lh_over_fd(struct lhttpd_server_t *s, int patience_ms);
void lh_over_deinit(struct lhttpd_server_t *s);

#endif
