/*
 * A worker's clients: accepting them, as long as there is room.  Which worker
 * does it is told in handover.h.
 */
#ifndef LH_SERVER_ACCEPT_H
#define LH_SERVER_ACCEPT_H

#include "server/worker.h"

/* Adds all listeners to the worker's event queue.  LHTTPD_ESYSTEM, _ENOMEM. */
int lh_accept_init(struct lh_worker *w, struct lh_err *err);

/* At a stop: accepts whom the kernel has accepted for us, since a listener that
 * is closed resets them. */
void lh_accept_last(struct lh_worker *w);

/* The worker touches no listener any more; the last one to leave closes them.
 */
void lh_accept_leave(struct lh_worker *w);

#endif
