/*
 * The end of io's handles: httpd.close, which waits for a pipe's process, and
 * handles that a script has lost.
 */
#include "lua/api.h"
#include "lua/gc.h"
#include "lua/process.h"

/* --- waiting for a process ------------------------------------------------ */

/* An end that is there wins over whatever else would end the wait. */
static enum lh_outcome poll_end(struct lh_task *task, lua_State *L)
{
    struct lh_process *p = task->on.file->process;

    (void)L;
    if (lh_process_reap(p))
        return LH_OUTCOME_DONE;
    if (task->cut || (task->ex && lh_task_is_closed(task)))
        return LH_OUTCOME_CLOSED;
    if (task->on.attached && lh_api_stops(task))
        return LH_OUTCOME_STOPPING;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* Only now: where the handler cannot be suspended nothing has happened. */
static void wait_for_end(struct lh_task *task)
{
    struct lh_process *p = task->on.file->process;

    lh_file_forget(task->on.file);
    lh_file_close_handle(task->on.handle);
    lh_file_attach(task);
    if (task->ex)
        lh_exchange_release(task->ex);
    p->task = task;
    if (poll_end(task, NULL) != LH_OUTCOME_PENDING)
        lh_task_ready(task);
}

/* It goes on without this task. */
static void leave_waiting(struct lh_task *task)
{
    if (task->on.file->process)
        task->on.file->process->task = NULL;
    lh_file_detach(task);
}

/* How it ended is pushed last, since leaving frees it. */
static int push_end(lua_State *L, struct lh_task *task)
{
    struct lh_process *p = task->on.file->process;
    struct lh_child child = p->child;

    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    lh_file_forget(task->on.file);
    lh_file_close_handle(task->on.handle);
    lh_process_leave(p);
    return lh_process_push_end(L, &child);
}

static const struct lh_wait end_wait = {
    .poll = poll_end,
    .start = wait_for_end,
    .cancel = leave_waiting,
    .finish = push_end,
    .keeps_handle = true,
};

/* While the script loads, where waiting is all right. */
static int wait_here(lua_State *L, struct lh_file *file)
{
    struct lh_process *p = file->process;

    lh_file_forget(file);
    lh_file_close_handle(lua_touserdata(L, 1));
    while (!lh_process_reap(p))
        lh_child_wait(&p->child);
    struct lh_child child = p->child;
    lh_process_leave(p);
    return lh_process_push_end(L, &child);
}

/* In a finalizer between requests: the child is reaped by its event. */
static int leave_here(lua_State *L, struct lh_file *file)
{
    lh_file_forget(file);
    lh_file_close_handle(lua_touserdata(L, 1));
    lh_process_leave(file->process);
    lua_pushnil(L);
    lua_pushliteral(L, "nobody waits here");
    return 2;
}

/* Where a handler can wait it does. */
static int close_process(lua_State *L, struct lh_file *file,
                         uint64_t timeout_ms)
{
    struct lh_task *task = file->vm->current;

    if (!task)
        return file->vm->loading && !file->vm->collects ? wait_here(L, file)
                                                        : leave_here(L, file);
    task->on.file = file;
    task->on.handle = lua_touserdata(L, 1);
    return lh_api_begin(L, task, &end_wait, timeout_ms);
}

/* --- httpd.close ---------------------------------------------------------- */

/* As io does it: standard files stay open. */
static int close_plainly(lua_State *L, struct lh_vm *vm, struct lh_file *file)
{
    FILE *fp = lh_lua_file(L, 1);

    if (file) {
        if (fp && file->ours)
            lh_file_give_back(file, fp);
        lh_file_forget(file);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->file_close);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 3);
    return 3;
}

/* How the process ended will never be known. */
static int close_left(lua_State *L)
{
    lh_file_close_handle(lua_touserdata(L, 1));
    lua_pushnil(L);
    lua_pushliteral(L, "the process was left");
    return 2;
}

/* close_begin(handle, timeout).  A pipe was drained before. */
static int close_begin(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    uint64_t timeout_ms = lh_api_timeout(L, 2, "httpd.close");
    struct lh_file *file;
    int waits;

    if (!lh_gc_runs_alone(L, vm))
        return lh_api_refuse(L);
    lua_settop(L, 2);
    file = lh_file_find(L, vm, 1);
    waits = file ? lh_file_wait_for_turn(L, file, timeout_ms) : 0;
    if (waits)
        return waits;
    if (file && file->process)
        return close_process(L, file, timeout_ms);
    if (file && file->left && lh_lua_file(L, 1))
        return close_left(L);
    return close_plainly(L, vm, file);
}

const luaL_Reg lh_close_begins[] = {
    {"close_begin", close_begin},
    {NULL, NULL},
};

/* --- lost handles --------------------------------------------------------- */

/* The handle is being collected: the state gives up what it has, once, without
 * waiting. */
static void kill_state(struct lh_file *file)
{
    if (file->dead)
        return;
    file->dead = true;
    file->left = file->process != NULL;
    lh_file_forget(file);
    if (file->process)
        lh_process_leave(file->process);
}

/* The state's own __gc, for VMs that finalize it before its handle. */
static int collect_file(lua_State *L)
{
    kill_state(lua_touserdata(L, 1));
    return 0;
}

/* Before io closes it: without waiting, and with our descriptor.  One that a
 * task waits for is not collected: then a script has found this function. */
static int collect_handle(lua_State *L)
{
    struct lh_file *file = lh_file_find(L, lh_vm_of(L), 1);

    if (file && file->task)
        return lh_api_error(L, "an operation on the file is under way");
    if (file && !file->standard) {
        kill_state(file);
        if (lh_lua_file(L, 1))
            lh_file_close_handle(lua_touserdata(L, 1));
    }
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    lua_call(L, 1, 0);
    return 0;
}

/* The metatable of io's handles is at the top. */
static void watch_handles(lua_State *L, struct lh_vm *vm)
{
    lua_pushlightuserdata(L, vm);
    lua_getfield(L, -2, "__gc");
    if (lua_isfunction(L, -1)) {
        lua_pushcclosure(L, collect_handle, 2);
        lua_setfield(L, -2, "__gc");
    } else {
        lua_pop(L, 2);
    }
}

void lh_close_watch(lua_State *L, struct lh_vm *vm)
{
    int top = lua_gettop(L);

    lua_newtable(L);
    lua_pushcfunction(L, collect_file);
    lua_setfield(L, -2, "__gc");
    vm->file_meta = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_FILEHANDLE);
    watch_handles(L, vm);
    lua_setfield(L, top, "handles");
    lua_settop(L, top);
}
