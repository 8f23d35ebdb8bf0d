/*
 * A queue of bytes: see buf.h.
 *
 * The bytes stand in a chain of blocks from pools of three sizes.  A queue that
 * begins with few bytes takes a tiny or a small block; a long queue has large
 * ones, so that it costs few.  No block of the chain is ever empty, `head`
 * is read and `tail` is filled, and `n` is the sum of what the blocks hold.
 */
#include "base/buf.h"

#include <assert.h>
#include <string.h>

struct lh_buf_block {
    struct lh_buf_block *next;
    uint16_t from, to; /* the bytes that are still to be read, by index */
    uint16_t room;     /* how many `bytes` there are; tells the block's pool */
    uint8_t bytes[];
};

/* The sizes are those of a whole block, its head included. */
#define HEAD_BYTES       offsetof(struct lh_buf_block, bytes)
#define TINY_BYTES       128
#define SMALL_BYTES      512
#define LARGE_BYTES      4096
#define TINY_ROOM_BYTES  (TINY_BYTES - HEAD_BYTES)
#define SMALL_ROOM_BYTES (SMALL_BYTES - HEAD_BYTES)
#define LARGE_ROOM_BYTES (LARGE_BYTES - HEAD_BYTES)

void lh_buf_pools_init(struct lh_buf_pools *pools, unsigned keep_max)
{
    lh_pool_init(&pools->tiny, TINY_BYTES, keep_max);
    lh_pool_init(&pools->small, SMALL_BYTES, keep_max);
    lh_pool_init(&pools->large, LARGE_BYTES, keep_max);
}

void lh_buf_pools_deinit(struct lh_buf_pools *pools)
{
    lh_pool_deinit(&pools->tiny);
    lh_pool_deinit(&pools->small);
    lh_pool_deinit(&pools->large);
}

unsigned lh_buf_pools_out(const struct lh_buf_pools *pools)
{
    return pools->tiny.out + pools->small.out + pools->large.out;
}

void lh_buf_init(struct lh_buf *b, struct lh_buf_pools *pools)
{
    *b = (struct lh_buf){.pools = pools};
}

static struct lh_pool *pool_of(struct lh_buf_pools *pools, size_t room)
{
    if (room == LARGE_ROOM_BYTES)
        return &pools->large;
    return room == SMALL_ROOM_BYTES ? &pools->small : &pools->tiny;
}

/* An empty block with one of the three rooms; NULL: no memory. */
static struct lh_buf_block *take_block(struct lh_buf *b, size_t room)
{
    struct lh_buf_block *block = lh_pool_take(pool_of(b->pools, room));

    if (!block)
        return NULL;
    block->next = NULL;
    block->from = block->to = 0;
    block->room = (uint16_t)room;
    return block;
}

/* Back to its pool, which keeps some for the next queue. */
static void give_block(struct lh_buf *b, struct lh_buf_block *block)
{
    lh_pool_give(pool_of(b->pools, block->room), block);
}

static void give_chain(struct lh_buf *b, struct lh_buf_block *block)
{
    while (block) {
        struct lh_buf_block *next = block->next;
        give_block(b, block);
        block = next;
    }
}

void lh_buf_clear(struct lh_buf *b)
{
    give_chain(b, b->head);
    lh_buf_init(b, b->pools);
}

/* Small blocks until a queue is this long, for what comes in pieces no longer
 * than that: so what a queue takes is never much more than what is in it. */
#define SMALL_UNTIL_BYTES 8192
#define SMALL_PIECE_BYTES 1024

/* What each of the blocks for n bytes more has room for. */
static size_t room_for(const struct lh_buf *b, size_t n)
{
    bool small = b->head ? n <= SMALL_PIECE_BYTES && b->n < SMALL_UNTIL_BYTES
                         : n <= SMALL_ROOM_BYTES;

    if (!b->head && n <= TINY_ROOM_BYTES)
        return TINY_ROOM_BYTES;
    return small ? SMALL_ROOM_BYTES : LARGE_ROOM_BYTES;
}

/* Enough empty blocks for n bytes, taken before anything is copied. */
static bool take_chain(struct lh_buf *b, size_t n, struct lh_buf_block **chain)
{
    struct lh_buf_block **end = chain;
    size_t room = room_for(b, n);

    *chain = NULL;
    for (size_t have = 0; have < n; have += room) {
        struct lh_buf_block *block = take_block(b, room);
        if (!block) {
            give_chain(b, *chain);
            return false;
        }
        *end = block;
        end = &block->next;
    }
    return true;
}

/* Copies what fits behind the block's bytes; returns how much that was. */
static size_t fill(struct lh_buf_block *block, const uint8_t *p, size_t n)
{
    size_t room = (size_t)(block->room - block->to);

    if (n > room)
        n = room;
    memcpy(block->bytes + block->to, p, n);
    block->to = (uint16_t)(block->to + n);
    return n;
}

bool lh_buf_append(struct lh_buf *b, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t last = b->tail ? (size_t)(b->tail->room - b->tail->to) : 0;
    struct lh_buf_block *chain = NULL;

    if (n == 0)
        return true;
    /* All or nothing: a queue that gets no memory is as it was before. */
    if (n > last && !take_chain(b, n - last, &chain))
        return false;
    b->n += n;
    if (b->tail) {
        size_t used = fill(b->tail, p, n);
        p += used;
        n -= used;
        b->tail->next = chain;
    } else {
        b->head = chain;
    }
    for (; chain; chain = chain->next) {
        size_t used = fill(chain, p, n);
        p += used;
        n -= used;
        b->tail = chain;
    }
    return true;
}

const uint8_t *lh_buf_peek(const struct lh_buf *b, size_t *n)
{
    if (!b->head) {
        *n = 0;
        return NULL;
    }
    *n = (size_t)(b->head->to - b->head->from);
    return b->head->bytes + b->head->from;
}

void lh_buf_drop(struct lh_buf *b, size_t n)
{
    assert(n <= b->n);
    b->n -= n;
    while (n) {
        struct lh_buf_block *head = b->head;
        size_t have = (size_t)(head->to - head->from);
        if (n < have) {
            head->from = (uint16_t)(head->from + n);
            return;
        }
        /* Whatever was read is given back at once: an idle queue has none. */
        n -= have;
        b->head = head->next;
        if (!b->head)
            b->tail = NULL;
        give_block(b, head);
    }
}

size_t lh_buf_take(struct lh_buf *b, void *out, size_t n)
{
    uint8_t *to = out;
    size_t done = 0;

    while (done < n && b->n) {
        size_t have;
        const uint8_t *p = lh_buf_peek(b, &have);
        if (have > n - done)
            have = n - done;
        memcpy(to + done, p, have);
        lh_buf_drop(b, have);
        done += have;
    }
    return done;
}
