/*
 * Shared values: each key belongs to one worker, by its hash, which alone
 * touches it while the server runs.  Others send it a call and get it back.
 * Before workers run, whoever sets the server up has all of them.
 */
#ifndef LH_SERVER_OWNERS_H
#define LH_SERVER_OWNERS_H

#include "base/shared.h"
#include "server/worker.h"

/* Fills in the hub.  LHTTPD_ENOMEM. */
int lh_owners_init(struct lhttpd_server_t *s);
void lh_owners_deinit(struct lhttpd_server_t *s);

/* A worker is there: its statistics count what is set already. */
void lh_owners_begin_worker(struct lh_worker *w);

/* From a thread that is no worker of a server that has not stopped, or that has
 * attached it and takes no turn: does it, which may mean to wait for the owner,
 * `timeout_ms` at most (-1: for ever). The answer's text is lent by
 * `call->octets`, to be freed.  LHTTPD_ENOMEM, LHTTPD_ESYSTEM: it could not be
 * asked; LHTTPD_ETIMEOUT: it may yet be done; LHTTPD_ESTATE: the worker has
 * ended. */
int lh_owners_ask(struct lhttpd_server_t *s, const struct lh_shared_call *what,
                  struct lh_shared_call *answer, int timeout_ms);

/* Before start: there are to be so many workers, and values go to those that
 * they belong to then.  LHTTPD_ENOMEM: nothing has changed. */
int lh_owners_share_out(struct lhttpd_server_t *s, unsigned workers_n);

/* For scripts that are only checked: what they change is undone.
 * LHTTPD_ENOMEM. */
int lh_owners_begin_check(struct lhttpd_server_t *s, struct lh_store ***before);
void lh_owners_end_check(struct lhttpd_server_t *s, struct lh_store **before);

#endif
