/* Tasks: see task.h. */
#include "lua/task.h"

#include "base/mem.h"
#include "lua/api.h"
#include "lua/process.h"
#include "os/clock.h"

#include <assert.h>
#include <stdio.h>

/* How many ended coroutines are kept for reuse. */
#define IDLE_COROUTINES_MAX 64

/* The largest input buffer that is kept for the next request. */
#define SPARE_INPUT_BYTES ((size_t)64 << 10)

/* A handler may end its work after its client has gone, and let others run
 * meanwhile; but not for ever. */
#define IDLE_YIELDS_MAX 100000

/* More than the log takes of a request line, so that it marks the cut. */
#define REQUEST_TEXT_BYTES 1100

static void wake(struct lh_timer *timer)
{
    struct lh_task *task = LH_OF(timer, struct lh_task, timer);

    task->timed_out = true;
    lh_task_ready(task);
}

static void on_news(struct lh_exchange *ex)
{
    struct lh_task *task = ex->handler;

    if (task->state >= LH_TASK_WAITING ||
        (task->anchored && !ex->response.lent))
        lh_task_ready(task);
}

static struct lh_task *take_idle(struct lh_vm *vm)
{
    struct lh_list *link;
    struct lh_task *task;

    /* The newest first: those with a coroutine are at the front. */
    if (!lh_list_empty(&vm->idle)) {
        link = vm->idle.next;
        lh_list_remove(link);
        task = LH_OF(link, struct lh_task, link);
        vm->idle_coroutines -= task->co != NULL;
        return task;
    }
    task = lh_calloc(1, sizeof(*task));
    if (!task)
        return NULL;
    task->vm = vm;
    task->slot = ++vm->slots_n;
    lh_list_init(&task->link);
    lh_list_init(&task->ready_link);
    lh_timer_init(&task->timer, wake);
    lh_timer_init(&task->late, NULL);
    lh_timer_init(&task->again, NULL);
    return task;
}

struct lh_task *lh_task_new(struct lh_vm *vm, int handler,
                            struct lh_exchange *ex, struct lh_str path_info)
{
    struct lh_task *task = take_idle(vm);

    if (!task)
        return NULL;
    task->handler = handler;
    task->path_info = path_info;
    task->ex = ex;
    task->env = NULL;
    task->state = LH_TASK_NEW;
    task->wait = NULL;
    task->wait_step = LH_WAIT_NONE;
    task->header_line = 0;
    task->dead_ends = task->idle_yields = 0;
    task->serial = 0;
    task->exposed = false;
    task->moved_bytes = 0;
    task->timed_out = task->overran = task->cut = task->told = false;
    task->again_begun = false;
    task->resumed_ms = vm->ctx->now_ms;
    task->input = vm->spare_input;
    vm->spare_input = (struct lh_input){.p = NULL};
    ex->handler = task;
    ex->on_news = on_news;
    lh_list_append(&vm->tasks, &task->link);
    vm->tasks_n++;
    vm->ctx->counters.tasks++;
    lh_task_ready(task);
    return task;
}

void lh_task_ready(struct lh_task *task)
{
    struct lh_vm *vm = task->vm;

    if (!lh_list_linked(&task->ready_link))
        lh_list_append(&vm->ready, &task->ready_link);
    if (!lh_list_linked(&vm->ready_link))
        lh_list_append(vm->ready_list, &vm->ready_link);
}

bool lh_task_is_closed(const struct lh_task *task)
{
    return !task->ex || task->cut || task->ex->gone || task->ex->fin;
}

int lh_task_start_response(struct lh_task *task)
{
    struct lh_fields none = {.n = 0};
    unsigned status = task->handler == task->vm->not_found ? 404 : 200;

    if (task->ex->response.state != LH_RESPONSE_NONE)
        return 0;
    return lh_exchange_start(task->ex, status, &none);
}

/* --- the anchors table ---------------------------------------------------- */

/* A task's lent string is at its slot's odd key, the waiting one after it; a
 * file that it waits for is at the slot's negative. */
void lh_task_anchor(struct lh_task *task, lua_State *L, int index, bool waiting)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, task->slot * 2 - !waiting);
    lua_pop(L, 1);
    task->anchored = true;
}

void lh_task_anchor_file(struct lh_task *task, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, -task->slot);
    lua_pop(L, 1);
    task->anchored = true;
}

