/*
 * A chunk of the worker's pool, LH_NET_CHUNK_BYTES of socket input or output,
 * and which octets of it count.  A transport holds one only while there are
 * some.
 */
#ifndef LH_NET_CHUNK_H
#define LH_NET_CHUNK_H

#include "base/mem.h"
#include "net/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lh_chunk {
    uint8_t *p; /* NULL: none is held */
    size_t from, to;
};

/* False: no memory. */
static inline bool lh_chunk_hold(struct lh_net_pools *pools,
                                 struct lh_chunk *chunk)
{
    if (!chunk->p)
        *chunk = (struct lh_chunk){.p = lh_pool_take(&pools->chunks)};
    return chunk->p;
}

static inline void lh_chunk_give(struct lh_net_pools *pools,
                                 struct lh_chunk *chunk)
{
    if (chunk->p)
        lh_pool_give(&pools->chunks, chunk->p);
    *chunk = (struct lh_chunk){0};
}

/* Does it hold octets that were not used yet? */
static inline bool lh_chunk_waits(const struct lh_chunk *chunk)
{
    return chunk->from < chunk->to;
}

static inline void lh_chunk_give_if_empty(struct lh_net_pools *pools,
                                          struct lh_chunk *chunk)
{
    if (!lh_chunk_waits(chunk))
        lh_chunk_give(pools, chunk);
}

#endif
