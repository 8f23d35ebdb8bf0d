/* A queue of bytes: see buf.h. */
#include "base/buf.h"

#include <assert.h>
#include <string.h>

struct lh_buf_block {
    struct lh_buf_block *next;
    uint16_t from, to;
    uint8_t bytes[];
};

#define ROOM (LH_BUF_BLOCK_BYTES - offsetof(struct lh_buf_block, bytes))

void lh_buf_init(struct lh_buf *b, struct lh_pool *pool)
{
    assert(pool->block_bytes == LH_BUF_BLOCK_BYTES);
    *b = (struct lh_buf){.pool = pool};
}

static void give_chain(struct lh_buf *b, struct lh_buf_block *block)
{
    while (block) {
        struct lh_buf_block *next = block->next;
        lh_pool_give(b->pool, block);
        block = next;
    }
}

void lh_buf_clear(struct lh_buf *b)
{
    give_chain(b, b->head);
    lh_buf_init(b, b->pool);
}

/* Enough empty blocks for n bytes, taken before anything is copied. */
static bool take_chain(struct lh_buf *b, size_t n, struct lh_buf_block **chain)
{
    struct lh_buf_block **end = chain;

    *chain = NULL;
    for (size_t have = 0; have < n; have += ROOM) {
        struct lh_buf_block *block = lh_pool_take(b->pool);
        if (!block) {
            give_chain(b, *chain);
            return false;
        }
        block->next = NULL;
        block->from = block->to = 0;
        *end = block;
        end = &block->next;
    }
    return true;
}

static size_t fill(struct lh_buf_block *block, const uint8_t *p, size_t n)
{
    size_t room = ROOM - block->to;

    if (n > room)
        n = room;
    memcpy(block->bytes + block->to, p, n);
    block->to = (uint16_t)(block->to + n);
    return n;
}

bool lh_buf_append(struct lh_buf *b, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t last = b->tail ? ROOM - b->tail->to : 0;
    struct lh_buf_block *chain = NULL;

    if (n == 0)
        return true;
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
        n -= have;
        b->head = head->next;
        if (!b->head)
            b->tail = NULL;
        lh_pool_give(b->pool, head);
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
