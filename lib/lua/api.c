/*
 * What the functions of the httpd module share: errors, arguments, the begin
 * of a wait, answers.  See api.h; docs/lua-api.md is the contract.
 */
#include "lua/api.h"
#include "lua/gc.h"

#include "os/clock.h"
#include "os/error.h"

#include <math.h>
#include <stdarg.h>

/* How far up the stack a script's line is looked for. */
#define LEVELS_MAX 16

static const char tag, refused_mark;

void *lh_api_tag(void)
{
    return (void *)(uintptr_t)&tag;
}

void *lh_api_refused(void)
{
    return (void *)(uintptr_t)&refused_mark;
}

void lh_api_register(lua_State *L, struct lh_vm *vm, const luaL_Reg *functions)
{
    for (; functions->name; functions++) {
        lua_pushlightuserdata(L, vm);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
}

void lh_api_push_kind(lua_State *L, struct lh_vm *vm, const luaL_Reg *meta,
                      const char *name)
{
    lua_newtable(L);
    lh_api_register(L, vm, meta);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
}

void *lh_api_object(lua_State *L, int index, int meta)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, meta);
    bool is = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return is ? lua_touserdata(L, index) : NULL;
}

/* An answer, not an error: one that left a finalizer would end whatever it has
 * interrupted. */
int lh_api_refuse(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "not in a finalizer");
    return 2;
}

/* --- errors --------------------------------------------------------------- */

/* Finds the innermost frame of the script itself. */
static bool script_frame(lua_State *L, lua_Debug *ar)
{
    for (int level = 1; level < LEVELS_MAX && lua_getstack(L, level, ar);
         level++) {
        lua_getinfo(L, "Sl", ar);
        if (ar->currentline > 0 && strcmp(ar->source, "=httpd") != 0)
            return true;
    }
    return false;
}

static int script_line(lua_State *L, int level)
{
    lua_Debug ar;

    /* The line alone is the cheapest to get. */
    if (lua_getstack(L, level, &ar)) {
        lua_getinfo(L, "l", &ar);
        if (ar.currentline > 0)
            return ar.currentline;
    }
    return script_frame(L, &ar) ? ar.currentline : 0;
}

void lh_api_note_line(lua_State *L, struct lh_task *task, int level)
{
    if (task->known->notes_line && !task->header_line)
        task->header_line = script_line(L, level);
}

void lh_api_push_place(lua_State *L)
{
    lh_api_push_place_of(L, L);
}

/* As error() puts it before a message.  A coroutine that does not run must not
 * allocate, since nobody would catch its error. */
void lh_api_push_place_of(lua_State *L, lua_State *co)
{
    lua_Debug ar;

    if (script_frame(co, &ar))
        lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
    else
        lua_pushliteral(L, "");
}

int lh_api_error(lua_State *L, const char *format, ...)
{
    va_list args;

    lh_api_push_place(L);
    va_start(args, format);
    lua_pushvfstring(L, format, args);
    va_end(args);
    lua_concat(L, 2);
    return lua_error(L);
}

/* What it is called; this may push that. */
static const char *kind_of(lua_State *L, int index)
{
    if (lua_isnone(L, index))
        return "no value";
    if (lua_type(L, index) == LUA_TUSERDATA &&
        luaL_getmetafield(L, index, "__name") && lua_type(L, -1) == LUA_TSTRING)
        return lua_tostring(L, -1);
    return luaL_typename(L, index);
}

int lh_api_argument_error(lua_State *L, int index, const char *function,
                          const char *expected)
{
    return lh_api_error(L, "bad argument #%d to '%s' (%s expected, got %s)",
                        index, function, expected, kind_of(L, index));
}

/* --- arguments ------------------------------------------------------------ */

