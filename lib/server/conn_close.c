/* How a connection ends in good order: see conn_close.h. */
#include "server/conn_close.h"

#include "server/conn_time.h"
#include "server/negotiate.h"

/* The client is given as long as it sends, within bounds. */
static void linger_on(struct lh_conn *c)
{
    const lhttpd_limits_t *limits = c->worker->ctx.limits;
    uint64_t now = c->worker->ctx.now_ms;

    if (c->linger_ends == 0)
        c->linger_ends = lh_deadline(now, limits->linger_timeout_ms);
    c->state_deadline =
        lh_min64(c->linger_ends, lh_deadline(now, limits->linger_idle_ms));
}

/* Shuts our side once everything has left, then waits for the client's side
 * if there is a reason to (RFC 9112, 9.6). */
void lh_conn_shut(struct lh_conn *c)
{
    switch (c->transport->ops->shutdown(c->transport)) {
    case LH_NET_AGAIN:
        lh_conn_block(c);
        return;
    case LH_NET_OK:
        if (!c->lingers || c->eof)
            break;
        if (c->linger_ends == 0)
            linger_on(c);
        return;
    case LH_NET_EOF:
    case LH_NET_LOST:
        break;
    }
    lh_conn_lose(c);
}

void lh_conn_begin_close(struct lh_conn *c, bool lingers)
{
    if (c->protocol)
        c->protocol->gone(c->p);
    if (c->tail)
        lh_conn_end_tail(c);
    lh_conn_move(c, LH_CONN_LINGER);
    c->lingers = lingers;
    lh_conn_shut(c);
}

/* TLS has said why in an alert, behind which the client may go on sending: in
 * TLS 1.3 its first request follows the certificate that is refused. */
void lh_conn_fail(struct lh_conn *c)
{
    if (lh_negotiate_log_loss(c)) {
        lh_conn_count_failure(c);
        c->blocked = c->pulled = false; /* nothing waits to be sent now */
        c->send_deadline = LH_NEVER;
        lh_conn_begin_close(c, true);
    } else {
        lh_conn_lose(c);
    }
}

/* Closing while the client sends would be a reset, which may take the answer
 * from it before it was read. */
void lh_conn_discard(struct lh_conn *c)
{
    c->readable = false;
    enum lh_net outcome = c->transport->ops->discard(c->transport);
    if (!lh_conn_has_read(c, outcome))
        lh_conn_lose(c);
    else if (outcome == LH_NET_OK && c->linger_ends)
        linger_on(c);
}
