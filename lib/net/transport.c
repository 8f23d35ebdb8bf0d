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
}

void lh_net_pools_deinit(struct lh_net_pools *pools)
{
    lh_pool_deinit(&pools->chunks);
}

/* A chunk is borrowed for the length of one call; TCP does not even fill it. */
enum lh_net lh_net_discard(struct lh_transport *t)
{
    void *scratch = lh_pool_take(&t->pools->chunks);

    if (!scratch)
        return LH_NET_LOST;
    ssize_t n = lh_sock_discard(t->fd, scratch, LH_NET_CHUNK_BYTES);
    lh_pool_give(&t->pools->chunks, scratch);
    if (n == 0)
        return LH_NET_EOF;
    return n > 0 ? LH_NET_OK : n == LH_SYS_EAGAIN ? LH_NET_AGAIN : LH_NET_LOST;
}
