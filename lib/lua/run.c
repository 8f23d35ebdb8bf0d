/*
 * A VM's part of a turn: what is ready runs, inside one protected call.
 *
 * A task runs from the head of `batch` until it waits or ends.  vm->current is
 * the task that runs, and NULL wherever no code of a handler does.
 */
#include "http/pack.h"
#include "http/request_id.h"
#include "lua/api.h"
#include "lua/vm_check.h"
#include "lua/failure.h"
#include "lua/gc.h"
#include "lua/kill.h"
#include "lua/native.h"
#include "lua/process.h"
#include "lua/raise.h"
#include "lua/spawn.h"
#include "lua/websocket.h"

#include "os/clock.h"

#include <stdio.h>

/* How many ended coroutines are kept for reuse. */
#define IDLE_COROUTINES_MAX 64

/* A handler may end its work after its client has gone, and let others run
 * meanwhile; but not for ever. */
#define IDLE_YIELDS_MAX 100000

/* --- a handler has ended -------------------------------------------------- */

/* What a script can leave in a coroutine no other request is given. */
static void handler_returned(struct lh_task *task, lua_State *L)
{
    struct lh_exchange *ex = task->ex;

    lua_settop(task->co, 0);
    /* What a script can leave in a coroutine it is not given again. */
    if (task->vm->idle_coroutines >= IDLE_COROUTINES_MAX || task->exposed ||
        lh_lua_keeps_hook(L, task->co))
        lh_task_drop_coroutine(task, L);
    if (task->websocket)
        lh_websocket_leave(task->websocket, false);
    if (ex) {
        /* Only this status is not what the exchange answers by itself, which
         * may also be that the body was too large or too slow. */
        if (task->handler == task->vm->not_found &&
            lh_task_start_response(task))
            lh_exchange_fail(ex, 500);
        lh_task_end_response(task);
    }
    lh_task_end(task, L);
}

/* Its error becomes words, in a protected call of its own: a __tostring may
 * raise, and making words needs memory. */
static void handler_failed(struct lh_task *task, lua_State *L)
{
    struct lh_str message = LH_STR("not enough memory");

    lua_pushcfunction(L, lh_failure_describe);
    lua_rawgeti(L, LH_AT_THREADS, task->slot);
    lua_pushlightuserdata(L, task->vm);
    int status = lua_pcall(L, 2, 1, 0);
    if (status == 0 || lua_type(L, -1) == LUA_TSTRING)
        message.p = lua_tolstring(L, -1, &message.n);
    else if (status != LUA_ERRMEM)
        message =
            LH_STR("the error is a value whose __tostring raises another");
    /* The script may have caught and passed it on. */
    if (strstr(message.p, "not enough memory"))
        task->vm->short_of_memory = true;
    if (task->websocket)
        lh_websocket_leave(task->websocket, true);
    /* Before drop_coroutine: it may run what the script left to be closed. */
    lh_lua_abandon(task->co);
    lh_task_fail(task, message);
    lua_pop(L, 1);
}

/* It is not resumed any more. */
static void abandon(struct lh_task *task, lua_State *L)
{
    struct lh_str message;

    if (task->vm->kill.on)
        lh_kill_push_message(L, task->co, task->vm);
    else
        lua_pushstring(L, lh_api_gone_text(task));
    lh_lua_traceback(L, task->co);
    message.p = lua_tolstring(L, -1, &message.n);
    task->vm->current = NULL;
    lh_lua_abandon(task->co);
    lh_task_fail(task, message);
    lua_pop(L, 1);
}

/* --- a handler waits ------------------------------------------------------ */

/* It may wait for long.  What a form or the answer from a file has in the
 * request's memory stays where it is. */
static void make_small(struct lh_task *task)
{
    if (task->ex && !task->serving && !task->form)
        lh_exchange_pack(task->ex, &task->path_info);
}

/* The time-out counts from when the worker has the tag. */
static void wait_begins(struct lh_task *task)
{
    struct lh_context *ctx = task->vm->ctx;

    make_small(task);
    lh_task_set_state(task, LH_TASK_WAITING);
    task->wait_step = LH_WAIT_STARTED;
    task->timed_out = false;
    if (task->timeout_ms != LH_NEVER)
        lh_timer_arm(&ctx->timers, &task->timer,
                     lh_deadline(ctx->now_ms, task->timeout_ms));
    if (task->wait->start)
        task->wait->start(task);
}

static enum lh_outcome poll_yield(struct lh_task *task, lua_State *L)
{
    (void)task;
    (void)L;
    return LH_OUTCOME_DONE;
}

/* The others may run. */
static const struct lh_wait yield_wait = {
    .poll = poll_yield,
    .start = lh_task_ready,
};

/* Nobody waits for what it does, and it does not end.  After httpd.finish it
 * may go on. */
