/*
 * httpd.serve_file: a file answers the request, as one of a mapped directory
 * does (files/files.h).  What is said of it lives in the exchange's arena, as
 * long as the answer does.
 */
#include "lua/api_field.h"

#include "files/files.h"
#include "http/escape.h"

/* What a script may say of a file, as it is read. */
struct wanted {
    lua_State *L;
    struct lh_arena *arena;
    struct lh_files_options *options;
};

static const char function[] = "httpd.serve_file";

static int lacks_memory(const struct wanted *w)
{
    return lh_api_error(w->L, "not enough memory");
}

/* --- options -------------------------------------------------------------- */

static void wrong_type(const struct wanted *w, const char *name,
                       const char *expected)
{
    lh_api_error(w->L, "%s: the option '%s' is a %s, not a %s", function, name,
                 luaL_typename(w->L, -1), expected);
}

/* The value at the top as a string with an end mark, which stays. */
static struct lh_str take_string(const struct wanted *w, const char *name)
{
    struct lh_str s = {NULL, 0};

    if (lua_type(w->L, -1) != LUA_TSTRING)
        wrong_type(w, name, "string");
    s.p = lua_tolstring(w->L, -1, &s.n);
    if (strlen(s.p) != s.n)
        lh_api_error(w->L, "%s: the option '%s' has a zero byte", function,
                     name);
    s = lh_arena_copy(w->arena, s.p, s.n + 1);
    if (!s.p)
        lacks_memory(w);
    s.n--;
    return s;
}

static struct lh_str take_field(const struct wanted *w, const char *name)
{
    struct lh_str s = take_string(w, name);

    if (!lh_field_value_valid(s))
        lh_api_error(w->L, "%s: the option '%s' is no field's value", function,
                     name);
    return s;
}

static bool take_switch(const struct wanted *w, const char *name)
{
    if (lua_type(w->L, -1) != LUA_TBOOLEAN)
        wrong_type(w, name, "boolean");
    return lua_toboolean(w->L, -1);
}

static bool is_plain_name(char c)
{
    char lower = lh_lower(c);

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

/* The name twice (RFC 6266): for clients that know UTF-8, and for others. */
static struct lh_str disposition(const struct wanted *w, struct lh_str name)
{
    char *plain = lh_arena_alloc(w->arena, name.n);
    char *encoded = lh_arena_alloc(w->arena, name.n * 3);
    size_t n = 0;

    if (!plain || !encoded)
        lacks_memory(w);
    for (size_t i = 0; i < name.n; i++) {
        plain[i] = '_';
        if (is_plain_name(name.p[i]) || name.p[i] == ' ')
            plain[i] = name.p[i];
        if (is_plain_name(name.p[i])) {
            encoded[n++] = name.p[i];
            continue;
        }
        lh_escape_octet(encoded + n, name.p[i]);
        n += 3;
    }
    struct lh_str parts[] = {LH_STR("attachment; filename=\""),
                             {plain, name.n},
                             LH_STR("\"; filename*=UTF-8''"),
                             {encoded, n}};
    return lh_arena_join(w->arena, parts, 4);
}

static void take_download(const struct wanted *w)
{
    if (lua_type(w->L, -1) == LUA_TBOOLEAN) {
        if (lua_toboolean(w->L, -1))
            w->options->disposition = LH_STR("attachment");
        return;
    }
    w->options->disposition = disposition(w, take_string(w, "download"));
    if (!w->options->disposition.p)
        lacks_memory(w);
}

static void take_status(const struct wanted *w)
{
    lua_Number n = lua_tonumber(w->L, -1);

    if (lua_type(w->L, -1) != LUA_TNUMBER)
        wrong_type(w, "status", "number");
    if (!(n >= 200 && n <= 599) || (lua_Number)(unsigned)n != n)
        lh_api_error(w->L, "%s: the option 'status' is none from 200 to 599",
                     function);
    w->options->status = (unsigned)n;
}

static void take_index(const struct wanted *w)
{
    if (lua_type(w->L, -1) == LUA_TBOOLEAN && !lua_toboolean(w->L, -1)) {
        w->options->index = NULL;
        return;
    }
    w->options->index = take_string(w, "index").p;
    if (strchr(w->options->index, '/'))
        lh_api_error(w->L, "%s: the option 'index' has a slash", function);
}

/* --- further fields ------------------------------------------------------- */

/* What the answer says itself: some have an option of their own, and framing is
 * the server's. */
static const struct lh_str own_fields[] = {
    LH_STR("accept-ranges"),       LH_STR("cache-control"),
    LH_STR("content-disposition"), LH_STR("content-encoding"),
    LH_STR("content-length"),      LH_STR("content-range"),
    LH_STR("content-type"),        LH_STR("etag"),
    LH_STR("last-modified"),       LH_STR("transfer-encoding"),
};

static bool is_own_field(struct lh_str name)
{
    for (size_t i = 0; i < sizeof(own_fields) / sizeof(own_fields[0]); i++)
        if (lh_str_equal_nocase(name, own_fields[i]))
            return true;
    return false;
}

static struct lh_str further_name(const struct lh_api_fields *to, int index)
{
    struct lh_str name = lh_api_field_name(to, index);

    lh_api_check_field_name(to, name);
    if (is_own_field(name))
        lh_api_error(to->L, "%s: the field '%s' is the answer's own", function,
                     name.p);
    return name;
}

/* The table at the top. */
static void take_fields(const struct wanted *w)
{
    struct lh_api_fields to = {w->L, function, w->arena, &w->options->fields};
    int table = lua_gettop(w->L);

    if (!lua_istable(w->L, table))
        wrong_type(w, "fields", "table");
    lua_pushnil(w->L);
    while (lua_next(w->L, table)) {
        lh_api_add_field(&to, further_name(&to, table + 1), table + 2);
        lua_settop(w->L, table + 1);
    }
}

/* --- all of them ---------------------------------------------------------- */

/* The option whose name is at -2 and whose value is at -1. */
static void take_option(const struct wanted *w)
{
    struct lh_files_options *options = w->options;
    const char *name =
        lua_type(w->L, -2) == LUA_TSTRING ? lua_tostring(w->L, -2) : "?";

    if (strcmp(name, "root") == 0)
        options->directory = take_string(w, name).p;
    else if (strcmp(name, "type") == 0)
        options->type = take_field(w, name);
    else if (strcmp(name, "cache_control") == 0)
        options->cache_control = take_field(w, name);
    else if (strcmp(name, "download") == 0)
        take_download(w);
    else if (strcmp(name, "index") == 0)
        take_index(w);
    else if (strcmp(name, "listing") == 0)
        options->listing = take_switch(w, name);
    else if (strcmp(name, "compressed") == 0)
        options->compressed = take_switch(w, name);
    else if (strcmp(name, "fields") == 0)
        take_fields(w);
    else if (strcmp(name, "status") == 0)
        take_status(w);
    else
        lh_api_error(w->L, "%s: there is no option '%s'", function, name);
}

/* The table is the second argument. */
static struct lh_files_options *read_options(lua_State *L, struct lh_task *task)
{
    struct wanted w = {.L = L, .arena = &task->ex->arena};

    w.options = lh_arena_alloc(w.arena, sizeof(*w.options));
    if (!w.options)
        lacks_memory(&w);
    *w.options = (struct lh_files_options){.index = "index.html",
                                           .compressed = true,
                                           .media = task->vm->ctx->media};
    if (task->handler == task->vm->not_found)
        w.options->status = 404;
    lua_settop(L, 2);
    if (lua_isnil(L, 2))
        return w.options;
    if (!lua_istable(L, 2))
        lh_api_argument_error(L, 2, function, "table");
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        take_option(&w);
        lua_pop(L, 1);
    }
    return w.options;
}

