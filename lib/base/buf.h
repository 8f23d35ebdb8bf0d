/*
 * A queue of bytes, kept in blocks from a pool: what waits of a request's or a
 * response's body.  The owner checks `n` against its limit before it appends.
 */
#ifndef LH_BASE_BUF_H
#define LH_BASE_BUF_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a worker's queues take their blocks: a tiny or small one first, for
 * most of what waits is short. */
struct lh_buf_pools {
    struct lh_pool tiny, small, large;
};

/* How many of each kind are kept. */
void lh_buf_pools_init(struct lh_buf_pools *pools, unsigned keep_max);
void lh_buf_pools_deinit(struct lh_buf_pools *pools);
unsigned lh_buf_pools_out(const struct lh_buf_pools *pools); /* in use */

struct lh_buf {
    struct lh_buf_block *head, *tail;
    struct lh_buf_pools *pools;
    size_t n; /* bytes that wait */
};

void lh_buf_init(struct lh_buf *b, struct lh_buf_pools *pools);
void lh_buf_clear(struct lh_buf *b);

/* Copies all n bytes, or (no memory) none and returns false. */
bool lh_buf_append(struct lh_buf *b, const void *p, size_t n);

/* The first bytes in one piece, valid until the next call; NULL: empty. */
const uint8_t *lh_buf_peek(const struct lh_buf *b, size_t *n);
void lh_buf_drop(struct lh_buf *b, size_t n); /* n <= b->n */

/* Copies out and drops up to n bytes; returns how many. */
size_t lh_buf_take(struct lh_buf *b, void *out, size_t n);

#endif
