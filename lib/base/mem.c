/*
 * Memory: see mem.h.
 *
 * Everything that the library allocates comes through `lh_realloc_hook`: the C
 * library's heap, or what the program has given once, before anything else.
 * Requests of 0 bytes get 1: NULL has one meaning only, that there is no
 * memory.
 */
#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The C library's, but for a size of 0, which always frees and gives NULL: what
 * realloc(p, 0) does is left to each system. */
static void *system_realloc(void *old, size_t n)
{
    if (n == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, n);
}

void *(*lh_realloc_hook)(void *old, size_t n) = system_realloc;

/* --- the program's allocator ---------------------------------------------- */

static lhttpd_allocator_t given;
static _Atomic bool settled;

/* Its functions never see NULL or 0. */
static void *given_realloc(void *old, size_t n)
{
    if (!old)
        return given.alloc(given.context, n);
    if (n)
        return given.realloc(given.context, old, n);
    given.free(given.context, old);
    return NULL;
}

bool lh_mem_give(const lhttpd_allocator_t *allocator)
{
    if (atomic_exchange(&settled, true))
        return false;
    given = *allocator;
    lh_realloc_hook = given_realloc;
    return true;
}

void lh_mem_settle(void)
{
    atomic_store(&settled, true);
}

bool lh_mem_is_given(void)
{
    return given.alloc != NULL;
}

/* --- blocks --------------------------------------------------------------- */

void *lh_alloc(size_t n)
{
    return lh_realloc_hook(NULL, n ? n : 1);
}

void *lh_calloc(size_t count, size_t n)
{
    /* A product that does not fit would be a block that is too small. */
    if (n && count > SIZE_MAX / n)
        return NULL;
    void *p = lh_alloc(count * n);
    if (p)
        memset(p, 0, count * n);
    return p;
}

void *lh_realloc(void *old, size_t n)
{
    return lh_realloc_hook(old, n ? n : 1);
}

void lh_free(void *p)
{
    if (p)
        lh_realloc_hook(p, 0);
}

void *lh_memdup(const void *p, size_t n)
{
    void *copy = lh_alloc(n);

    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

char *lh_strdup(const char *s)
{
    return lh_memdup(s, strlen(s) + 1);
}

/* --- pools ---------------------------------------------------------------- */

/* A block that nobody uses holds the link to the next one of its pool. */
struct lh_pool_block {
    struct lh_pool_block *next;
};

void lh_pool_init(struct lh_pool *pool, size_t block_bytes, unsigned keep_max)
{
    assert(block_bytes >= sizeof(struct lh_pool_block));
    *pool = (struct lh_pool){.block_bytes = block_bytes, .keep_max = keep_max};
}

void lh_pool_deinit(struct lh_pool *pool)
{
    /* A block that is still out would be given to a pool that is gone. */
    assert(pool->out == 0);
    while (pool->free) {
        struct lh_pool_block *block = pool->free;
        pool->free = block->next;
        lh_free(block);
    }
    pool->kept = 0;
}

void *lh_pool_take(struct lh_pool *pool)
{
    struct lh_pool_block *block = pool->free;

    if (block) {
        pool->free = block->next;
        pool->kept--;
    } else {
        block = lh_alloc(pool->block_bytes);
    }
    if (block)
        pool->out++;
    return block;
}

void lh_pool_give(struct lh_pool *pool, void *p)
{
    struct lh_pool_block *block = p;

    assert(pool->out > 0);
    pool->out--;
    /* After a flood the pool is full: the rest goes back to the system. */
    if (pool->kept >= pool->keep_max) {
        lh_free(block);
        return;
    }
    block->next = pool->free;
    pool->free = block;
    pool->kept++;
}