void lh_task_push_file(const struct lh_task *task, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    lua_rawgeti(L, -1, -task->slot);
    lua_remove(L, -2);
}

/* Assigning nil to a key that is not there could allocate. */
static void clear_key(lua_State *L, int key)
{
    lua_rawgeti(L, -1, key);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!there)
        return;
    lua_pushnil(L);
    lua_rawseti(L, -2, key);
}

static void release_anchors(struct lh_task *task, lua_State *L)
{
    if (!task->anchored || (task->ex && task->ex->response.lent_n) ||
        (task->wait && (task->wait->keeps_handle || task->wait->keeps_data)))
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    clear_key(L, task->slot * 2 - 1);
    clear_key(L, task->slot * 2);
    clear_key(L, -task->slot);
    lua_pop(L, 1);
    task->anchored = false;
}

/* --- the end of a task ---------------------------------------------------- */

void lh_task_let_go(struct lh_task *task)
{
    struct lh_exchange *ex = task->ex;

    task->ex = NULL;
    lh_exchange_let_go_handler(ex);
}

static void keep_input(struct lh_task *task)
{
    struct lh_vm *vm = task->vm;
    struct lh_input in = task->input;

    task->input = (struct lh_input){.p = NULL};
    if (vm->spare_input.p || in.room > SPARE_INPUT_BYTES) {
        lh_free(in.p);
        return;
    }
    in.at = in.n = 0;
    vm->spare_input = in;
}

/* What was started is cancelled, once. */
static void cancel_wait(struct lh_task *task)
{
    if (task->wait_step != LH_WAIT_STARTED)
        return;
    lh_timer_disarm(&task->timer);
    task->wait_step = LH_WAIT_OVER;
    if (task->wait->cancel)
        task->wait->cancel(task);
}

void lh_task_end_wait(struct lh_task *task)
{
    cancel_wait(task);
    task->wait = NULL;
    task->wait_step = LH_WAIT_NONE;
}

static void retire(struct lh_task *task)
{
    struct lh_vm *vm = task->vm;

    lh_task_end_wait(task);
    lh_process_task_ended(task);
    if (task->ex)
        lh_task_let_go(task);
    keep_input(task);
    lh_list_remove(&task->link);
    lh_list_remove(&task->ready_link);
    task->state = LH_TASK_IDLE;
    vm->tasks_n--;
    vm->ctx->counters.tasks--;
    vm->idle_coroutines += task->co != NULL;
    /* Before the first, or after the last. */
    lh_list_append(task->co ? vm->idle.next : &vm->idle, &task->link);
}

/* The handler has returned or failed; what it lent may be on its way still. */
static void end(struct lh_task *task, lua_State *L)
{
    lh_task_end_wait(task);
    lh_process_task_ended(task);
    if (task->ex && task->ex->response.lent_n && !task->ex->gone) {
        task->state = LH_TASK_DRAINING;
        return;
    }
    if (task->ex)
        lh_task_let_go(task);
    release_anchors(task, L);
    retire(task);
}

static void drop_coroutine(struct lh_task *task, lua_State *L)
{
    if (!task->co)
        return;
    task->co = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->threads);
    clear_key(L, task->slot);
    lua_pop(L, 1);
}

static void end_well(struct lh_task *task, lua_State *L)
{
    struct lh_exchange *ex = task->ex;

    lua_settop(task->co, 0);
    /* What a script can leave in a coroutine it is not given again. */
    if (task->vm->idle_coroutines >= IDLE_COROUTINES_MAX || task->exposed ||
        lh_lua_keeps_hook(L, task->co))
        drop_coroutine(task, L);
    if (ex) {
        /* Only this status is not what the exchange answers by itself, which
         * may also be that the body was too large or too slow. */
        if (task->handler == task->vm->not_found &&
            lh_task_start_response(task))
            lh_exchange_fail(ex, 500);
        lh_exchange_end(ex);
    }
    end(task, L);
}

void lh_task_fail(struct lh_task *task, struct lh_str message)
{
    struct lh_context *ctx = task->vm->ctx;
    lua_State *L = task->vm->L;

    if (lh_log_rates_allow(&ctx->log_rates, LH_LOG_FAILURES, ctx->now_ms))
        lh_task_log(task->vm, task, LHTTPD_LOG_ERROR, message);
    drop_coroutine(task, L);
    lh_task_end_wait(task);
    if (task->ex)
        lh_exchange_fail(task->ex, 500);
    end(task, L);
}

