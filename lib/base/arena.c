/*
 * Memory that is freed all at once: see arena.h.
 *
 * `at` to `end` is the free rest of the newest block, or of the storage that
 * the owner has lent.  A block that is full is only kept for its end; what is
 * left at its end is lost, which is why blocks are large beside what they hold.
 * Blocks of two usual sizes come from pools.
 */
#include "base/arena.h"

#include <assert.h>

/* With its head and the C library's, a block stays below 2 KiB; the first one
 * is small, since what outgrows the storage often does so by a little. */
#define SMALL_BYTES ((size_t)496)
#define LARGE_BYTES ((size_t)2000)

struct lh_arena_block {
    struct lh_arena_block *next;
    struct lh_pool *pool; /* NULL: it is the heap's */
    alignas(max_align_t) char bytes[];
};

void lh_arena_pools_init(struct lh_arena_pools *pools, unsigned keep_max)
{
    const size_t head = sizeof(struct lh_arena_block);

    lh_pool_init(&pools->small, head + SMALL_BYTES, keep_max);
    lh_pool_init(&pools->large, head + LARGE_BYTES, keep_max);
}

void lh_arena_pools_deinit(struct lh_arena_pools *pools)
{
    lh_pool_deinit(&pools->small);
    lh_pool_deinit(&pools->large);
}

/* The newest one.  Most arenas have none, so this is kept apart. */
static void free_block(struct lh_arena *a)
{
    struct lh_arena_block *block = a->more;

    a->more = block->next;
    if (block->pool)
        lh_pool_give(block->pool, block);
    else
        lh_free(block);
}

void lh_arena_init(struct lh_arena *a, struct lh_arena_pools *pools,
                   void *first, uint32_t first_bytes)
{
    *a = (struct lh_arena){
        .pools = pools, .first = first, .first_bytes = first_bytes};
    lh_arena_reset(a);
}

void lh_arena_reset(struct lh_arena *a)
{
    while (a->more)
        free_block(a);
    a->allocated = 0;
    a->loose = false;
    a->at = a->first;
    a->end = a->first ? a->first + a->first_bytes : NULL;
}

/* One of the pools that n bytes fit, and what its blocks hold; NULL: the heap
 * has a block of *bytes. */
static struct lh_pool *choose_pool(const struct lh_arena *a, size_t n,
                                   size_t spare, size_t *bytes)
{
    bool small = !a->more && n <= SMALL_BYTES;

    *bytes = n + spare;
    if (n >= LARGE_BYTES / 2)
        return NULL;
    *bytes = small ? SMALL_BYTES : LARGE_BYTES;
    if (!a->pools)
        return NULL;
    return small ? &a->pools->small : &a->pools->large;
}

/* With room for n bytes and `spare` more. */
static bool add_block(struct lh_arena *a, size_t n, size_t spare)
{
    struct lh_arena_block *block = NULL;
    size_t bytes;
    struct lh_pool *pool = choose_pool(a, n, spare, &bytes);

    if (pool)
        block = lh_pool_take(pool);
    else if (n < SIZE_MAX / 4)
        block = lh_alloc(sizeof(*block) + bytes);
    if (!block)
        return false;
    block->pool = pool;
    block->next = a->more;
    a->more = block;
    a->allocated += bytes;
    a->loose = true;
    a->at = block->bytes;
    a->end = block->bytes + bytes;
    return true;
}

/* n bytes at any address; NULL: no memory. */
static char *take(struct lh_arena *a, size_t n)
{
    /* Without storage and blocks, even no bytes at all need a place: NULL would
     * say that there is no memory. */
    if ((!a->at || n > (size_t)(a->end - a->at)) &&
        !add_block(a, n, LARGE_BYTES / 2))
        return NULL;
    char *p = a->at;
    a->at += n;
    return p;
}

