/*
 * httpd.shared: values that all workers share.
 *
 * A key of the own worker is answered at once.  For any other one the handler
 * waits until its owner has answered.  The call then belongs to a struct asked,
 * which is bound to the task until it is answered and pushed; where the task is
 * gone before, it frees itself when the answer comes.
 */
#include "base/hub.h"
#include "base/mem.h"
#include "base/shared.h"
#include "lua/api.h"
#include "lua/gc.h"
#include "os/error.h"

struct lh_asked {
    struct lh_shared_call call; /* first */
    struct lh_bound bound;
    struct lh_task *task; /* NULL: it wants no answer any more */
    bool sent, answered;
};

/* --- arguments ------------------------------------------------------------ */

/* A number is its text, as everywhere. */
static struct lh_str key_argument(lua_State *L, const char *function)
{
    struct lh_str key = {NULL, 0};

    key.p = lh_api_text(L, 1, &key.n);
    if (!key.p)
        lh_api_argument_error(L, 1, function, "string");
    return key;
}

/* 5.3 and later tell integers from floats. */
static struct lh_value number_value(lua_State *L, int index)
{
    struct lh_value v = {.kind = LH_VALUE_NUMBER};

#if LH_LUA_53
    if (lua_isinteger(L, index)) {
        v.kind = LH_VALUE_INTEGER;
        v.integer = lua_tointeger(L, index);
        return v;
    }
#endif
    v.number = (double)lua_tonumber(L, index);
    return v;
}

/* nil is none. */
static struct lh_value value_argument(lua_State *L, int index,
                                      const char *function)
{
    struct lh_value v = {.kind = LH_VALUE_NONE};

    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        v.kind = LH_VALUE_TEXT;
        v.text.p = lua_tolstring(L, index, &v.text.n);
        return v;
    case LUA_TNUMBER:
        return number_value(L, index);
    case LUA_TBOOLEAN:
        v.kind = LH_VALUE_BOOLEAN;
        v.boolean = lua_toboolean(L, index) != 0;
        return v;
    case LUA_TNIL:
    case LUA_TNONE:
        return v;
    default:
        lh_api_argument_error(L, index, function, "string, number or boolean");
        return v;
    }
}

static struct lh_value number_argument(lua_State *L, int index,
                                       const char *function)
{
    if (lua_type(L, index) != LUA_TNUMBER)
        lh_api_argument_error(L, index, function, "number");
    return number_value(L, index);
}

/* --- answers -------------------------------------------------------------- */

/* Making a string may run finalizers, but none that changes the store. */
static int push_value(lua_State *L, const struct lh_value *v)
{
    switch (v->kind) {
    case LH_VALUE_NONE:
        lua_pushnil(L);
        break;
    case LH_VALUE_TEXT:
        lua_pushlstring(L, v->text.p, v->text.n);
        break;
    case LH_VALUE_NUMBER:
        lua_pushnumber(L, (lua_Number)v->number);
        break;
    case LH_VALUE_INTEGER:
#if LH_LUA_53
        lua_pushinteger(L, (lua_Integer)v->integer);
#else
        lua_pushnumber(L, (lua_Number)v->integer);
#endif
        break;
    case LH_VALUE_BOOLEAN:
        lua_pushboolean(L, v->boolean);
        break;
    }
    return 1;
}

static int push_keys(lua_State *L, const struct lh_shared_call *call)
{
    struct lh_str key;
    size_t at = 0;

    lua_newtable(L);
    for (int n = 1; lh_shared_next_key(call, &at, &key); n++) {
        lua_pushlstring(L, key.p, key.n);
        lua_rawseti(L, -2, n);
    }
    return 1;
}

/* A condition that a script is expected to look at. */
static int push_problem(lua_State *L, const char *text)
{
    lua_pushnil(L);
    lua_pushstring(L, text);
    return 2;
}

/* What an operation that went well gives. */
static int push_done(lua_State *L, const struct lh_shared_call *call)
{
    if (call->op == LH_SHARED_KEYS)
        return push_keys(L, call);
    if (call->op == LH_SHARED_GET || call->op == LH_SHARED_INCR)
        return push_value(L, &call->answer);
    lua_pushboolean(L, 1);
    return 1;
}

