/*
 * What all waits of a program's C functions share: see native.h.
 *
 * task->native is the wait that the task is in, and NULL without one;
 * vm->native is the coroutine that has called the C function.
 */
#include "lua/native.h"

#include "lua/api.h"
#include "lua/gc.h"
#include "lua/raise.h"
#include "os/self.h"

/* What run_finish() is called with. */
struct ending {
    struct lh_task *task;
    enum lh_outcome outcome;
};

/* The protected call in which `finish` runs.  Up to here the wait is the
 * task's, which ends it if there is no memory for this call. */
static int run_finish(lua_State *L)
{
    const struct ending *ending = lua_touserdata(L, 1);
    struct lh_task *task = ending->task;
    struct lh_native *native = task->native;

    lua_settop(L, 0);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lh_list_remove(&native->bound.link);
    lh_task_end_wait(task);
    if (ending->outcome == LH_OUTCOME_STOPPING)
        task->told = true;
    return native->finish(L, native, ending->outcome);
}

/* Is the C function that runs in L a `finish`? */
static bool is_finishing(lua_State *L)
{
    lua_Debug ar;

    if (!lua_getstack(L, 0, &ar))
        return false;
    lua_getinfo(L, "f", &ar);
    bool it_is = lua_tocfunction(L, -1) == run_finish;
    lua_pop(L, 1);
    return it_is;
}

struct lh_task *lh_native_task(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.vm");
    const struct lh_vm *vm = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!vm || !vm->current || !vm->ctx->evq ||
        vm->ctx->process != lh_self_id() || !lh_gc_runs_script(L, vm) ||
        (!lh_lua_can_yield(L) && !is_finishing(L)))
        return NULL;
    return vm->current;
}

void lh_native_bind(struct lh_native *native, struct lh_task *task,
                    void (*on_task_end)(struct lh_bound *bound))
{
    native->task = task;
    native->bound.on_task_end = on_task_end;
    lh_list_append(&task->bound, &native->bound.link);
}

int lh_native_suspend(lua_State *L, struct lh_native *native,
                      const struct lh_wait *wait, int timeout_ms)
{
    struct lh_task *task = native->task;

    lh_task_end_wait(task);
    lh_task_note_wait(task, wait,
                      timeout_ms < 0 ? LH_NEVER : (uint64_t)timeout_ms);
    task->native = native;
    if (is_finishing(L))
        return 0;
    task->native_co = L;
    return lh_raise_yield(L);
}

enum lh_outcome lh_native_poll(const struct lh_task *task, bool done)
{
    if (done)
        return LH_OUTCOME_DONE;
    if (task->timed_out)
        return LH_OUTCOME_TIMEOUT;
    if (task->cut || (task->ex && lh_task_is_closed(task)))
        return LH_OUTCOME_CLOSED;
    return lh_api_stops(task) ? LH_OUTCOME_STOPPING : LH_OUTCOME_PENDING;
}

/* What ends it may have happened before it began. */
void lh_native_start(struct lh_task *task)
{
    if (task->ex)
        lh_exchange_release(task->ex);
    lh_task_ready(task);
}

void lh_native_wake(const struct lh_native *native)
{
    if (native->task->native == native)
        lh_task_ready(native->task);
}

/* The error is at the top.  As error() does, with the line that has called the
 * C function. */
static void raise_in_caller(lua_State *L, struct lh_task *task)
{
    lua_State *co = task->native_co;

    if (lua_type(L, -1) == LUA_TSTRING) {
        lh_api_push_place_of(L, co);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    lh_raise_arm(L, task->vm, co);
}

/* A coroutine that does not run cannot make room for more. */
static bool has_too_many(lua_State *L, int before)
{
    if (lua_gettop(L) - before <= LH_NATIVE_RESULTS_MAX)
        return false;
    lua_settop(L, before);
    lua_pushfstring(L, "a finish gives at most %d results",
                    LH_NATIVE_RESULTS_MAX);
    return true;
}

int lh_native_answer(lua_State *L, struct lh_task *task)
{
    struct ending ending = {task, task->outcome};
    int before = lua_gettop(L);

    lua_pushcfunction(L, run_finish);
    lua_pushlightuserdata(L, &ending);
    if (lua_pcall(L, 1, LUA_MULTRET, 0) || has_too_many(L, before)) {
        lh_task_end_wait(task);
        raise_in_caller(L, task);
    } else if (task->native) {
        lua_settop(L, before);
        return -1;
    }
    int results = lua_gettop(L) - before;
    lua_xmove(L, task->co, results);
    return results;
}
