/*
 * The plain transport: TCP and unix sockets, see transport.h.  An input chunk
 * is held only while it has bytes that nobody consumed, an output chunk only
 * while it has bytes that the kernel did not take.  The output chunk is filled
 * from its start and is not compacted: it has room again once all of it left.
 */
#include "net/transport.h"

#include "base/mem.h"
#include "net/chunk.h"
#include "os/error.h"
#include "os/sock.h"

#include <assert.h>

struct tcp {
    struct lh_transport base;
    struct lh_chunk in, out;
    bool lost;
    bool shut; /* our sending side has ended */
};

#if LHTTPD_CHECKS

/* What always holds between two calls. */
static void tcp_check(const struct tcp *tcp)
{
    assert(lh_chunk_is_sound(&tcp->in) && lh_chunk_is_sound(&tcp->out));
    assert((tcp->in.p != NULL) == lh_chunk_waits(&tcp->in));
    assert(!tcp->lost || !tcp->out.p);
}

#else

static inline void tcp_check(const struct tcp *tcp)
{
    (void)tcp;
}

#endif

/* Every call begins with it. */
static struct tcp *tcp_of(struct lh_transport *t)
{
    struct tcp *tcp = (struct tcp *)t;

    tcp_check(tcp);
    return tcp;
}

/* What is left to send cannot be sent; what came in stays there to peek. */
static enum lh_net tcp_lose(struct tcp *tcp)
{
    lh_chunk_give(tcp->base.pools, &tcp->out);
    tcp->lost = true;
    return LH_NET_LOST;
}

/* One system call a chunk.  The chunk is held on only if something came. */
static enum lh_net tcp_receive(struct lh_transport *t)
{
    struct tcp *tcp = tcp_of(t);

    assert(tcp->in.from == tcp->in.to);
    if (tcp->lost || (!tcp->in.p && !lh_chunk_hold(tcp->base.pools, &tcp->in)))
        return tcp_lose(tcp);
    ssize_t n = lh_net_receive(t, tcp->in.p, LH_NET_CHUNK_BYTES);
    if (n > 0) {
        tcp->in.from = 0;
        tcp->in.to = (size_t)n;
        return LH_NET_OK;
    }
    lh_chunk_give(tcp->base.pools, &tcp->in);
    if (n == 0)
        return LH_NET_EOF;
    return n == LH_SYS_EAGAIN ? LH_NET_AGAIN : tcp_lose(tcp);
}

/* Input that nobody wants needs no chunk of its own. */
static enum lh_net tcp_discard(struct lh_transport *t)
{
    struct tcp *tcp = tcp_of(t);

    lh_chunk_give(tcp->base.pools, &tcp->in);
    return tcp->lost ? LH_NET_LOST : lh_net_discard(t);
}

static const uint8_t *tcp_peek(struct lh_transport *t, size_t *n)
{
    struct tcp *tcp = tcp_of(t);

    *n = tcp->in.to - tcp->in.from;
    return *n ? tcp->in.p + tcp->in.from : NULL;
}

static void tcp_consume(struct lh_transport *t, size_t n)
{
    struct tcp *tcp = tcp_of(t);

    assert(n <= tcp->in.to - tcp->in.from);
    tcp->in.from += n;
    lh_chunk_give_if_empty(tcp->base.pools, &tcp->in);
}

/* There is room behind what waits.  A connection that lost its client, or was
 * shut, takes no more. */
static uint8_t *tcp_buf(struct lh_transport *t, size_t *room)
{
    struct tcp *tcp = tcp_of(t);

    *room = 0;
    if (tcp->lost || tcp->shut)
        return NULL;
    if (!tcp->out.p && !lh_chunk_hold(tcp->base.pools, &tcp->out)) {
        tcp_lose(tcp);
        return NULL;
    }
    *room = LH_NET_CHUNK_BYTES - tcp->out.to;
    return *room ? tcp->out.p + tcp->out.to : NULL;
}

static void tcp_ack(struct lh_transport *t, size_t n)
{
    struct tcp *tcp = tcp_of(t);

    assert(n <= LH_NET_CHUNK_BYTES - tcp->out.to);
    assert(n == 0 || tcp->out.p);
    tcp->out.to += n;
}

static enum lh_net send_acked(struct tcp *tcp, bool more_follows)
{
    if (tcp->lost)
        return LH_NET_LOST;
    int r = lh_chunk_send(&tcp->base, &tcp->out, more_follows);
    if (r == LH_SYS_EAGAIN)
        return LH_NET_AGAIN;
    return r ? tcp_lose(tcp) : LH_NET_OK;
}

static enum lh_net tcp_send(struct lh_transport *t)
{
    return send_acked(tcp_of(t), false);
}

/* A short count means that the socket is full, or that a file has become
 * shorter meanwhile: the next try tells. */
static enum lh_net tcp_move(struct lh_transport *t,
                            const struct lh_place *place, size_t n,
                            size_t *sent)
{
    struct tcp *tcp = tcp_of(t);
    enum lh_net outcome = send_acked(tcp, true);
    ssize_t moved;

    *sent = 0;
    if (outcome != LH_NET_OK)
        return outcome;
    moved = lh_net_move(t, place, n);
    if (moved < 0 && moved != LH_SYS_EAGAIN)
        return tcp_lose(tcp);
    *sent = moved > 0 ? (size_t)moved : 0;
    return moved != 0 && *sent < n ? LH_NET_AGAIN : LH_NET_OK;
}

/* The FIN follows the last octet, and only once. */
static enum lh_net tcp_shutdown(struct lh_transport *t)
{
    struct tcp *tcp = tcp_of(t);
    enum lh_net sent = tcp_send(t);

    if (sent == LH_NET_OK && !tcp->shut) {
        lh_sock_shutdown(t->fd);
        tcp->shut = true;
    }
    return sent;
}

static bool tcp_unsent(const struct lh_transport *t)
{
    const struct tcp *tcp = (const struct tcp *)t;

    return tcp->out.from < tcp->out.to || tcp->lost;
}

static void tcp_rest(struct lh_transport *t)
{
    struct tcp *tcp = tcp_of(t);

    lh_chunk_give_if_empty(tcp->base.pools, &tcp->in);
    lh_chunk_give_if_empty(tcp->base.pools, &tcp->out);
}

static void tcp_free(struct lh_transport *t)
{
    struct tcp *tcp = tcp_of(t);

    lh_chunk_give(tcp->base.pools, &tcp->in);
    lh_chunk_give(tcp->base.pools, &tcp->out);
    lh_free(tcp);
}

static const struct lh_transport_ops tcp_ops = {
    .receive = tcp_receive,
    .discard = tcp_discard,
    .peek = tcp_peek,
    .consume = tcp_consume,
    .buf = tcp_buf,
    .ack = tcp_ack,
    .send = tcp_send,
    .move = tcp_move,
    .shutdown = tcp_shutdown,
    .unsent = tcp_unsent,
    .rest = tcp_rest,
    .free = tcp_free,
};

struct lh_transport *lh_tcp_new(struct lh_net_pools *pools, int fd)
{
    struct tcp *tcp = lh_calloc(1, sizeof(*tcp));

    if (!tcp)
        return NULL;
    tcp->base =
        (struct lh_transport){.ops = &tcp_ops, .pools = pools, .fd = fd};
    return &tcp->base;
}

void lh_tcp_give_input(struct lh_transport *t, struct lh_chunk *chunk)
{
    struct tcp *tcp = tcp_of(t);

    assert(!tcp->in.p && lh_chunk_waits(chunk));
    tcp->in = *chunk;
    *chunk = (struct lh_chunk){0};
}
