/* From protocols to sockets: see conn_output.h. */
#include "server/conn_output.h"

#include "server/conn_close.h"
#include "server/conn_time.h"
#include "server/negotiate.h"

/* What one connection sends in a turn before the others have theirs: at first,
 * so that short answers pass the long ones; and in bulk. */
#define FIRST_BYTES_A_TURN ((size_t)64 << 10)
#define BULK_BYTES_A_TURN  ((size_t)256 << 10)

/* What a step of a connection costs beside the octets that it moves. */
#define WRITE_COST (LH_STEP_COST / 8)

/* Into the transport's buffer, not further; adds to *sum how much.  Returns the
 * status after it. */
unsigned lh_conn_pull(struct lh_conn *c, size_t *sum)
{
    struct lh_transport *t = c->transport;
    size_t room, n = 1;
    unsigned now;

    while ((now = lh_conn_status(c)) & LH_PROTO_HAS_OUTPUT && n) {
        uint8_t *out = t->ops->buf(t, &room);
        if (!out)
            break;
        n = c->protocol->pull(c->p, out, room);
        c->pulled = true;
        if (n) /* else it is perhaps an end that needs no octets */
            t->ops->ack(t, n);
        *sum += n;
    }
    return now;
}

/* False: the rest has to wait, or will never leave. */
static bool has_left(struct lh_conn *c, enum lh_net outcome)
{
    switch (outcome) {
    case LH_NET_OK:
        return true;
    case LH_NET_AGAIN:
        lh_conn_block(c);
        return false;
    case LH_NET_EOF:
    case LH_NET_LOST:
        break;
    }
    lh_conn_fail(c);
    return false;
}

/* What the kernel is to move behind what was pulled; 0: nothing. */
static size_t locate(struct lh_conn *c, struct lh_place *place)
{
    if (!c->host.moves || c->state != LH_CONN_OPEN || !c->protocol->locate)
        return 0;
    return c->protocol->locate(c->p, place);
}

/* Does the end follow what was pulled, and that in good order? */
static bool is_last(unsigned now)
{
    return (now & (LH_PROTO_HAS_OUTPUT | LH_PROTO_CLOSE | LH_PROTO_RESET)) ==
           LH_PROTO_CLOSE;
}

/* What was pulled, and what the kernel moves without that; adds to *n.  `now`
 * is the status after the pull. */
static enum lh_net send_some(struct lh_conn *c, unsigned now, size_t *n)
{
    struct lh_transport *t = c->transport;
    enum lh_net outcome;
    struct lh_place place;
    size_t most = locate(c, &place), sent;

    if (most == 0) {
        t->last = is_last(now);
        return t->ops->unsent(t) ? t->ops->send(t) : LH_NET_OK;
    }
    outcome = t->ops->move(t, &place, most, &sent);
    if (sent || outcome == LH_NET_OK)
        c->protocol->moved(c->p, sent);
    *n += sent;
    return outcome;
}

/* Pulls and sends until there is no more, the socket is full, or the share or
 * the step's time is used up; lh_conn_settle() then queues the connection
 * again. */
static void send_output(struct lh_conn *c, size_t share, struct lh_step *step)
{
    size_t sum = 0, n;
    unsigned now;
    bool more;

    c->bulk = true;
    do {
        n = 0;
        now = lh_conn_pull(c, &n);
        more = now & LH_PROTO_HAS_OUTPUT;
        if (!has_left(c, send_some(c, now, &n)))
            return;
        if (c->pulled)
            c->protocol->sent(c->p);
        c->pulled = false;
        sum += n;
    } while (n && sum < share && !lh_step_over(step, n) && more);
    c->bulk = n && more;
}

static void end_conn(struct lh_conn *c, unsigned now)
{
    if (now & LH_PROTO_RESET) {
        lh_sock_abort(c->fd);
        lh_conn_lose(c);
    } else {
        lh_conn_begin_close(c, (now & LH_PROTO_LINGER) != 0);
    }
}

/* Output first, then the end, if the protocol has said that there is one. */
static void write_conn(struct lh_conn *c, size_t share, struct lh_step *step)
{
    if (!c->blocked && c->state == LH_CONN_LINGER)
        lh_conn_shut(c);
    else if (!c->blocked)
        send_output(c, share, step);
    if (c->blocked || c->state != LH_CONN_OPEN) {
        lh_conn_settle(c);
        return;
    }
    unsigned now = lh_conn_status(c);
    if ((now & LH_PROTO_CLOSE) && !(now & LH_PROTO_HAS_OUTPUT)) {
        end_conn(c, now);
        lh_conn_settle(c);
    } else {
        lh_conn_settle_as(c, now);
    }
}

static void write_conns(struct lh_list *all, size_t share)
{
    struct lh_step step = {0};
    struct lh_list queue, *link;

    if (lh_list_empty(all))
        return;
    lh_list_move(&queue, all);
    while ((link = lh_list_take(&queue)) != NULL) {
        struct lh_conn *c = LH_OF(link, struct lh_conn, dirty);
        write_conn(c, share, &step);
        if (lh_step_over(&step, WRITE_COST))
            break;
    }
    lh_list_put_first(all, &queue);
}

void lh_conns_write(struct lh_worker *w)
{
    write_conns(&w->dirty, FIRST_BYTES_A_TURN);
    write_conns(&w->bulk, BULK_BYTES_A_TURN);
}
