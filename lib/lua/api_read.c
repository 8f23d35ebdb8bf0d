/*
 * httpd.read: the request's body.  Octets go from the exchange into the task's
 * input, as many as the call may use, and from there to the script, so that a
 * call that fails or times out loses nothing.
 */
#include "lua/api.h"
#include "lua/file.h"
#include "lua/gc.h"

#include "base/mem.h"

#include <math.h>

/* A line, or "a": more is "too large". */
#define TEXT_MAX ((size_t)1 << 20)

/* The most that a read without a length returns. */
#define SOME_BYTES ((size_t)64 << 10)

#define STEP_BYTES ((size_t)4 << 10)

size_t lh_input_bytes(const struct lh_input *in)
{
    return in->n - in->at;
}

bool lh_input_room(struct lh_input *in, size_t n)
{
    size_t room = in->room ? in->room : STEP_BYTES;

    if (in->at && in->room - in->n < n) {
        memmove(in->p, in->p + in->at, in->n - in->at);
        in->n -= in->at;
        in->at = 0;
    }
    while (room - in->n < n)
        room *= 2;
    if (room == in->room)
        return true;
    char *p = lh_realloc(in->p, room);
    if (!p)
        return false;
    in->p = p;
    in->room = room;
    return true;
}

/* Takes up to `n` octets out of the exchange. */
static bool pull(struct lh_task *task, size_t n)
{
    struct lh_input *in = &task->input;

    if (n > task->ex->body.n)
        n = task->ex->body.n;
    if (n == 0)
        return true;
    if (!lh_input_room(in, n))
        return false;
    in->n += lh_exchange_read(task->ex, in->p + in->n, n);
    return true;
}

/* The length of the line at the input's start, newline included; 0: none. */
static size_t line_length(const struct lh_input *in, size_t from)
{
    const char *start, *newline;

    if (lh_input_bytes(in) <= from)
        return 0;
    start = in->p + in->at;
    newline = memchr(start + from, '\n', lh_input_bytes(in) - from);
    return newline ? (size_t)(newline - start) + 1 : 0;
}

static bool pull_line(struct lh_task *task)
{
    size_t seen = 0;

    while (!line_length(&task->input, seen) && task->ex->body.n &&
           lh_input_bytes(&task->input) <= TEXT_MAX) {
        seen = lh_input_bytes(&task->input);
        if (!pull(task, STEP_BYTES))
            return false;
    }
    return true;
}

size_t lh_read_wants(const struct lh_task *task, const struct lh_input *in)
{
    size_t have = lh_input_bytes(in);

    switch (task->read_mode) {
    case LH_READ_BYTES:
        if (task->read_bytes == 0)
            return have ? 0 : STEP_BYTES;
        return have < task->read_bytes ? task->read_bytes - have : 0;
    case LH_READ_SOME:
        return have ? 0 : SOME_BYTES;
    case LH_READ_LINE:
    case LH_READ_LINE_END:
        return STEP_BYTES;
    case LH_READ_ALL:
        return have > TEXT_MAX ? 0 : TEXT_MAX + 1 - have;
    }
    return 0;
}

static bool wants_none(const struct lh_task *task)
{
    return task->read_mode == LH_READ_BYTES && task->read_bytes == 0;
}

static bool pull_wanted(struct lh_task *task)
{
    if (task->read_mode == LH_READ_LINE || task->read_mode == LH_READ_LINE_END)
        return pull_line(task);
    return wants_none(task) || pull(task, lh_read_wants(task, &task->input));
}

enum lh_outcome lh_read_enough(const struct lh_task *task,
                               const struct lh_input *in)
{
    size_t have = lh_input_bytes(in), line;
    bool done = false;

    if (have > SOME_BYTES && !lh_gc_allows(task->vm, have))
        return LH_OUTCOME_TOO_LARGE;
    switch (task->read_mode) {
    case LH_READ_BYTES:
        done = have && have >= task->read_bytes;
        break;
    case LH_READ_SOME:
        done = have > 0;
        break;
    case LH_READ_LINE:
    case LH_READ_LINE_END:
        line = line_length(in, 0);
        if (line ? line > TEXT_MAX : have > TEXT_MAX)
            return LH_OUTCOME_TOO_LARGE;
        done = line > 0;
        break;
    case LH_READ_ALL:
        if (have > TEXT_MAX)
            return LH_OUTCOME_TOO_LARGE;
        break;
    }
    return done ? LH_OUTCOME_DONE : LH_OUTCOME_PENDING;
}