static bool yields_for_ever(struct lh_task *task)
{
    bool alone = task->cut || (task->ex && lh_task_is_closed(task));
    unsigned most = task->cut ? LH_DEAD_ENDS_MAX : IDLE_YIELDS_MAX;

    return alone && ++task->idle_yields >= most;
}

/* Whatever call it had begun never reached the worker. */
static void wait_for_turn(struct lh_task *task)
{
    lh_task_end_wait(task);
    task->wait = &yield_wait;
    task->timeout_ms = LH_NEVER;
    wait_begins(task);
}

/* The coroutine has given the tag, or the script has yielded by itself. */
static void yielded(struct lh_task *task, lua_State *L, int results)
{
    lua_State *co = task->co;
    bool ours = results > 0 && lua_touserdata(co, -results) == lh_api_tag();

    lua_pop(co, results);
    if (!ours || !task->wait) {
        if (yields_for_ever(task) || task->vm->kill.on)
            abandon(task, L);
        else
            wait_for_turn(task);
    } else if (task->wait->ends_task) {
        abandon(task, L);
    } else {
        wait_begins(task);
    }
}

/* --- a handler runs ------------------------------------------------------- */

/* It has ended without an instruction at which the error of its C function
 * could have been raised. */
static bool ends_raising(struct lh_task *task, int status)
{
    if (status == LUA_YIELD || !task->vm->raise.co)
        return false;
    lua_settop(task->co, 0);
    return lh_raise_take(task->co, task->vm);
}

/* One stretch of the handler, until it waits or ends. */
static void resume(struct lh_task *task, lua_State *L, int args)
{
    struct lh_vm *vm = task->vm;
    int results = 0, status;

    vm->nested = 0;
    lh_kill_resumes(vm, task->co);
    status = lh_lua_resume(task->co, L, args, &results);
    lh_kill_resumed(vm);
    if (task->ex && lh_request_was_told_of(task->ex))
        lh_request_id(task->ex);
    lh_lua_unhook(L, vm->hook_mask);
    if (status == LUA_YIELD)
        yielded(task, L, results);
    else if (ends_raising(task, status) || lh_lua_has_failed(status, results))
        handler_failed(task, L);
    else
        handler_returned(task, L);
}

/* From here on what allocates may run a script's finalizer.  The run lasts
 * until the next task's or the VM's turn ends: what follows a handler, as
 * describing its error, may call the script too. */
static void run_begins(struct lh_task *task)
{
    struct lh_vm *vm = task->vm;

    lh_kill_end(vm);
    task->resumed_ms = vm->ctx->resumed_ms = lh_clock_ms();
    lh_running_begin(&vm->ctx->running, vm->name, task->known->what->text,
                     vm->ctx->resumed_ms);
    if (task->ex)
        lh_request_runs(task->ex);
    lh_kill_begin(vm);
}

/* Pushes what a task without an exchange runs; false: nothing, it was cut or
 * could not be kept. */
static bool push_spawned(lua_State *L, const struct lh_task *task)
{
    lh_spawn_push(L, task);
    if (!task->cut && !lua_isnil(L, -1))
        return true;
    lua_pop(L, 1);
    return false;
}

/* Pushes the handler and its arguments; how many. */
static int push_handler_call(lua_State *L, struct lh_task *task)
{
    int arguments = task->known->arguments;

    lua_rawgeti(L, LH_AT_HANDLERS, task->handler + 1);
    if (arguments > 0) {
        lh_env_push(L, task);
        task->env = lua_topointer(L, -1);
    }
    if (arguments > 1)
        lh_header_push(L, task);
    return arguments;
}

/* The handler gets as many tables as it has parameters; making none saves most
 * of what a request costs. */
static void begin_handler(struct lh_task *task, lua_State *L)
{
    if (task->ex && task->ex->gone) {
        /* Nobody waits for the answer, and nothing was begun. */
        lh_task_end(task, L);
        return;
    }
    run_begins(task);
    if (!task->co) {
        lua_State *co = lua_newthread(L);
        lua_rawseti(L, LH_AT_THREADS, task->slot);
        task->co = co;
    }
    int arguments = 0;
    if (task->ex) {
        arguments = push_handler_call(L, task);
    } else if (!push_spawned(L, task)) {
        lh_task_end(task, L);
        return;
    }
    lh_lua_give(L, task->co, arguments, lh_failure_protect);
    lh_task_set_state(task, LH_TASK_RUNNING);
    resume(task, L, arguments + LH_LUA_54);
}

/* The C function of the program has its results, or waits once more. */
static void answer_native(struct lh_task *task, lua_State *L)
{
    if (task->outcome == LH_OUTCOME_CLOSED &&
        ++task->dead_ends >= LH_DEAD_ENDS_MAX) {
        abandon(task, L);
        return;
    }
    int results = lh_native_answer(L, task);
    if (results < 0)
        wait_begins(task);
    else
        resume(task, L, results);
}

/* There was news.  A wait on files keeps its budget over the turn, all others
 * renew it. */
