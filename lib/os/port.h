/*
 * Where other threads leave messages for a worker, also when that may have
 * ended, or its server be destroyed: a mailbox of its own memory, counted by
 * all who may use it.  A message is delivered by its function exactly once: on
 * the worker's thread, or, after lh_port_close(), by whoever comes too late.
 */
#ifndef LH_OS_PORT_H
#define LH_OS_PORT_H

#include "base/mailbox.h"

#include <stdbool.h>

struct lh_evq;
struct lh_port;

struct lh_port_message {
    struct lh_mailbox_node node;
    void (*deliver)(struct lh_port_message *message);
};

/* With one share, the worker's, which a post wakes in `evq`; NULL: nobody is
 * woken.  NULL: no memory or no descriptor. */
struct lh_port *lh_port_new(const struct lh_evq *evq);

/* One share more, one less. */
void lh_port_hold(struct lh_port *port);
void lh_port_drop(struct lh_port *port);

/* Any thread that has a share. */
void lh_port_post(struct lh_port *port, struct lh_port_message *message);

/* Is this the process that has made it, not a forked child of that? */
bool lh_port_is_ours(const struct lh_port *port);

/* The worker's: delivers what has come. */
void lh_port_deliver(struct lh_port *port);

/* The worker ends: delivers the rest, and gives up its share. */
void lh_port_close(struct lh_port *port);

#endif
