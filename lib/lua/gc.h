/*
 * Inside lib/lua: a VM's memory, its collector, and the finalizers that run
 * inside it.
 *
 * A finalizer (__gc) runs wherever something is allocated: in the code of any
 * request, also inside functions of httpd.  It has no request: there the
 * functions of httpd answer nil and a message, and change nothing.  A whole
 * collection runs between requests only, or where the script asks for one; it
 * is protected, and the memory limit does not hold meanwhile, since the
 * collector needs memory itself.
 */
#ifndef LH_LUA_GC_H
#define LH_LUA_GC_H

#include "lua/compat.h"
#include "lua/task.h"

/* Limits what the new state may take, as vm_memory_bytes says. */
void lh_gc_limit(struct lh_vm *vm);

/* What a collection will need.  It may raise; while the VM loads. */
void lh_gc_prepare(lua_State *L, struct lh_vm *vm);

/* What lh_gc_prepare has taken, if it was called. */
void lh_gc_deinit(struct lh_vm *vm);

/* Is a collection due before another handler runs?  Garbage counts against the
 * limit too, and LuaJIT and 5.1 do not collect it when an allocation fails,
 * whoever refused it. */
static inline bool lh_gc_is_due(const struct lh_vm *vm)
{
    return vm->short_of_memory || vm->bytes >= vm->collect_at;
}

/* A whole collection.  Outside of protected calls and of requests. */
void lh_gc_collect(struct lh_vm *vm);

/* What the state takes goes into the worker's counters. */
void lh_gc_count(struct lh_vm *vm);

/* May `n` octets more become a string, as far as the limit tells? */
bool lh_gc_allows(const struct lh_vm *vm, size_t n);

/* At the begin of the turn: has the script stopped the collector?  On 5.1 what
 * it has said is all that is known. */
static inline void lh_gc_note_stopped(lua_State *L, struct lh_vm *vm)
{
    if (!LH_LUA_51)
        vm->gc_stopped = lh_lua_in_finalizer(L, false);
}

/* Ours are counted; for those that a script has put in by itself the VM is
 * asked. */
static inline bool lh_gc_in_finalizer(lua_State *L, const struct lh_vm *vm)
{
    return vm->finalizers || lh_lua_in_finalizer(L, vm->gc_stopped);
}

/* Does the code of a handler run, or that of a script that loads?  Else a
 * finalizer does, or the state is being closed. */
static inline bool lh_gc_runs_script(lua_State *L, const struct lh_vm *vm)
{
    return (vm->current || vm->loading) && !lh_gc_in_finalizer(L, vm);
}

/* May the state of files change?  A finalizer may not do that while it
 * interrupts somebody. */
static inline bool lh_gc_runs_alone(lua_State *L, const struct lh_vm *vm)
{
    return vm->collects || !lh_gc_in_finalizer(L, vm);
}

#endif
