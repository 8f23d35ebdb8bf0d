/* Many to one, without locks: see mailbox.h. */
#include "base/mailbox.h"

#include <stddef.h>

void lh_mailbox_init(struct lh_mailbox *m)
{
    atomic_init(&m->newest, NULL);
}

bool lh_mailbox_post(struct lh_mailbox *m, struct lh_mailbox_node *node)
{
    struct lh_mailbox_node *old =
        atomic_load_explicit(&m->newest, memory_order_relaxed);

    /* Nodes are only ever taken all together, so a newest one that is the same
     * pointer again (ABA) still heads a valid chain.  Each failure means that
     * another thread got on. */
    do {
        node->next = old;
    } while (!atomic_compare_exchange_weak_explicit(
        &m->newest, &old, node, memory_order_release, memory_order_relaxed));
    return old == NULL;
}

struct lh_mailbox_node *lh_mailbox_take(struct lh_mailbox *m)
{
    struct lh_mailbox_node *node =
        atomic_exchange_explicit(&m->newest, NULL, memory_order_acquire);
    struct lh_mailbox_node *oldest = NULL;

    while (node) {
        struct lh_mailbox_node *older = node->next;
        node->next = oldest;
        oldest = node;
        node = older;
    }
    return oldest;
}
