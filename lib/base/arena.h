/*
 * Memory that is freed all at once: what one request's strings and fields live
 * in.  Pieces never move.  The first block is the owner's own storage, so a
 * short request allocates nothing.
 */
#ifndef LH_BASE_ARENA_H
#define LH_BASE_ARENA_H

#include "base/mem.h"
#include "base/str.h"

#include <stdalign.h>
#include <stddef.h>

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
    uint32_t first_bytes;
    bool loose;       /* blocks were added since it was packed */
    char *at, *end;   /* what is left of the newest block */
    size_t allocated; /* bytes of all blocks but the owner's storage */
};

/* `pools` NULL: the heap's only. */
void lh_arena_init(struct lh_arena *a, struct lh_arena_pools *pools,
                   void *first, uint32_t first_bytes);
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

/*
 * Packs what an arena has, for one that will stay as it is for long: all that
 * is wanted is given to lh_arena_pack_add() twice, in the same order, and then
 * has its new places, in the owner's storage and in one block that is just as
 * long as it has to be.
 *
 *      struct lh_arena_pack pack;
 *      lh_arena_pack_init(&pack, arena);
 *      ... lh_arena_pack_add(&pack, p, n, align) gives p back ...
 *      if (lh_arena_pack_begin(&pack)) {
 *          ... p = lh_arena_pack_add(&pack, p, n, align) ...
 *          lh_arena_pack_end(&pack);
 *      }
 */
#define LH_ARENA_FIRST_MOST 512 /* the longest storage of an owner's */

struct lh_arena_pack {
    struct lh_arena *arena;
    struct lh_arena_block *block; /* NULL: the storage is enough */
    bool copies;                  /* the second time */
    size_t first_n, block_n;      /* bytes that have their place */
    alignas(max_align_t) char first[LH_ARENA_FIRST_MOST]; /* the new storage */
};

void lh_arena_pack_init(struct lh_arena_pack *pack, struct lh_arena *a);

/* The new place of n bytes, which are copied; `align` is a power of two, as the
 * owner's storage has it. */
void *lh_arena_pack_add(struct lh_arena_pack *pack, const void *p, size_t n,
                        size_t align);

/* Where the bytes at such a place are until the end, to be changed there. */
void *lh_arena_pack_aside(struct lh_arena_pack *pack, void *p);

/* False: no memory, and all is as it was. */
bool lh_arena_pack_begin(struct lh_arena_pack *pack);

/* The arena has nothing but what was added. */
void lh_arena_pack_end(struct lh_arena_pack *pack);

#endif