static void look_at_wait(struct lh_task *task, lua_State *L)
{
    if (task->websocket)
        lh_websocket_turn(task->websocket);
    task->outcome = task->wait->poll(task, L);
    if (task->outcome == LH_OUTCOME_PENDING) {
        make_small(task);
        return;
    }
    run_begins(task);
    if (!task->on.attached)
        task->on.moved_bytes = 0;
    lh_task_cancel_wait(task);
    lh_task_set_state(task, LH_TASK_RUNNING);
    if (task->wait->native) {
        answer_native(task, L);
        return;
    }
    if (!task->wait->finish)
        lh_task_end_wait(task);
    resume(task, L, 0);
}

/* One task's part of a turn.  Raises for lack of memory alone. */
static void run_task(struct lh_task *task, lua_State *L)
{
    lh_task_release_anchors(task, L);
    switch (task->state) {
    case LH_TASK_IDLE:
    case LH_TASK_RUNNING:
        break;
    case LH_TASK_NEW:
        begin_handler(task, L);
        break;
    case LH_TASK_WAITING:
        look_at_wait(task, L);
        break;
    case LH_TASK_DRAINING:
        lh_task_end(task, L);
        break;
    }
}

/* --- the turn ------------------------------------------------------------- */

/* One task at least has run. */
static bool is_late(const struct lh_vm *vm)
{
    const struct lh_context *ctx = vm->ctx;

    return ctx->tasks_until_ms && ctx->resumed_ms >= ctx->tasks_until_ms;
}

/* The VM is its upvalue, the tables of LH_AT_... are its arguments. */
int lh_vm_turn(lua_State *L)
{
    struct lh_vm *vm = lua_touserdata(L, lua_upvalueindex(1));
    struct lh_list *link;

    lh_gc_note_stopped(L, vm);
    while ((link = lh_list_take(&vm->batch)) != NULL) {
        vm->current = LH_OF(link, struct lh_task, ready_link);
        run_task(vm->current, L);
        vm->current = NULL;
        if (lh_gc_is_due(vm) || is_late(vm))
            break;
    }
    return 0;
}

/* A finalizer that raised where we allocate took the turn from a request that
 * had not begun, which is tried again once. */
static bool begins_again(struct lh_vm *vm, struct lh_task *task, int status)
{
    if (status == LUA_ERRMEM || task->state != LH_TASK_NEW || task->begun_again)
        return false;
    task->begun_again = true;
    lh_list_append(&vm->batch, &task->ready_link);
    return true;
}

/* The turn was ended by an error.  Lack of memory is the present task's, and
 * what a script has raised outside of its handler is what the log says; the
 * other tasks go on. */
static void fail_current(struct lh_vm *vm, int status)
{
    const char *message = lua_tostring(vm->L, -1);
    struct lh_task *task = vm->current;
    struct lh_list *link;
    char text[512];

    if (!task && (link = lh_list_take(&vm->batch)) != NULL)
        task = LH_OF(link, struct lh_task, ready_link);
    snprintf(text, sizeof(text), "%s",
             status == LUA_ERRMEM || !message ? "not enough memory" : message);
    lua_settop(vm->L, LH_TURN + LH_AT_LAST);
    vm->current = NULL;
    vm->short_of_memory = true;
    if (task && !begins_again(vm, task, status))
        lh_task_fail(task, lh_str_of(text));
}

/* What there was no time for is first next time. */
static void put_back(struct lh_vm *vm)
{
    if (lh_list_empty(&vm->batch))
        return;
    lh_list_put_first(&vm->ready, &vm->batch);
    if (!lh_list_linked(&vm->ready_link))
        lh_list_append(vm->ready_list, &vm->ready_link);
}

void lh_vm_note_stack(struct lh_vm *vm)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (vm->ctx->stack_bytes)
        vm->stack_low = here - vm->ctx->stack_bytes / 2;
}

/* A collection that is due runs between two requests, not inside one. */
void lh_vm_run(struct lh_vm *vm)
{
    lh_vm_note_stack(vm);
    lh_list_remove(&vm->ready_link);
    lh_list_move(&vm->batch, &vm->ready);
    /* First: the tasks may need what it finds. */
    if (vm->sweep) {
        lh_gc_collect(vm);
        lh_process_sweep(vm->L, vm);
    }
    while (!lh_list_empty(&vm->batch)) {
        for (int i = 0; i <= LH_AT_LAST; i++)
            lua_pushvalue(vm->L, LH_TURN + i);
        int status = lua_pcall(vm->L, LH_AT_LAST, 0, 0);
        if (status)
            fail_current(vm, status);
        if (lh_gc_is_due(vm))
            lh_gc_collect(vm);
        if (is_late(vm))
            break;
    }
    lh_kill_end(vm);
    lh_running_end(&vm->ctx->running);
    if (vm->ctx->now_ms >= vm->count_at_ms)
        lh_gc_count(vm);
    put_back(vm);
    lh_vm_check(vm);
}
