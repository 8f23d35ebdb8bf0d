/*
 * The smaller or larger of two numbers, and numbers made to fit a narrower
 * type: written once for the whole library.
 */
#ifndef LH_BASE_NUM_H
#define LH_BASE_NUM_H

#include <stddef.h>
#include <stdint.h>

static inline size_t lh_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Also the earlier of two times, of which LH_NEVER is the last. */
static inline uint64_t lh_min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t lh_max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The number, or the largest that the type has. */
static inline size_t lh_to_size(uint64_t n)
{
    return n < SIZE_MAX ? (size_t)n : SIZE_MAX;
}

static inline uint32_t lh_to_u32(uint64_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

#endif