/* What the call may have now without waiting for more. */
static enum lh_outcome have_enough(const struct lh_task *task)
{
    if (wants_none(task) && task->ex->body.n)
        return LH_OUTCOME_DONE;
    return lh_read_enough(task, &task->input);
}

static enum lh_outcome body_outcome(const struct lh_task *task)
{
    switch (task->ex->body_state) {
    case LH_BODY_OPEN:
        /* A client that sends no more may have sent all of it. */
        return task->cut ? LH_OUTCOME_CLOSED : LH_OUTCOME_PENDING;
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

static enum lh_outcome poll_body(struct lh_task *task, lua_State *L)
{
    enum lh_outcome outcome;

    (void)L;
    if (!task->ex)
        return LH_OUTCOME_CLOSED;
    if (!pull_wanted(task))
        return LH_OUTCOME_MEMORY;
    outcome = have_enough(task);
    if (outcome == LH_OUTCOME_PENDING)
        outcome = body_outcome(task);
    if (outcome == LH_OUTCOME_PENDING && task->timed_out)
        outcome = LH_OUTCOME_TIMEOUT;
    return outcome;
}

static void start_reading(struct lh_task *task)
{
    lh_exchange_release(task->ex);
    lh_exchange_want_body(task->ex, true);
}

static void stop_reading(struct lh_task *task)
{
    if (task->ex)
        lh_exchange_want_body(task->ex, false);
}

/* The first n octets as a string, of which `shown` are passed on. */
static int push_bytes(lua_State *L, struct lh_input *in, size_t n, size_t shown)
{
    lua_pushlstring(L, n ? in->p + in->at : "", shown);
    in->at += n;
    if (in->at == in->n)
        in->at = in->n = 0;
    return 1;
}

int lh_read_push(lua_State *L, const struct lh_task *task, struct lh_input *in)
{
    size_t n = lh_input_bytes(in), line;

    if (task->read_mode == LH_READ_ALL)
        return push_bytes(L, in, n, n);
    if (n == 0) {
        lua_pushnil(L);
        return 1;
    }
    if (task->read_mode == LH_READ_BYTES && n > task->read_bytes)
        n = task->read_bytes;
    if (task->read_mode == LH_READ_LINE ||
        task->read_mode == LH_READ_LINE_END) {
        line = line_length(in, 0);
        if (line)
            return push_bytes(L, in, line,
                              line - (task->read_mode == LH_READ_LINE));
    }
    return push_bytes(L, in, n, n);
}

static int push_body(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    if (wants_none(task) && task->ex->body.n) {
        lua_pushliteral(L, "");
        return 1;
    }
    return lh_read_push(L, task, &task->input);
}

static bool mode_from_name(struct lh_task *task, const char *name)
{
    if (*name == '*')
        name++;
    if (strcmp(name, "l") == 0)
        task->read_mode = LH_READ_LINE;
    else if (strcmp(name, "L") == 0)
        task->read_mode = LH_READ_LINE_END;
    else if (strcmp(name, "a") == 0)
        task->read_mode = LH_READ_ALL;
    else
        return false;
    return true;
}

void lh_read_mode(lua_State *L, struct lh_task *task)
{
    double n;

    if (lua_isnoneornil(L, 2)) {
        task->read_mode = LH_READ_SOME;
        return;
    }
    if (lua_type(L, 2) == LUA_TSTRING &&
        mode_from_name(task, lua_tostring(L, 2)))
        return;
    if (lua_type(L, 2) != LUA_TNUMBER)
        lh_api_argument_error(L, 2, "httpd.read", "number, 'l', 'L' or 'a'");
    n = (double)lua_tonumber(L, 2);
    if (!(n >= 0) || floor(n) != n || n > (double)(SIZE_MAX / 8))
        lh_api_error(L, "bad argument #2 to 'httpd.read' (not a length)");
    task->read_mode = LH_READ_BYTES;
    task->read_bytes = (size_t)n;
}

static const struct lh_wait read_wait = {
    .poll = poll_body,
    .start = start_reading,
    .cancel = stop_reading,
    .finish = push_body,
};

static int read_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.read");

    if (!task)
        return lh_api_refuse(L);
    if (lh_file_is_first(L))
        return lh_file_read_begin(L, task);
    lh_api_stream(L, "httpd.read");
    lh_read_mode(L, task);
    return lh_api_begin(L, task, &read_wait,
                        lh_api_timeout(L, 3, "httpd.read"));
}

const luaL_Reg lh_api_read_begins[] = {
    {"read_begin", read_begin},
    {NULL, NULL},
};
