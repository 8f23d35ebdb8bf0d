/*
 * The credentials that a worker has: its share of a set, and a slot in which
 * another thread leaves a newer one.
 */
#ifndef LH_NET_HELD_CREDS_H
#define LH_NET_HELD_CREDS_H

#include "net/cred.h"

#include <stdatomic.h>

struct lh_held_creds {
    struct lh_creds *creds;           /* a share, for handshakes that begin */
    _Atomic(struct lh_creds *) given; /* a share of newer ones, or NULL */
};

/* Takes a share. */
void lh_held_creds_init(struct lh_held_creds *held, struct lh_creds *creds);
void lh_held_creds_deinit(struct lh_held_creds *held);

/* Any thread: one share more, in the place of what was not taken yet. */
void lh_held_creds_give(struct lh_held_creds *held, struct lh_creds *creds);

/* The worker: `creds` are the newest from now on. */
void lh_held_creds_take(struct lh_held_creds *held);

#endif