void lh_task_free(struct lh_task *task)
{
    if (task->state != LH_TASK_IDLE) {
        if (task->ex)
            lh_exchange_unlend(task->ex);
        task->co = NULL;
        retire(task);
    }
    lh_list_remove(&task->link);
    lh_free(task->input.p);
    lh_free(task);
}

/* --- the log -------------------------------------------------------------- */

const char *lh_version_text(enum lh_http_version version)
{
    switch (version) {
    case LH_HTTP_1_0:
        return "HTTP/1.0";
    case LH_HTTP_1_1:
        return "HTTP/1.1";
    case LH_HTTP_2:
        break;
    }
    return "HTTP/2";
}

static struct lh_str request_line(const struct lh_request *r,
                                  char to[REQUEST_TEXT_BYTES])
{
    const struct lh_str parts[] = {r->method, LH_STR(" "), r->target,
                                   LH_STR(" "),
                                   lh_str_of(lh_version_text(r->version))};
    size_t n = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t room = REQUEST_TEXT_BYTES - n;
        size_t part = parts[i].n < room ? parts[i].n : room;
        if (part)
            memcpy(to + n, parts[i].p, part);
        n += part;
    }
    return (struct lh_str){to, n};
}

void lh_task_log(const struct lh_vm *vm, const struct lh_task *task,
                 lhttpd_log_level_t level, struct lh_str message)
{
    struct lh_log_about about = {.script = vm->name};
    char line[REQUEST_TEXT_BYTES];

    if (task && task->ex) {
        about.request = request_line(&task->ex->request, line);
        about.client = task->ex->peer->client_addr;
    }
    lh_log_text(vm->ctx->log, level, &about, message);
}

/* The error object at the top becomes a message; behind it the traceback of the
 * coroutine that has passed it on, if coroutine.wrap did. */