static int push_result(lua_State *L, const struct lh_shared_call *call)
{
    switch (call->result) {
    case LH_SHARED_OK:
        return push_done(L, call);
    case LH_SHARED_NO:
        lua_pushboolean(L, 0);
        return 1;
    case LH_SHARED_ABSENT:
        return push_problem(L, "not found");
    case LH_SHARED_NOT_NUMBER:
        return push_problem(L, "not a number");
    case LH_SHARED_TOO_LARGE:
        return push_problem(L, "too large");
    case LH_SHARED_STOPPING:
        return push_problem(L, "stopping");
    case LH_SHARED_MEMORY:
        break;
    }
    return lh_api_system_error(L, LH_SYS_ENOMEM);
}

/* --- while the script loads ----------------------------------------------- */

/* The VM keeps the answer until it is pushed, which may raise. */
static int ask_and_wait(lua_State *L, struct lh_vm *vm,
                        const struct lh_shared_call *what)
{
    struct lh_hub *hub = vm->ctx->hub;
    struct lh_shared_call answer;
    int r = hub->ask_and_wait(hub, what, &answer);

    if (r == LHTTPD_ESTATE)
        return push_problem(L, "stopping");
    if (r < 0)
        return lh_api_system_error(L, r == LHTTPD_ENOMEM ? LH_SYS_ENOMEM
                                                         : LH_SYS_EMFILE);
    lh_free(vm->loaded_answer);
    vm->loaded_answer = answer.octets;
    return push_result(L, &answer);
}

/* --- in a handler --------------------------------------------------------- */

/* Its task wants it no more, whatever becomes of it. */
static void forget_asked(struct lh_asked *a)
{
    lh_list_remove(&a->bound.link);
    a->task->asked = NULL;
    a->task = NULL;
    if (!a->sent || a->answered)
        lh_shared_call_free(&a->call);
}

/* The handler has ended in the midst of its wait, or before it could wait. */
static void asker_ended(struct lh_bound *bound)
{
    forget_asked(LH_OF(bound, struct lh_asked, bound));
}

/* On the worker's thread, between two turns of the script. */
static void on_answer(struct lh_shared_call *call)
{
    struct lh_asked *a = LH_OF(call, struct lh_asked, call);

    a->answered = true;
    if (a->task)
        lh_task_ready(a->task);
    else
        lh_shared_call_free(call);
}

/* Its answer is a matter of two turns, so neither a stop nor a client that has
 * gone ends the wait. */
