/*
 * Which worker accepts a listener's clients next.
 *
 * A listener is armed one-shot in the event queue of its owner.  Who takes its
 * event accepts what is there and hands it on to a waiting worker; and so does
 * an owner that is about to run Lua, which may take long.  With nobody waiting
 * it has no owner until a worker is about to wait.
 *
 * No client is forgotten, and none waits for a worker that is busy:
 *
 * - a worker says that it waits before it looks for listeners without owner,
 *   and one that leaves a listener without owner looks for waiting workers
 *   afterwards;
 * - a worker says that it no longer waits before it looks for listeners that
 *   are its own, and one that gives a listener looks afterwards whether the
 *   other still waits: if not, it takes the listener back, since the other may
 *   have looked too early.
 *
 * An arming that was overtaken does no harm: its worker finds no client, or
 * takes one.  A listener that is out of use (LH_OWNER_GONE) stays so.
 */
#ifndef LH_SERVER_HANDOVER_H
#define LH_SERVER_HANDOVER_H

#include "server/worker.h"

/* Hands listener number `i`, or all, on to whoever waits, if they are ours. */
void lh_handover(struct lh_worker *w, unsigned i);
void lh_handover_all(struct lh_worker *w);

/* Before a wait, once `waiting` is set: what has no owner is ours. */
void lh_handover_take(struct lh_worker *w);

#endif