/* --- the wait ------------------------------------------------------------- */

/* Nothing is opened before the tag has reached the worker. */
static enum lh_outcome poll_served(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (!task->serves)
        return LH_OUTCOME_PENDING;
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    if (!lh_serving_step(task->serving))
        return LH_OUTCOME_PENDING;
    return task->ex->gone ? LH_OUTCOME_CLOSED : LH_OUTCOME_DONE;
}

/* Usually the answer is whole with the first step. */
static void start_served(struct lh_task *task)
{
    task->serves = true;
    lh_task_ready(task);
}

static void cancel_served(struct lh_task *task)
{
    lh_serving_cancel(task->serving);
    task->serving = NULL;
    task->serves = false;
}

static int push_status(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    lua_pushinteger(L, (lua_Integer)task->ex->response.status);
    return 1;
}

static const struct lh_wait served_wait = {
    .poll = poll_served,
    .start = start_served,
    .cancel = cancel_served,
    .finish = push_status,
};

static void wake_served(struct lh_serving *s)
{
    lh_task_ready(lh_serving_owner(s));
}

/* serve_file_begin(path, options). */
static int serve_file_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, function);
    struct lh_str path = {NULL, 0};

    if (!task)
        return lh_api_refuse(L);
    if (lua_type(L, 1) != LUA_TSTRING)
        return lh_api_argument_error(L, 1, function, "string");
    path.p = lua_tolstring(L, 1, &path.n);
    if (!task->ex || task->ex->gone || task->cut)
        return lh_api_answer(L, task, LH_OUTCOME_CLOSED);
    if (task->ex->response.state != LH_RESPONSE_NONE)
        return lh_api_error(L, "%s: the response was begun before", function);
    const struct lh_files_options *options = read_options(L, task);
    task->serving = lh_serving_new(task->ex, options, path, wake_served, task);
    if (!task->serving)
        return lh_api_error(L, "not enough memory");
    lh_api_note_line(L, task, 2);
    task->serves = false;
    return lh_api_begin(L, task, &served_wait, LH_NEVER);
}

const luaL_Reg lh_serve_begins[] = {
    {"serve_file_begin", serve_file_begin},
    {NULL, NULL},
};
