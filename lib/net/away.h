/*
 * Steps of handshakes that helper threads do.  A signature or a key exchange
 * takes milliseconds, in which a worker would serve nobody else.
 *
 * While a helper has the step (`away` of the transport) the transport is the
 * helper's, and the worker's connection waits without input.  Who frees it
 * meanwhile only marks it; it is freed when it is back.
 */
#ifndef LH_NET_AWAY_H
#define LH_NET_AWAY_H

#include "net/transport.h"
#include "os/crew.h"

/* Embedded in the transport's own struct. */
struct lh_away {
    struct lh_crew_job job;
    struct lh_transport *transport;
};

/* Gives a helper the next step, which touches neither the socket nor what the
 * worker's transports share.  False: there are no helpers.  They know of it
 * from lh_away_call() on: at the end of the worker's turn, in which one that
 * wakes up on the same processor would otherwise take the worker's place. */
bool lh_away_go(struct lh_transport *t, struct lh_away *away,
                void (*step)(struct lh_crew_job *job));
void lh_away_call(const struct lh_net_pools *pools);

/* Have the helpers enough to do?  Who would begin then waits, for a step that
 * has begun holds buffers. */
bool lh_away_is_full(const struct lh_net_pools *pools);

/* How many more may go. */
unsigned lh_away_room(const struct lh_net_pools *pools);

/* Takes back what is done: `back` of the pools for each, which may go on. */
void lh_away_take(struct lh_net_pools *pools);

/* The helpers end with what they have; no connection is left to go on. */
void lh_away_end(struct lh_net_pools *pools);

#endif
