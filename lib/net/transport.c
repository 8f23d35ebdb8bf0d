/* What the transports of one worker share: see transport.h. */
#include "net/transport.h"

#include "base/mem.h"
#include "os/error.h"
#include "os/sock.h"

/* 4 MiB a worker: enough for the connections of one turn. */
#define CHUNKS_KEPT 64

void lh_net_pools_init(struct lh_net_pools *pools)
{
    lh_pool_init(&pools->chunks, LH_NET_CHUNK_BYTES, CHUNKS_KEPT);
    pools->tls = NULL;
    pools->ctx = NULL;
    pools->crew = NULL;
    pools->away = 0;
    pools->back = NULL;
}

void lh_net_pools_deinit(struct lh_net_pools *pools)
{
    lh_pool_deinit(&pools->chunks);
}

/* An octet counts once the kernel has it, or we have it of the kernel; with
 * those of TLS. */
static ssize_t count_in(struct lh_transport *t, ssize_t n)
{
    if (n > 0 && t->pools->ctx)
        lh_count_add(&t->pools->ctx->counters.octets_in, (uint64_t)n);
    return n;
}

static ssize_t count_out(struct lh_transport *t, ssize_t n)
{
    if (n > 0 && t->pools->ctx)
        lh_count_add(&t->pools->ctx->counters.octets_out, (uint64_t)n);
    return n;
}

ssize_t lh_net_receive(struct lh_transport *t, void *p, size_t room)
{
    return count_in(t, lh_sock_receive(t->fd, p, room));
}

ssize_t lh_net_send(struct lh_transport *t, const void *p, size_t n)
{
    return count_out(t, lh_sock_send(t->fd, p, n));
}

ssize_t lh_net_send_more(struct lh_transport *t, const void *p, size_t n)
{
    return count_out(t, lh_sock_send_more(t->fd, p, n));
}

ssize_t lh_net_move(struct lh_transport *t, const struct lh_place *place,
                    size_t n)
{
    return count_out(t, lh_sock_move(t->fd, place, n));
}

/* A chunk is borrowed for the length of one call; TCP does not even fill it. */
enum lh_net lh_net_discard(struct lh_transport *t)
{
    void *scratch = lh_pool_take(&t->pools->chunks);

    if (!scratch)
        return LH_NET_LOST;
    ssize_t n =
        count_in(t, lh_sock_discard(t->fd, scratch, LH_NET_CHUNK_BYTES));
    lh_pool_give(&t->pools->chunks, scratch);
    if (n == 0)
        return LH_NET_EOF;
    return n > 0 ? LH_NET_OK : n == LH_SYS_EAGAIN ? LH_NET_AGAIN : LH_NET_LOST;
}
