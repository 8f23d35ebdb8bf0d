/*
 * When lhttpd_server_wait() would return: who ends says so, and a program may
 * watch a descriptor for it.
 */
#ifndef LH_SERVER_OVER_H
#define LH_SERVER_OVER_H

#include "server/server.h"

/* Something that wait waits for has ended.  Any thread. */
void lh_over_note(struct lhttpd_server_t *s);

/* How long wait waits yet; -1: no stop was asked for; 0: the time is over. Once
 * all workers have ended a script that loads gets LH_LOAD_STOP_MS. */
int lh_over_patience_ms(const struct lhttpd_server_t *s);

/* A stop was asked for.  Async-signal-safe. */
void lh_over_shutdown(struct lhttpd_server_t *s);

/* A descriptor that is readable once wait would return; or LHTTPD_ESYSTEM. */
int lh_over_fd(struct lhttpd_server_t *s);
void lh_over_deinit(struct lhttpd_server_t *s);

#endif