static void push_message(lua_State *L, const struct lh_vm *vm)
{
    int error = lua_gettop(L);

    if (!lua_isstring(L, error) && luaL_callmeta(L, error, "__tostring"))
        lua_insert(L, error + 1);
    else
        lua_pushvalue(L, error);
    if (!lua_tostring(L, error + 1)) {
        lua_pushfstring(L, "the error is a %s value", luaL_typename(L, error));
        lua_replace(L, error + 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->failure);
    lua_rawgeti(L, -1, 1);
    if (!lua_isnil(L, error) && lua_rawequal(L, -1, error)) {
        lua_rawgeti(L, error + 2, 2);
        lua_replace(L, error + 2);
        lua_pushliteral(L, "\n");
        lua_replace(L, error + 3);
        lua_insert(L, error + 2);
        lua_concat(L, 3);
    }
    lua_settop(L, error + 1);
    lua_replace(L, error);
}

/* Called with the coroutine; its error object is the coroutine's top.  Returns
 * the message with a traceback, where it has none yet. */
static int describe(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    const struct lh_vm *vm = lua_touserdata(L, 2);

    lua_xmove(co, L, 1);
    if (lh_lua_is_described(co))
        return 1;
    push_message(L, vm);
    lh_lua_traceback(L, co);
    return 1;
}

/* Lua 5.4's handlers run inside this one, see lh_lua_give(). */
static int describe_here(lua_State *L)
{
    lua_settop(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.vm");
    const struct lh_vm *vm = lua_touserdata(L, 2);
    lua_settop(L, 1);
    push_message(L, vm);
    lh_lua_traceback(L, L);
    return 1;
}

static int protect(lua_State *L)
{
    return lh_lua_protect(L, describe_here);
}

static void failed(struct lh_task *task, lua_State *L)
{
    struct lh_str message = LH_STR("not enough memory");

    lua_pushcfunction(L, describe);
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
    /* Before drop_coroutine: it may run what the script left to be closed. */
    lh_lua_abandon(task->co);
    lh_task_fail(task, message);
    lua_pop(L, 1);
}

/* --- running -------------------------------------------------------------- */

static void wait_begins(struct lh_task *task)
{
    struct lh_context *ctx = task->vm->ctx;

    task->state = LH_TASK_WAITING;
    task->wait_step = LH_WAIT_STARTED;
    task->timed_out = false;
    if (task->wait_ms != LH_NEVER)
        lh_timer_arm(&ctx->timers, &task->timer,
                     lh_deadline(ctx->now_ms, task->wait_ms));
    if (task->wait->start)
        task->wait->start(task);
}

/* It is not resumed any more. */
static void abandon(struct lh_task *task, lua_State *L)
{
    struct lh_str message;

    lua_pushliteral(L, LH_GONE_TEXT);
    lh_lua_traceback(L, task->co);
    message.p = lua_tolstring(L, -1, &message.n);
    task->vm->current = NULL;
    lh_lua_abandon(task->co);
    lh_task_fail(task, message);
    lua_pop(L, 1);
}

/* --- a coroutine.yield() by the handler itself ---------------------------- */

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

/* Nobody waits for what it does, and it does not end. */
static bool yields_for_ever(struct lh_task *task)
{
    bool alone = task->cut || (task->ex && task->ex->gone);
    unsigned most = task->cut ? LH_DEAD_ENDS_MAX : IDLE_YIELDS_MAX;

    return alone && ++task->idle_yields >= most;
}

/* Whatever call it had begun never reached the worker. */
static void wait_for_turn(struct lh_task *task)
{
    lh_task_end_wait(task);
    task->wait = &yield_wait;
    task->wait_ms = LH_NEVER;
    wait_begins(task);
}

static void yielded(struct lh_task *task, lua_State *L, int results)
{
    lua_State *co = task->co;
    bool ours = results > 0 && lua_touserdata(co, -results) == lh_api_tag();

    lua_pop(co, results);
    if (!ours || !task->wait) {
        if (yields_for_ever(task))
            abandon(task, L);
        else
            wait_for_turn(task);
    } else if (task->wait->ends_task) {
        abandon(task, L);
    } else {
        wait_begins(task);
    }
}

static void resume(struct lh_task *task, lua_State *L, int args)
{
    struct lh_vm *vm = task->vm;
    int results = 0, status;

    task->state = LH_TASK_RUNNING;
    vm->nested = 0;
    status = lh_lua_resume(task->co, L, args, &results);
    lh_lua_unhook(L, vm->hook_mask);
    if (status == LUA_YIELD)
        yielded(task, L, results);
    else if (lh_lua_has_failed(status, results))
        failed(task, L);
    else
        end_well(task, L);
}

/* From here on what allocates may run a script's finalizer.  The run lasts
 * until the next task's or the VM's turn ends: what follows a handler, as
 * describing its error, may call the script too. */
static void run_begins(struct lh_task *task)
{
    const struct lh_vm *vm = task->vm;

    task->resumed_ms = vm->ctx->resumed_ms = lh_clock_ms();
    lh_running_begin(&vm->ctx->running, vm->name, vm->known[task->handler].what,
                     vm->ctx->resumed_ms);
}

static void begin(struct lh_task *task, lua_State *L)
{
    if (task->ex->gone) {
        /* Nobody waits for the answer, and nothing was begun. */
        end(task, L);
        return;
    }
    run_begins(task);
    if (!task->co) {
        lua_State *co = lua_newthread(L);
        lua_rawseti(L, LH_AT_THREADS, task->slot);
        task->co = co;
    }
    int arguments = task->vm->known[task->handler].arguments;
    lua_rawgeti(L, LH_AT_HANDLERS, task->handler + 1);
    if (arguments > 0) {
        lh_env_push(L, task);
        task->env = lua_topointer(L, -1);
    }
    if (arguments > 1)
        lh_header_push(L, task);
    lh_lua_give(L, task->co, arguments, protect);
    resume(task, L, arguments + LH_LUA_54);
}

static void look(struct lh_task *task, lua_State *L)
{
    task->outcome = task->wait->poll(task, L);
    if (task->outcome == LH_OUTCOME_PENDING)
        return;
    run_begins(task);
    if (!task->on_file)
        task->moved_bytes = 0;
    cancel_wait(task);
    if (!task->wait->finish)
        lh_task_end_wait(task);
    resume(task, L, 0);
}

void lh_task_run(struct lh_task *task, lua_State *L)
{
    release_anchors(task, L);
    switch (task->state) {
    case LH_TASK_IDLE:
    case LH_TASK_RUNNING:
        break;
    case LH_TASK_NEW:
        begin(task, L);
        break;
    case LH_TASK_WAITING:
        look(task, L);
        break;
    case LH_TASK_DRAINING:
        end(task, L);
        break;
    }
}
