/*
 * A server in its program's own loop: one worker, no thread of its own.  Each
 * call of run_once is a turn in the program's thread; the worker's event queue
 * is what the program watches meanwhile, with a timer in it for the time.
 */
#ifndef LH_SERVER_LOOP_H
#define LH_SERVER_LOOP_H

#include "server/server.h"

/* As the public functions; arguments and state were checked. */
int lh_loop_attach(struct lhttpd_server_t *s);
int lh_loop_fd(const struct lhttpd_server_t *s);
int lh_loop_next_timeout(const struct lhttpd_server_t *s);
int lh_loop_run_once(struct lhttpd_server_t *s, int timeout_ms);

/* Turns until it has stopped; as lhttpd_server_wait(). */
int lh_loop_wait(struct lhttpd_server_t *s);

/* Does the calling thread run it, and is it outside of a turn? */
bool lh_loop_is_ours(const struct lhttpd_server_t *s);

#endif
