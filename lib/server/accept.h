/*
 * A worker's clients: accepting them, as long as there is room.  Which worker
 * does it is told in handover.h.
 */
#ifndef LH_SERVER_ACCEPT_H
#define LH_SERVER_ACCEPT_H

#include "server/worker.h"

/* Adds all listeners to the worker's event queue.  LHTTPD_ESYSTEM, _ENOMEM. */
int lh_accept_init(struct lh_worker *w, struct lh_err *err);

/* At a stop: the worker touches no listener any more, and the last one to leave
 * closes them.  `rest`: accepts whom the kernel has accepted for us before
 * that, since a listener that is closed resets them. */
void lh_accept_leave(struct lh_worker *w, bool rest);

#endif
