/*
 * Memory.  Every allocation of the library goes through lh_realloc_hook, so
 * that a program can bring its own allocator, and a test can make the n-th one
 * fail; and pools keep blocks of one size for reuse by their worker.
 */
#ifndef LH_BASE_MEM_H
#define LH_BASE_MEM_H

#include "lhttpd.h"

#include <stdbool.h>
#include <stddef.h>

/* realloc's contract, with n = 0 freeing.  Beside lh_mem_give() only tests
 * change it. */
extern void *(*lh_realloc_hook)(void *old, size_t n);

/* From here on everything is allocated with the program's functions.  False:
 * lh_mem_settle() or this was called before. */
bool lh_mem_give(const lhttpd_allocator_t *allocator);

/* Something is about to be allocated that lasts: it is too late to give an
 * allocator. */
void lh_mem_settle(void);

/* Is it the program's allocator?  What is known of the C library's does not
 * hold then. */
bool lh_mem_is_given(void);

void *lh_alloc(size_t n);
void *lh_calloc(size_t count, size_t n); /* zeroed; NULL on overflow */
void *lh_realloc(void *old, size_t n);
void lh_free(void *p);
void *lh_memdup(const void *p, size_t n);
char *lh_strdup(const char *s);

/* Blocks of one size, at most `keep_max` of them kept when given back. */
struct lh_pool {
    struct lh_pool_block *free;
    size_t block_bytes;
    unsigned kept;
    unsigned keep_max;
    unsigned out; /* blocks in use: 0 when nothing leaks */
};

void lh_pool_init(struct lh_pool *pool, size_t block_bytes, unsigned keep_max);
void lh_pool_deinit(struct lh_pool *pool); /* every block was given back */
void *lh_pool_take(struct lh_pool *pool);  /* NULL: no memory; not zeroed */
void lh_pool_give(struct lh_pool *pool, void *block);

#endif
