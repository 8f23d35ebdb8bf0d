/* What the transports of one worker share: see transport.h. */
#include "net/transport.h"

#include "base/mem.h"

/* 4 MiB a worker: enough for the connections of one turn. */
#define CHUNKS_KEPT 64

void lh_net_pools_init(struct lh_net_pools *pools)
{
    lh_pool_init(&pools->chunks, LH_NET_CHUNK_BYTES, CHUNKS_KEPT);
    pools->tls = NULL;
}

void lh_net_pools_deinit(struct lh_net_pools *pools)
{
    lh_pool_deinit(&pools->chunks);
}