static enum lh_outcome poll_answer(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (task->asked->answered)
        return LH_OUTCOME_DONE;
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* Not before the handler waits: where it cannot, nothing is done. */
static void send_call(struct lh_task *task)
{
    struct lh_context *ctx = task->vm->ctx;

    task->asked->sent = true;
    ctx->hub->ask_owner(ctx->hub, ctx, &task->asked->call);
}

/* Where pushing raises the call stays bound, and goes with the task. */
static int push_answer(lua_State *L, struct lh_task *task)
{
    struct lh_asked *a = task->asked;
    int results = task->outcome == LH_OUTCOME_DONE
                      ? push_result(L, &a->call)
                      : lh_api_answer(L, task, task->outcome);

    forget_asked(a);
    return results;
}

static const struct lh_wait answer_wait = {
    .poll = poll_answer,
    .start = send_call,
    .finish = push_answer,
};

/* The call is made before the wait begins, and sent once it has. */
static int ask_owner_of_key(lua_State *L, struct lh_task *task,
                            const struct lh_shared_call *what,
                            uint64_t timeout_ms)
{
    struct lh_shared_call *call =
        lh_shared_call_new(sizeof(struct lh_asked), what);

    if (task->asked)
        forget_asked(task->asked); /* of a call that could not wait */
    if (!call)
        return lh_api_system_error(L, LH_SYS_ENOMEM);
    struct lh_asked *a = LH_OF(call, struct lh_asked, call);
    call->on_answer = on_answer;
    a->bound.on_task_end = asker_ended;
    a->task = task;
    task->asked = a;
    lh_list_init(&a->bound.link);
    lh_list_append(&task->bound, &a->bound.link);
    return lh_api_begin(L, task, &answer_wait, timeout_ms);
}

/* `what` is complete; its strings are the script's. */
static int ask_shared(lua_State *L, struct lh_shared_call *what, int timeout,
                      const char *function)
{
    uint64_t timeout_ms = lh_api_timeout(L, timeout, function);
    struct lh_vm *vm = lh_vm_of(L);
    struct lh_hub *hub = vm->ctx->hub;

    if (!lh_gc_runs_script(L, vm))
        return lh_api_refuse(L);
    if (!hub)
        return lh_api_error(L, "%s: there is no server here", function);
    if (vm->loading)
        return ask_and_wait(L, vm, what);
    struct lh_task *task = lh_api_task(L, function);
    if (hub->ask_own(hub, vm->ctx, what))
        return push_result(L, what);
    return ask_owner_of_key(L, task, what, timeout_ms);
}

/* --- the functions -------------------------------------------------------- */

static int shared_get(lua_State *L)
{
    struct lh_shared_call what = {.op = LH_SHARED_GET};

    what.key = key_argument(L, "httpd.shared.get");
    return ask_shared(L, &what, 2, "httpd.shared.get");
}

/* set and add: key, value, seconds, time-out. */
static int write_shared(lua_State *L, enum lh_shared_op op,
                        const char *function)
{
    struct lh_shared_call what = {.op = op};

    what.key = key_argument(L, function);
    what.value = value_argument(L, 2, function);
    if (op == LH_SHARED_ADD && what.value.kind == LH_VALUE_NONE)
        lh_api_argument_error(L, 2, function, "string, number or boolean");
    what.live_ms = lh_api_timeout(L, 3, function);
    return ask_shared(L, &what, 4, function);
}

static int shared_set(lua_State *L)
{
    return write_shared(L, LH_SHARED_SET, "httpd.shared.set");
}

static int shared_add(lua_State *L)
{
    return write_shared(L, LH_SHARED_ADD, "httpd.shared.add");
}

/* incr(key, n, initial, timeout) */
static int shared_incr(lua_State *L)
{
    const char *function = "httpd.shared.incr";
    struct lh_shared_call what = {.op = LH_SHARED_INCR};

    what.key = key_argument(L, function);
    what.value = number_argument(L, 2, function);
    if (!lua_isnoneornil(L, 3))
        what.other = number_argument(L, 3, function);
    return ask_shared(L, &what, 4, function);
}

/* cas(key, old, new, timeout) */
static int shared_cas(lua_State *L)
{
    const char *function = "httpd.shared.cas";
    struct lh_shared_call what = {.op = LH_SHARED_CAS, .doubles = !LH_LUA_53};

    what.key = key_argument(L, function);
    what.other = value_argument(L, 2, function);
    what.value = value_argument(L, 3, function);
    return ask_shared(L, &what, 4, function);
}

static int shared_delete(lua_State *L)
{
    struct lh_shared_call what = {.op = LH_SHARED_DELETE};

    what.key = key_argument(L, "httpd.shared.delete");
    return ask_shared(L, &what, 2, "httpd.shared.delete");
}

static int shared_keys(lua_State *L)
{
    struct lh_shared_call what = {.op = LH_SHARED_KEYS};

    if (!lua_isnoneornil(L, 1))
        what.key = key_argument(L, "httpd.shared.keys");
    return ask_shared(L, &what, 2, "httpd.shared.keys");
}

const luaL_Reg lh_shared_begins[] = {
    {"shared_get", shared_get},   {"shared_set", shared_set},
    {"shared_add", shared_add},   {"shared_incr", shared_incr},
    {"shared_cas", shared_cas},   {"shared_delete", shared_delete},
    {"shared_keys", shared_keys}, {NULL, NULL},
};
