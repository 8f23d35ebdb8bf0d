/*
 * A VM's memory and its collector: see gc.h.
 *
 * What always holds: between two runs of the VM no collection and no finalizer
 * is under way (`collects`, `finalizers`), so a handler that begins finds the
 * memory limit in force and has a request of its own.
 */
#include "lua/gc.h"

#include "base/mem.h"
#include "base/num.h"
#include "lua/api.h"
#include "os/clock.h"
#include "os/memory.h"

#include <stdio.h>

/* A finalizer that raises ends a collection on some VMs: it is begun again, but
 * not for ever. */
#define RAISING_MAX 1000

/* A collection that lacks memory itself has set some free. */
#define SHORT_MAX 3

/* Before they look for any garbage LuaJIT and 5.1 halve their table of strings
 * where it has become too large, once in each collection, and cannot collect at
 * all without memory for it.  This is enough for a million places. */
#define RESERVE_BYTES (4U << 20)
#define HALVINGS_MAX  20

/* Asking for a VM's memory costs as much as counting a whole request. */
#define COUNT_EACH_MS 100

/* --- the limit ------------------------------------------------------------ */

/* 5.4 passes a kind of object as the old size of a new block. */
static void *limited_alloc(void *data, void *old, size_t old_n, size_t n)
{
    struct lh_vm *vm = data;
    size_t before = old ? old_n : 0;
    void *p;

    if (n > before && !vm->collects &&
        vm->bytes + (n - before) > vm->bytes_max) {
        lh_count_add(&vm->ctx->counters.vm_memory_hits, !vm->over_limit);
        vm->short_of_memory = vm->over_limit = true;
        return NULL;
    }
    p = vm->alloc(vm->alloc_data, old, old_n, n);
    if (p || n == 0)
        vm->bytes = vm->bytes + n - before; /* less, as 64 bits count it */
    return p;
}

/* What the state has taken already counts.  The allocator of the state stays
 * behind ours. */
void lh_gc_limit(struct lh_vm *vm)
{
    lua_State *L = vm->L;

    vm->bytes_max = vm->ctx->limits->vm_memory_bytes;
    vm->collect_at = LH_NEVER;
    if (vm->bytes_max == LHTTPD_UNLIMITED)
        return;
    vm->bytes = (uint64_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 +
                (uint64_t)lua_gc(L, LUA_GCCOUNTB, 0);
    vm->collect_at = vm->bytes_max / 2;
    vm->alloc = lua_getallocf(L, &vm->alloc_data);
    lua_setallocf(L, limited_alloc, vm);
}

/* Asked before a large string is made, so that "too large" can be answered
 * instead of an error. */
bool lh_gc_allows(const struct lh_vm *vm, size_t n)
{
    return vm->bytes_max == LHTTPD_UNLIMITED ||
           (vm->bytes < vm->bytes_max && n <= vm->bytes_max - vm->bytes);
}

void lh_gc_count(struct lh_vm *vm)
{
    vm->count_at_ms = lh_deadline(vm->ctx->now_ms, COUNT_EACH_MS);
    uint64_t kib = (uint64_t)lua_gc(vm->L, LUA_GCCOUNT, 0);

    lh_count_add(&vm->ctx->counters.vm_kib, kib - vm->kib);
    vm->kib = kib;
}

/* --- collections ---------------------------------------------------------- */

/* collectgarbage("step") where there is a size at index 1, else a whole
 * collection.  LuaJIT starts a stopped collector by the way. */
static int run_collector(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TNUMBER) {
        lua_pushboolean(L, lua_gc(L, LUA_GCSTEP, (int)lua_tointeger(L, 1)));
        return 1;
    }
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

static void after_collection(lua_State *L, struct lh_vm *vm)
{
    if (vm->gc_stopped)
        lua_gc(L, LUA_GCSTOP, 0);
    if (vm->alloc)
        vm->collect_at =
            vm->bytes +
            (vm->bytes < vm->bytes_max ? (vm->bytes_max - vm->bytes) / 2 : 0);
}

/* The error is at the top. */
static void log_finalizer(lua_State *L, const struct lh_vm *vm)
{
    static const char prefix[] = "in a finalizer: ";
    char text[4200]; /* more than the log takes, which marks the cut */
    size_t room = sizeof(text) - sizeof(prefix), n;
    struct lh_str words = lh_str_of(luaL_typename(L, -1));

    if (lua_type(L, -1) == LUA_TSTRING)
        words.p = lua_tolstring(L, -1, &words.n);
    n = lh_min(words.n, room);
    memcpy(text, prefix, sizeof(prefix) - 1);
    memcpy(text + sizeof(prefix) - 1, words.p, n);
    if (lh_log_rates_allow(&vm->ctx->log_rates, LH_LOG_FAILURES,
                           vm->ctx->now_ms))
        lh_task_log(vm, NULL, LHTTPD_LOG_ERROR,
                    (struct lh_str){text, sizeof(prefix) - 1 + n});
    lua_pop(L, 1);
}

/* Without a limit of the process the system refuses nothing; and the program's
 * own allocator has nothing of what the system would get back. */
static void keep_reserve(struct lh_vm *vm)
{
    if (!vm->reserve && !lh_mem_is_given() && lh_memory_is_limited())
        vm->reserve = lh_memory_reserve(RESERVE_BYTES);
}

static void give_up_reserve(struct lh_vm *vm)
{
    lh_memory_release(vm->reserve, RESERVE_BYTES);
    vm->reserve = NULL;
}

void lh_gc_prepare(lua_State *L, struct lh_vm *vm)
{
    lua_pushcfunction(L, run_collector);
    vm->collector = luaL_ref(L, LUA_REGISTRYINDEX);
    lh_lua_prepare_finalizers(L);
    keep_reserve(vm);
}

void lh_gc_deinit(struct lh_vm *vm)
{
    give_up_reserve(vm);
}

/* Nothing is allocated before it runs: there may be no memory at all. */
static int try_to_collect(struct lh_vm *vm)
{
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, vm->collector);
    int status = lua_pcall(vm->L, 0, 0, 0);
    if (lh_lua_raised(status))
        log_finalizer(vm->L, vm);
    else if (status)
        lua_pop(vm->L, 1);
    return status;
}

