/*
 * What boot.lua needs to suspend a handler at any depth: the second and the
 * third step of a call that waits (see api.h), and what its functions around
 * coroutines ask.
 */
#include "lua/api.h"
#include "lua/raise.h"
#include "lua/task.h"

/* How deep coroutines may run inside each other on LuaJIT. */
#define NESTED_MAX 190

/* --- suspending ----------------------------------------------------------- */

/* The second step: leaves for the worker. */
static int suspend_handler(lua_State *L)
{
    struct lh_task *task = lh_vm_of(L)->current;

    if (!lh_lua_can_yield(L)) {
        if (task)
            lh_task_end_wait(task);
        return lh_api_error(L, "cannot suspend here");
    }
    lua_settop(L, 0);
    lua_pushlightuserdata(L, lh_api_tag());
    return lua_yield(L, 1);
}

/* The number of the wait that a coroutine is to be suspended for; false: it
 * cannot be. */
static int can_suspend(lua_State *L)
{
    const struct lh_task *task = lh_vm_of(L)->current;

    if (task && lh_lua_can_yield(L))
        lua_pushnumber(L, task->serial);
    else
        lua_pushboolean(L, 0);
    return 1;
}

/* is_waiting(serial): 5.1 may have refused to suspend after all. */
static int is_waiting(lua_State *L)
{
    const struct lh_vm *vm = lh_vm_of(L);
    double serial = (double)lua_tonumber(L, 1);
    bool found = false;

    for (const struct lh_list *l = vm->tasks.next; l != &vm->tasks;
         l = l->next) {
        const struct lh_task *task = LH_OF(l, struct lh_task, link);
        found |= task->state == LH_TASK_WAITING && task->serial == serial;
    }
    lua_pushboolean(L, found);
    return 1;
}

/* What to resume the innermost coroutine with, since one of those around it
 * cannot be suspended: a mark, for the function of boot.lua that waits there;
 * nothing for one of the program, which raises. */
static int refusal(lua_State *L)
{
    struct lh_task *task = lh_vm_of(L)->current;

    if (!task || !task->wait || !task->wait->native) {
        lua_pushlightuserdata(L, lh_api_refused());
        return 1;
    }
    lh_task_end_wait(task);
    lh_api_push_place_of(L, task->native_co);
    lua_pushliteral(L, "cannot suspend here");
    lua_concat(L, 2);
    lh_raise_arm(L, task->vm, task->native_co);
    return 0;
}

/* The coroutine was resumed with the mark that says that it cannot wait. */
static int refuse_wait(lua_State *L)
{
    lh_task_end_wait(lh_vm_of(L)->current);
    return lh_api_error(L, "cannot suspend here");
}

/* The third step, once woken: the turn has polled. */
static int finish_wait(lua_State *L)
{
    struct lh_task *task = lh_vm_of(L)->current;

    if (!task || task->wait_step != LH_WAIT_OVER)
        return lh_api_error(L, "the coroutine waited for nothing that came");
    bool kept_data = task->wait->keeps_data;
    int results = task->wait->finish(L, task);

    lh_task_end_wait(task);
    /* Else a long string would last until the next wait is over. */
    if (kept_data)
        lh_task_release_anchors(task, L);
    return results;
}

/* --- coroutines of the script --------------------------------------------- */

/* Is this the handler's own coroutine?  The script will know it from now on,
 * and no other request gets it. */
static int expose(lua_State *L)
{
    struct lh_task *task = lh_vm_of(L)->current;
    bool own = task && task->co == L;

    if (own)
        task->exposed = true;
    lua_pushboolean(L, own);
    return 1;
}

/* setfenv(0, t) changes the coroutine.  The function itself is called in this
 * frame, since it counts them. */
static int set_environment(lua_State *L)
{
    lua_CFunction own = lua_tocfunction(L, lua_upvalueindex(2));
    struct lh_task *task = lh_vm_of(L)->current;

    if (task && lua_type(L, 1) == LUA_TNUMBER && lua_tonumber(L, 1) == 0)
        task->exposed = true;
    return own(L);
}

static int wrap_setfenv(lua_State *L)
{
    lua_settop(L, 1);
    if (!lua_tocfunction(L, 1))
        return 1;
    lua_pushlightuserdata(L, lh_vm_of(L));
    lua_insert(L, 1);
    lua_pushcclosure(L, set_environment, 2);
    return 1;
}

/* LuaJIT counts no calls from C: before one that takes much of its stack.  The
 * other half is for those that take less, which its own stack's limit ends. */
static int check_stack(lua_State *L)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (here < lh_vm_of(L)->stack_low)
        return lh_api_error(L, "C stack overflow");
    return 0;
}

/* Around a resume: as on the other VMs. */
static int enter_coroutine(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);

    if (vm->nested >= NESTED_MAX)
        return lh_api_error(L, "C stack overflow");
    vm->nested++;
    return check_stack(L);
}

static int leave_coroutine(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);

    vm->nested -= vm->nested > 0;
    return 0;
}

const luaL_Reg lh_coroutine_begins[] = {
    {"suspend", suspend_handler}, {"can_suspend", can_suspend},
    {"refusal", refusal},         {"refused", refuse_wait},
    {"finish", finish_wait},      {"waits", is_waiting},
    {"expose", expose},           {"setfenv", wrap_setfenv},
    {"check_stack", check_stack}, {"enter", enter_coroutine},
    {"leave", leave_coroutine},   {NULL, NULL},
};
