/*
 * A queue from many threads to one, without locks: how other threads and
 * signal handlers tell a worker something.  The links live in the messages.
 */
#ifndef LH_BASE_MAILBOX_H
#define LH_BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct lh_mailbox_node {
    struct lh_mailbox_node *next;
};

struct lh_mailbox {
    _Atomic(struct lh_mailbox_node *) newest;
};

struct lh_worker;

/* What is sent to a worker.  It is called once: `deliver` on the worker's
 * thread, or `drop` (NULL: nothing is to be done) where the worker has ended
 * before; from then on the message is its sender's again. */
struct lh_message {
    struct lh_mailbox_node node;
    void (*deliver)(struct lh_message *message, struct lh_worker *w);
    void (*drop)(struct lh_message *message);
};

void lh_mailbox_init(struct lh_mailbox *m);

/* From any thread and from signal handlers.  The node belongs to the consumer
 * until it has been taken.  True: it was empty, so the consumer must be woken.
 */
bool lh_mailbox_post(struct lh_mailbox *m, struct lh_mailbox_node *node);

/* The consumer's: takes everything, oldest first, chained by `next`; NULL:
 * nothing.  Read a node's `next` before giving the node back. */
struct lh_mailbox_node *lh_mailbox_take(struct lh_mailbox *m);

#endif