static bool is_listed(const char *name, const char *const *names)
{
    while (*names && strcmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

bool lh_api_options(lua_State *L, int index, const char *function,
                    const char *const *names)
{
    if (lua_isnoneornil(L, index))
        return false;
    if (!lua_istable(L, index))
        lh_api_argument_error(L, index, function, "table");
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            lh_api_error(L, "%s: an option that is no name", function);
        if (!is_listed(lua_tostring(L, -2), names))
            lh_api_error(L, "%s: there is no option '%s'", function,
                         lua_tostring(L, -2));
    }
    return true;
}

static const char *const too_long =
    "the handler ran for too long without a pause";

const char *lh_api_gone_text(const struct lh_task *task)
{
    if (task->cut)
        return "the time to stop is over, and the handler does not look";
    if (task->spawned || task->job)
        return "a function beside handlers has no client, and this one does "
               "not look";
    return "the client is gone, and the handler does not look";
}

static const char *end_text(const struct lh_task *task)
{
    return task->overran ? too_long : lh_api_gone_text(task);
}

/* A hook, called with each step of a handler that is to end. */
static void raise_again(lua_State *L, lua_Debug *ar)
{
    const struct lh_vm *vm;

    (void)ar;
    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.vm");
    vm = lua_touserdata(L, -1);
    lua_pop(L, 1);
    lh_api_error(L, "%s", vm->current ? end_text(vm->current) : too_long);
}

/* Ends a handler that cannot be left alone where it is, as by not resuming it:
 * this raises, and again with each step that the handler takes before it has
 * ended, so that nothing is gained by catching it. */
static int end_by_error(lua_State *L, const struct lh_task *task)
{
    lua_sethook(L, raise_again, LUA_MASKCOUNT, 1);
    lua_sethook(task->co, raise_again, LUA_MASKCOUNT, 1);
    return lh_api_error(L, "%s", end_text(task));
}

/* The first call after too long a stretch is logged and raises, so that a
 * script which never waits learns that it holds up others. */
static void check_time(lua_State *L, struct lh_task *task, const char *function)
{
    struct lh_context *ctx = task->vm->ctx;
    uint64_t ran_ms = lh_clock_ms() - task->resumed_ms;

    if (ran_ms <= ctx->limits->handler_run_ms)
        return;
    if (!task->overran &&
        lh_log_rates_allow(&ctx->log_rates, LH_LOG_OVERRUNS, ctx->now_ms))
        lh_task_log(task->vm, task, LHTTPD_LOG_WARNING,
                    LH_STR("the handler ran for longer than handler_run_ms "
                           "without a pause"));
    task->overran = true;
    if (++task->dead_ends >= LH_DEAD_ENDS_MAX)
        end_by_error(L, task);
    lh_api_error(L, "%s: %s", function, too_long);
}

/* Each function of a request begins with this. */
struct lh_task *lh_api_task(lua_State *L, const char *function)
{
    const struct lh_vm *vm = lh_vm_of(L);
    struct lh_task *task = vm->current;

    if (!lh_gc_runs_script(L, vm))
        return NULL;
    if (!task)
        lh_api_error(L, "%s: there is no request here", function);
    check_time(L, task, function);
    return task;
}

/* Fractions are rounded up: nobody is woken too early.  More than some 30,000
 * years are for ever. */
uint64_t lh_api_timeout(lua_State *L, int index, const char *function)
{
    double seconds;

    if (lua_isnoneornil(L, index))
        return LH_NEVER;
    if (lua_type(L, index) != LUA_TNUMBER)
        lh_api_argument_error(L, index, function, "number");
    seconds = (double)lua_tonumber(L, index);
    if (!(seconds >= 0))
        lh_api_error(L, "bad argument #%d to '%s' (a time is not negative)",
                     index, function);
    return seconds < 1e12 ? (uint64_t)ceil(seconds * 1000) : LH_NEVER;
}

/* Gives a whole number its text; 5.4's floats would end in ".0", and the others
 * write large ones with an exponent. */
static void whole_number(lua_State *L, int index)
{
    double x = (double)lua_tonumber(L, index);
    char text[24] = "-";
    size_t n = x < 0;

    if (floor(x) != x || fabs(x) > 9e15)
        return;
    n += lh_u64_to_dec(text + n, (uint64_t)fabs(x));
    lua_pushlstring(L, text, n);
    lua_replace(L, index);
}

const char *lh_api_text(lua_State *L, int index, size_t *n)
{
    int type = lua_type(L, index);

    if (type == LUA_TNUMBER)
        whole_number(L, index);
    else if (type != LUA_TSTRING)
        return NULL;
    return lua_tolstring(L, index, n);
}

struct lh_str lh_api_string(lua_State *L, int index, const char *function)
{
    struct lh_str s = {NULL, 0};

    s.p = lh_api_text(L, index, &s.n);
    if (!s.p)
        lh_api_argument_error(L, index, function, "string");
    return s;
}

/* --- errors of the system ------------------------------------------------- */

void lh_api_note_error(const struct lh_vm *vm, int error)
{
    if (error == LH_SYS_EMFILE || error == LH_SYS_ENFILE)
        vm->ctx->wants_collection = true;
}

int lh_api_path_error(lua_State *L, const char *path, int error)
{
    const char *text = error == LH_SYS_EPIPE ? "closed" : lh_sys_text(error);

    lh_api_note_error(lh_vm_of(L), error);
    lua_pushnil(L);
    if (path)
        lua_pushfstring(L, "%s: %s", path, text);
    else
        lua_pushstring(L, text);
    lua_pushinteger(L, -error);
    return 3;
}

int lh_api_system_error(lua_State *L, int error)
{
    return lh_api_path_error(L, NULL, error);
}

/* --- waiting -------------------------------------------------------------- */

static enum lh_outcome poll_turn(struct lh_task *task, lua_State *L)
{
    (void)L;
    (void)task;
    return LH_OUTCOME_CLOSED;
}

/* The call's own answer was counted when the wait began. */
static int finish_turn(lua_State *L, struct lh_task *task)
{
    (void)task;
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
}

/* For the other tasks to have had their turn. */
static const struct lh_wait turn_wait = {
    .poll = poll_turn,
    .start = lh_task_ready,
    .finish = finish_turn,
};

/* For nothing any more. */
static const struct lh_wait last_wait = {
    .poll = poll_turn,
    .finish = finish_turn,
    .ends_task = true,
};

/* The tag tells boot.lua to suspend the coroutine. */
static int note_wait(lua_State *L, struct lh_task *task,
                     const struct lh_wait *wait, uint64_t timeout_ms)
{
    lh_task_note_wait(task, wait, timeout_ms);
    lua_pushlightuserdata(L, lh_api_tag());
    return 1;
}

/* The second time it lets others run; a handler that does not look at answers
 * is not resumed any more, which it cannot catch as it could an error. */
static int answer_closed(lua_State *L, struct lh_task *task)
{
    bool ends = ++task->dead_ends >= LH_DEAD_ENDS_MAX;
    bool begins = task->wait == NULL;

    if (begins && task->dead_ends > 1 && lh_lua_can_yield(L))
        return note_wait(L, task, ends ? &last_wait : &turn_wait, LH_NEVER);
    if (begins && ends)
        return end_by_error(L, task);
    lua_pushnil(L);
    lua_pushliteral(L, "closed");
    return 2;
}

/* Of a call without a result of its own: true, or nil and what docs/lua-api.md
 * says of it. */
int lh_api_answer(lua_State *L, struct lh_task *task, enum lh_outcome outcome)
{
    switch (outcome) {
    case LH_OUTCOME_PENDING:
    case LH_OUTCOME_DONE:
        lua_pushboolean(L, 1);
        return 1;
    case LH_OUTCOME_CLOSED:
        return answer_closed(L, task);
    case LH_OUTCOME_TIMEOUT:
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    case LH_OUTCOME_STOPPING:
        task->told = true;
        lua_pushnil(L);
        lua_pushliteral(L, "stopping");
        return 2;
    case LH_OUTCOME_TOO_LARGE:
        lua_pushnil(L);
        lua_pushliteral(L, "too large");
        return 2;
    case LH_OUTCOME_MALFORMED:
        lua_pushnil(L);
        lua_pushliteral(L, "malformed");
        return 2;
    case LH_OUTCOME_ERROR:
        return lh_api_system_error(L, task->error);
    case LH_OUTCOME_MEMORY:
        break;
    }
    return lh_api_error(L, "not enough memory");
}

bool lh_api_stops(const struct lh_task *task)
{
    return task->vm->stopping && !task->told && task->timeout_ms != LH_NEVER;
}

/* A wait that had begun and never reached the worker is forgotten. */
int lh_api_begin(lua_State *L, struct lh_task *task, const struct lh_wait *wait,
                 uint64_t timeout_ms)
{
    lh_task_end_wait(task);
    task->timed_out = false;
    task->outcome = wait->poll(task, L);
    if (task->outcome != LH_OUTCOME_PENDING)
        return wait->finish(L, task);
    if (wait->keeps_handle)
        lh_task_anchor_file(task, L);
    if (wait->keeps_data)
        lh_task_anchor(task, L, 2, true);
    return note_wait(L, task, wait, timeout_ms);
}

int lh_api_finish(lua_State *L, struct lh_task *task)
{
    return lh_api_answer(L, task, task->outcome);
}

enum lh_outcome lh_api_body_outcome(enum lh_body_state state)
{
    switch (state) {
    case LH_BODY_OPEN:
        return LH_OUTCOME_PENDING;
    case LH_BODY_ENDED:
        return LH_OUTCOME_DONE;
    case LH_BODY_CLOSED:
        return LH_OUTCOME_CLOSED;
    case LH_BODY_TIMEOUT:
        return LH_OUTCOME_TIMEOUT;
    case LH_BODY_TOO_LARGE:
        return LH_OUTCOME_TOO_LARGE;
    case LH_BODY_MALFORMED:
        return LH_OUTCOME_MALFORMED;
    }
    return LH_OUTCOME_CLOSED;
}