/* Until nothing more is set free: a table that is too large would need memory
 * again when there is none. */
static void collect_all(struct lh_vm *vm)
{
    int before, now = lua_gc(vm->L, LUA_GCCOUNT, 0);

    for (int i = 0; i < HALVINGS_MAX; i++) {
        before = now;
        if (try_to_collect(vm) == LUA_ERRMEM)
            return;
        now = lua_gc(vm->L, LUA_GCCOUNT, 0);
        if (now >= before)
            return;
    }
}

void lh_gc_collect(struct lh_vm *vm)
{
    bool refused = vm->short_of_memory && !vm->over_limit; /* by the system */
    int status = LUA_ERRRUN, lacks = 0;

    /* What the system lacks may be the garbage of the worker's other VMs. */
    if (refused)
        vm->ctx->wants_collection = true;
    lh_running_begin(&vm->ctx->running, vm->name, "the finalizers",
                     lh_clock_ms());
    vm->collects = true;
    if (vm->short_of_memory)
        give_up_reserve(vm);
    for (int i = 0; i < RAISING_MAX && status && lacks < SHORT_MAX; i++) {
        status = try_to_collect(vm);
        lacks += status && !lh_lua_raised(status);
    }
    if (refused)
        collect_all(vm);
    vm->collects = vm->short_of_memory = vm->over_limit = false;
    keep_reserve(vm);
    lh_running_end(&vm->ctx->running);
    after_collection(vm->L, vm);
}

/* A script asks: it has its request again afterwards. */
static int collect_now(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    struct lh_task *task = vm->current;

    lua_settop(L, 1);
    lua_pushcfunction(L, run_collector);
    lua_insert(L, 1);
    vm->current = NULL;
    vm->collects = true;
    int status = lua_pcall(L, 1, 1, 0);
    vm->collects = false;
    vm->current = task;
    after_collection(L, vm);
    if (status == 0)
        return 1;
    log_finalizer(L, vm);
    return 0;
}

/* --- finalizers ----------------------------------------------------------- */

/* note_stop(whether): before collectgarbage does it.  A finalizer stops
 * nothing. */
static int note_stop(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);

    if (lh_gc_runs_script(L, vm))
        vm->gc_stopped = lua_toboolean(L, 1) != 0;
    return 0;
}

/* Runs the script's own finalizer, which has no request.  An error does not
 * leave it: LuaJIT does not survive one in compiled code, and elsewhere it
 * would end whatever allocates. */
static int run_finalizer(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    struct lh_task *task = vm->current;

    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    vm->current = NULL;
    vm->finalizers++;
    int status = lua_pcall(L, 1, 0, 0);
    vm->finalizers--;
    vm->current = task;
    if (status)
        log_finalizer(L, vm);
    return 0;
}

/* finalizer(f): the function that is put in for f. */
static int finalizer(lua_State *L)
{
    lua_pushlightuserdata(L, lh_vm_of(L));
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, run_finalizer, 2);
    return 1;
}

const luaL_Reg lh_gc_begins[] = {
    {"collect", collect_now},
    {"stop", note_stop},
    {"finalizer", finalizer},
    {NULL, NULL},
};
