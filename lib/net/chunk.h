/*
 * A chunk of the worker's pool, LH_NET_CHUNK_BYTES of socket input or output,
 * and which octets of it count.  A transport holds one only while there are
 * some.
 */
#ifndef LH_NET_CHUNK_H
#define LH_NET_CHUNK_H

#include "base/mem.h"
#include "net/transport.h"
#include "os/error.h"

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

/* Sends what waits in it, and gives it back once the socket has all.  A short
 * write means that the socket is full: asking once more would only cost a call,
 * the event tells when there is room.  0; LH_SYS_EAGAIN: some still waits; or
 * another negative errno of the socket's. */
static inline int lh_chunk_send(struct lh_transport *t, struct lh_chunk *chunk,
                                bool more_follows)
{
    if (lh_chunk_waits(chunk)) {
        const uint8_t *p = chunk->p + chunk->from;
        size_t n = chunk->to - chunk->from;
        ssize_t sent =
            more_follows ? lh_net_send_more(t, p, n) : lh_net_send(t, p, n);
        if (sent < 0)
            return (int)sent;
        chunk->from += (size_t)sent;
        if (lh_chunk_waits(chunk))
            return LH_SYS_EAGAIN;
    }
    lh_chunk_give(t->pools, chunk);
    return 0;
}

/* The two ends between which a TLS library works. */
struct lh_tls_ends {
    struct lh_net_pools *pools;
    struct lh_chunk raw;    /* of the socket, what the library did not take */
    struct lh_chunk flight; /* the library's, what the socket did not take */
};

/* What always holds, for checkers. */
static inline bool lh_chunk_is_sound(const struct lh_chunk *chunk)
{
    return chunk->from <= chunk->to && chunk->to <= LH_NET_CHUNK_BYTES &&
           (chunk->p || chunk->to == 0);
}

#endif
