/*
 * What a state of our own allocates with: see alloc.h.
 *
 * Two VMs do not bear a refusal while a state is made: LuaJIT crashes when one
 * of its first allocations fails, and 5.1 closes the process's standard input
 * when one fails that the io library makes.  They have a nursery meanwhile:
 * octets of our own, taken before, that serve where the program's allocator
 * refuses.  Mostly none does, and the nursery is freed when the state is made.
 */
#include "lua/alloc.h"

#include "base/mem.h"
#include "base/num.h"

/* More than a state takes: of LuaJIT without its libraries 12 thousand octets,
 * of 5.1 with them 35 thousand. */
#define NURSERY_BYTES (LH_LUA_JIT ? 16384u : LH_LUA_51 ? 49152u : 0u)

struct nursery {
    char *octets; /* NULL: it is closed, and nothing lives in it */
    size_t bytes, used;
    bool is_closed;
};

/* NULL: no room. */
static void *of_nursery(struct nursery *nursery, size_t n)
{
    const size_t align = _Alignof(max_align_t);
    size_t at = nursery->used;

    if (nursery->is_closed || n > nursery->bytes - at)
        return NULL;
    nursery->used =
        lh_min(at + (n + align - 1) / align * align, nursery->bytes);
    return nursery->octets + at;
}

static bool is_of_nursery(const struct nursery *nursery, const void *p)
{
    uintptr_t at = (uintptr_t)p, begin = (uintptr_t)nursery->octets;

    return nursery->octets && at >= begin && at - begin < nursery->bytes;
}

static void close_nursery(struct nursery *nursery)
{
    nursery->is_closed = true;
    if (nursery->used)
        return; /* something may live there as long as the state */
    lh_free(nursery->octets);
    nursery->octets = NULL;
}

/* LuaJIT keeps other things in the upper bits of an address. */
static void *alloc_within_reach(size_t n)
{
    void *p = lh_alloc(n);

    if (!LH_LUA_JIT || (uint64_t)(uintptr_t)p >> 47 == 0)
        return p;
    lh_free(p);
    return NULL;
}

static void free_lua_block(const struct nursery *nursery, void *p)
{
    if (!is_of_nursery(nursery, p))
        lh_free(p);
}

/* lua_Alloc.  Not by realloc(), which could leave the only copy out of reach.
 * No VM bears that a block does not become smaller.  5.4 passes a kind of
 * object as the old size of a new block. */
static void *given_alloc(void *context, void *old, size_t old_n, size_t n)
{
    struct nursery *nursery = context;

    if (n == 0) {
        free_lua_block(nursery, old);
        return NULL;
    }
    void *p = alloc_within_reach(n);
    if (!p && old && n <= old_n)
        return old;
    if (!p)
        p = of_nursery(nursery, n);
    if (p && old) {
        memcpy(p, old, lh_min(old_n, n));
        free_lua_block(nursery, old);
    }
    return p;
}

/* NULL: no memory. */
static struct nursery *new_nursery(void)
{
    struct nursery *nursery = lh_calloc(1, sizeof(*nursery));

    if (!nursery || NURSERY_BYTES == 0)
        return nursery;
    nursery->bytes = NURSERY_BYTES;
    nursery->octets = alloc_within_reach(nursery->bytes);
    if (nursery->octets)
        return nursery;
    lh_free(nursery);
    return NULL;
}

lua_State *lh_state_new(void)
{
    if (!lh_mem_is_given())
        return luaL_newstate();
    struct nursery *nursery = new_nursery();
    lua_State *L = nursery ? lua_newstate(given_alloc, nursery) : NULL;
    if (!L) {
        lh_state_free_remains(nursery);
        return NULL;
    }
    if (!LH_LUA_51)
        close_nursery(nursery);
    lh_lua_warn_when_asked(L);
    return L;
}

void lh_state_open_libs(lua_State *L, void *remains)
{
    luaL_openlibs(L);
    if (LH_LUA_51 && remains)
        close_nursery(remains);
}

void *lh_state_remains(lua_State *L)
{
    void *context;

    return lua_getallocf(L, &context) == given_alloc ? context : NULL;
}

void lh_state_free_remains(void *remains)
{
    struct nursery *nursery = remains;

    if (nursery)
        lh_free(nursery->octets);
    lh_free(nursery);
}
