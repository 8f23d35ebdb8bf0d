/*
 * What another thread gives to a worker that runs, without a lock: one place
 * for each kind, where the newest replaces what the worker has not taken yet.
 * The worker looks when a turn begins and whenever it has received octets, so
 * whatever a client sends after the giver has returned meets what was given.
 */
#ifndef LH_SERVER_NEWS_H
#define LH_SERVER_NEWS_H

#include "base/limits.h"

#include <stdatomic.h>
#include <stdbool.h>

struct lh_creds;
struct lh_vms;
struct lh_worker;

/* All zero at first. */
struct lh_news {
    _Atomic bool any;                  /* it is worth a look */
    _Atomic(lhttpd_limits_t *) limits; /* allocated */
    _Atomic(struct lh_vms *) vms;
};

/* Gives a copy of the limits to all workers that exist, or to none:
 * LHTTPD_ENOMEM. */
int lh_news_give_limits(struct lhttpd_server_t *s,
                        const lhttpd_limits_t *limits);

/* Handshakes that begin from now on use these credentials; takes over the
 * caller's share. */
void lh_news_give_creds(struct lhttpd_server_t *s, struct lh_creds *creds);

/* Takes one set of VMs for each worker. */
void lh_news_give_vms(struct lhttpd_server_t *s, struct lh_vms **sets);

/* On the worker's thread: takes what there is. */
void lh_news_take(struct lh_worker *w);

/* The worker has ended: frees what it has not taken. */
void lh_news_deinit(struct lh_news *news);

#endif
