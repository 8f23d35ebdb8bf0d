/*
 * Certificates that expire while the server runs are named in the log.  Who
 * gives certificates names those that have expired before.
 */
#ifndef LH_SERVER_EXPIRY_H
#define LH_SERVER_EXPIRY_H

#include "base/timer.h"

struct lh_worker;

struct lh_expiry {
    struct lh_timer timer;
    int64_t told_s; /* up to then, by the calendar's clock */
};

void lh_expiry_init(struct lh_worker *w);

/* Names those that have expired since the last look, and sees to it that there
 * is another one in time: from the begin on, and before and after the worker
 * takes other certificates.  One worker does it for all. */
void lh_expiry_look(struct lh_worker *w);

#endif
