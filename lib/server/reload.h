/*
 * Reload: scripts, VMs and certificates again, made beside the workers that go
 * on, and given to them once all of it is there.
 */
#ifndef LH_SERVER_RELOAD_H
#define LH_SERVER_RELOAD_H

#include "server/server.h"

/* Before the workers are launched: what reloads work with.  A script's wish
 * (ctx->ask_reload) makes a thread of its own reload once nothing else changes
 * the server, and once more if it was asked meanwhile; in a program's own loop
 * there is none, see lh_reload_asked(). */
void lh_reload_init(struct lhttpd_server_t *s);
void lh_reload_deinit(struct lhttpd_server_t *s);

/* As lhttpd_server_reload(); the caller holds s->changes. */
int lh_server_reload(struct lhttpd_server_t *s, struct lh_err *err);

/* The wish of somebody who cannot wait: it is done by that thread, which also
 * logs how it went.  LHTTPD_ESTATE: the server stops; LHTTPD_ESYSTEM. */
int lh_reload_ask(struct lhttpd_server_t *s, struct lh_err *err);

/* In a program's own loop, between two turns: what a script has asked for. */
void lh_reload_asked(struct lhttpd_server_t *s);

/* At the stop: true once no such thread is left and none can begin. */
bool lh_reload_has_ended(struct lhttpd_server_t *s);

/* The stop waits no longer for such a thread, which goes on by itself. */
void lh_reload_abandon(struct lhttpd_server_t *s);

#endif