void *lh_arena_alloc(struct lh_arena *a, size_t n)
{
    /* The bytes to the next address that fits every type. */
    size_t pad = -(uintptr_t)a->at & (alignof(max_align_t) - 1);

    if (!a->at || pad > (size_t)(a->end - a->at) ||
        n > (size_t)(a->end - a->at) - pad)
        return add_block(a, n, LARGE_BYTES / 2) ? take(a, n) : NULL;
    char *p = a->at + pad;
    a->at = p + n;
    return p;
}

struct lh_str lh_arena_copy(struct lh_arena *a, const void *p, size_t n)
{
    char *copy = take(a, n);

    if (copy && n)
        memcpy(copy, p, n);
    return (struct lh_str){copy, n};
}

struct lh_str lh_arena_join(struct lh_arena *a, const struct lh_str *parts,
                            unsigned n)
{
    size_t length = 0;

    for (unsigned i = 0; i < n; i++)
        length += parts[i].n;
    char *text = take(a, length), *at = text;
    for (unsigned i = 0; text && i < n; i++) {
        if (parts[i].n)
            memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return (struct lh_str){text, length};
}

bool lh_arena_grow(struct lh_arena *a, char **p, size_t n, size_t add)
{
    /* Only the newest allocation has free memory behind it. */
    bool newest = *p && *p + n == a->at;

    if (newest && add <= (size_t)(a->end - a->at)) {
        a->at += add;
        return true;
    }
    if (add > SIZE_MAX / 4)
        return false;
    /* Twice the room, so that one which grows on and on moves rarely. */
    if ((!a->at || n + add > (size_t)(a->end - a->at)) &&
        !add_block(a, n + add, n + add))
        return false;
    if (n)
        memcpy(a->at, *p, n);
    *p = a->at;
    a->at += n + add;
    return true;
}

/* --- packing -------------------------------------------------------------- */

void lh_arena_pack_init(struct lh_arena_pack *pack, struct lh_arena *a)
{
    assert(a->first_bytes <= sizeof(pack->first));
    pack->arena = a;
    pack->block = NULL;
    pack->copies = false;
    pack->first_n = pack->block_n = 0;
}

/* Where n bytes go behind *used others. */
static size_t next_place(size_t *used, size_t n, size_t align)
{
    size_t at = (*used + align - 1) & ~(align - 1);

    *used = at + n;
    return at;
}

/* Whatever fits is put into the storage; its bytes are kept aside until the old
 * ones are not needed any more. */
void *lh_arena_pack_add(struct lh_arena_pack *pack, const void *p, size_t n,
                        size_t align)
{
    const struct lh_arena *a = pack->arena;
    size_t first_n = pack->first_n, at = next_place(&first_n, n, align);
    bool first = first_n <= a->first_bytes;

    if (first)
        pack->first_n = first_n;
    else
        at = next_place(&pack->block_n, n, align);
    if (!pack->copies)
        return (void *)(uintptr_t)p;
    if (n)
        memcpy((first ? pack->first : pack->block->bytes) + at, p, n);
    return (first ? a->first : pack->block->bytes) + at;
}

void *lh_arena_pack_aside(struct lh_arena_pack *pack, void *p)
{
    const struct lh_arena *a = pack->arena;
    bool first = pack->copies && (char *)p >= a->first &&
                 (char *)p < a->first + a->first_bytes;

    return first ? pack->first + ((char *)p - a->first) : p;
}

bool lh_arena_pack_begin(struct lh_arena_pack *pack)
{
    if (pack->block_n) {
        pack->block = lh_alloc(sizeof(*pack->block) + pack->block_n);
        if (!pack->block)
            return false;
        *pack->block = (struct lh_arena_block){.next = NULL};
    }
    pack->copies = true;
    pack->first_n = pack->block_n = 0;
    return true;
}

void lh_arena_pack_end(struct lh_arena_pack *pack)
{
    struct lh_arena *a = pack->arena;

    lh_arena_reset(a);
    if (pack->first_n)
        memcpy(a->first, pack->first, pack->first_n);
    if (a->at)
        a->at += pack->first_n;
    a->more = pack->block;
    a->allocated = pack->block_n;
}
