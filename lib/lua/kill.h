/*
 * Scripts that do not stop.  Where the setting script_kill_ms is set, a run
 * that takes longer without a pause ends by an error: another thread interrupts
 * ours (os/interrupt.h), and a hook raises at the next instruction that the VM
 * interprets, again and again until the run is over, whatever catches it.  What
 * LuaJIT has compiled, C functions and finalizers call no hooks.
 */
#ifndef LH_LUA_KILL_H
#define LH_LUA_KILL_H

#include "lua/task.h"

/* The parts of the next ones that are for a run that may be ended. */
void lh_kill_watch(struct lh_vm *vm);
void lh_kill_unwatch(struct lh_vm *vm);
void lh_kill_add(struct lh_vm *vm, lua_State *co);

/* A run begins, and is over.  What raises in between, outside of the handler's
 * coroutine, is a __tostring of its error and the like. */
static inline void lh_kill_begin(struct lh_vm *vm)
{
    if (vm->ctx->kill_ms)
        lh_kill_watch(vm);
}

static inline void lh_kill_end(struct lh_vm *vm)
{
    if (vm->ctx->kill_of)
        lh_kill_unwatch(vm);
}

/* Around the handler's coroutine. */
static inline void lh_kill_resumes(struct lh_vm *vm, lua_State *co)
{
    if (vm->ctx->kill_of)
        lh_kill_add(vm, co);
}

static inline void lh_kill_resumed(struct lh_vm *vm)
{
    if (vm->ctx->kill_of)
        vm->kill.n = 1;
}

/* What its error says, with the line at which `of` is. */
void lh_kill_push_message(lua_State *L, lua_State *of, const struct lh_vm *vm);

/* For boot.lua: kills(), and track(coroutine) and untrack() around a script's
 * coroutine.resume.  None where no run is ended; LuaJIT needs the latter two
 * not, whose hooks are for all coroutines. */
void lh_kill_register(lua_State *L, struct lh_vm *vm);

#endif
