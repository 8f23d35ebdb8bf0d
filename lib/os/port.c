/* Messages for workers that may have ended: see port.h. */
#include "os/port.h"

#include "base/list.h"
#include "base/mem.h"
#include "os/evq.h"
#include "os/self.h"

struct lh_port {
    struct lh_mailbox mailbox;
    _Atomic unsigned shares;
    _Atomic unsigned closed; /* 1: nobody else delivers any more */
    int waker;               /* of lh_evq_waker(), or negative */
    long process;
};

struct lh_port *lh_port_new(const struct lh_evq *evq)
{
    int waker = evq ? lh_evq_waker(evq) : -1;
    struct lh_port *port = evq && waker < 0 ? NULL : lh_alloc(sizeof(*port));

    if (!port) {
        lh_evq_waker_close(waker);
        return NULL;
    }
    lh_mailbox_init(&port->mailbox);
    atomic_init(&port->shares, 1);
    atomic_init(&port->closed, 0);
    port->waker = waker;
    port->process = lh_self_id();
    return port;
}

void lh_port_hold(struct lh_port *port)
{
    atomic_fetch_add(&port->shares, 1);
}

void lh_port_drop(struct lh_port *port)
{
    if (atomic_fetch_sub(&port->shares, 1) != 1)
        return;
    lh_evq_waker_close(port->waker);
    lh_free(port);
}

bool lh_port_is_ours(const struct lh_port *port)
{
    return port->process == lh_self_id();
}

void lh_port_deliver(struct lh_port *port)
{
    struct lh_mailbox_node *node = lh_mailbox_take(&port->mailbox);

    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct lh_port_message *m = LH_OF(node, struct lh_port_message, node);
        m->deliver(m);
        node = next;
    }
}

/* `closed` is changed by both sides, which puts them in an order: either the
 * worker sees the message, or we see that it will not. */
void lh_port_post(struct lh_port *port, struct lh_port_message *message)
{
    bool was_empty = lh_mailbox_post(&port->mailbox, &message->node);

    if (atomic_fetch_add(&port->closed, 0))
        lh_port_deliver(port);
    else if (was_empty)
        lh_evq_waker_wake(port->waker);
}

void lh_port_close(struct lh_port *port)
{
    if (!port)
        return;
    atomic_exchange(&port->closed, 1);
    lh_port_deliver(port);
    lh_port_drop(port);
}
