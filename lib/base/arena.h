/*
 * Memory that is freed all at once: what one request's strings and fields live
 * in.  Pieces never move.  The first block is the owner's own storage, so a
 * short request allocates nothing.
 */
#ifndef LH_BASE_ARENA_H
#define LH_BASE_ARENA_H

#include "base/mem.h"
#include "base/str.h"

/* Where a worker's arenas take blocks of usual sizes. */
struct lh_arena_pools {
    struct lh_pool small, large;
};

/* How many of each kind are kept. */
void lh_arena_pools_init(struct lh_arena_pools *pools, unsigned keep_max);
void lh_arena_pools_deinit(struct lh_arena_pools *pools);

struct lh_arena {
    struct lh_arena_pools *pools;
    struct lh_arena_block *more; /* allocated blocks, newest first */
    char *first;                 /* the owner's storage */
    size_t first_bytes;
    char *at, *end;   /* what is left of the newest block */
    size_t allocated; /* bytes of all blocks but the owner's storage */
};

/* `pools` NULL: the heap's only. */
void lh_arena_init(struct lh_arena *a, struct lh_arena_pools *pools,
                   void *first, size_t first_bytes);
void lh_arena_reset(struct lh_arena *a); /* frees everything but the first */

/* Aligned for any type; NULL: no memory. */
void *lh_arena_alloc(struct lh_arena *a, size_t n);

/* A copy of n bytes, not aligned, not terminated; .p NULL: no memory. */
struct lh_str lh_arena_copy(struct lh_arena *a, const void *p, size_t n);

/* A copy of all parts in a row; likewise. */
struct lh_str lh_arena_join(struct lh_arena *a, const struct lh_str *parts,
                            unsigned n);

/* Makes the `n` bytes at `*p` (NULL at first), the arena's newest piece, longer
 * by `add` bytes that the caller fills; it may move then.  False: no memory. */
bool lh_arena_grow(struct lh_arena *a, char **p, size_t n, size_t add);

#endif
