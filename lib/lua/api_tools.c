/*
 * The small tools of httpd: the log, random bytes, escaping, forms.
 *
 * None of them waits or needs a request, so they work in finalizers and while a
 * script loads too.  What a client can make large has a limit here.
 */
#include "base/num.h"
#include "http/escape.h"
#include "lua/api.h"
#include "lua/gc.h"

#include "os/entropy.h"

/* The most that one httpd.random gives. */
#define RANDOM_MAX_BYTES 65536

#define RANDOM_STEP_BYTES 256

/* Each pair of a query costs a table: what a client may ask for in one. */
#define QUERY_PAIRS_MAX 10000

/* --- the log -------------------------------------------------------------- */

static const struct {
    const char *name;
    lhttpd_log_level_t level;
} levels[] = {
    {"error", LHTTPD_LOG_ERROR},   {"warning", LHTTPD_LOG_WARNING},
    {"notice", LHTTPD_LOG_NOTICE}, {"info", LHTTPD_LOG_INFO},
    {"debug", LHTTPD_LOG_DEBUG},
};

/* A first argument that names a level is one, if something follows it. */
static lhttpd_log_level_t level_of(lua_State *L)
{
    if (lua_gettop(L) < 2 || lua_type(L, 1) != LUA_TSTRING)
        return LHTTPD_LOG_DEFAULT;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(lua_tostring(L, 1), levels[i].name) == 0)
            return levels[i].level;
    return LHTTPD_LOG_DEFAULT;
}

/* Pushes the value as tostring() would write it. */
static void push_text(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        lua_pushliteral(L, "nil");
        return;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        return;
    case LUA_TSTRING:
    case LUA_TNUMBER:
        lua_pushvalue(L, index);
        lua_tostring(L, -1);
        return;
    default:
        break;
    }
    if (luaL_callmeta(L, index, "__tostring")) {
        if (lua_isstring(L, -1))
            return;
        lua_pop(L, 1);
    }
    lua_pushfstring(L, "%s: %p", luaL_typename(L, index),
                    lua_topointer(L, index));
}

/* log([level,] ...): as print would write it, with the script's line before it.
 */
static int log_line(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    lhttpd_log_level_t level = level_of(L);
    struct lh_str text;
    int top = lua_gettop(L), first = level == LHTTPD_LOG_DEFAULT ? 1 : 2;
    lua_Debug ar;

    if (level == LHTTPD_LOG_DEFAULT)
        level = LHTTPD_LOG_NOTICE;
    if (!lh_log_wants(vm->ctx->log, level))
        return 0;
    luaL_checkstack(L, LUA_MINSTACK + 2 * top, "too many values");
    if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "Sl", &ar) &&
        ar.currentline > 0)
        lua_pushfstring(L, "%s:%d:", ar.short_src, ar.currentline);
    else
        lua_pushliteral(L, "");
    for (int i = first; i <= top; i++) {
        lua_pushliteral(L, " ");
        push_text(L, i);
    }
    lua_concat(L, 1 + 2 * (top - first + 1));
    text.p = lua_tolstring(L, -1, &text.n);
    lh_task_log(vm, lh_gc_runs_script(L, vm) ? vm->current : NULL, level, text);
    return 0;
}

/* --- random bytes --------------------------------------------------------- */

/* random(n): by the system, fit for secrets. */
static int random_bytes(lua_State *L)
{
    luaL_Buffer out;
    char step[RANDOM_STEP_BYTES];
    double wanted = (double)lua_tonumber(L, 1);

    if (lua_type(L, 1) != LUA_TNUMBER)
        return lh_api_argument_error(L, 1, "httpd.random", "number");
    if (!(wanted >= 0 && wanted <= RANDOM_MAX_BYTES))
        return lh_api_error(L,
                            "bad argument #1 to 'httpd.random' (from 0 to "
                            "%d bytes)",
                            RANDOM_MAX_BYTES);
    luaL_buffinit(L, &out);
    for (size_t left = (size_t)wanted; left > 0;) {
        size_t n = lh_min(left, sizeof(step));
        if (lh_entropy(step, n))
            return lh_api_error(L, "httpd.random: the system gives none");
        luaL_addlstring(&out, step, n);
        left -= n;
    }
    luaL_pushresult(&out);
    return 1;
}

/* --- escaping ------------------------------------------------------------- */

/* Decodes %XX; what is none stays as it is. */
static void add_unescaped(luaL_Buffer *out, struct lh_str s, bool plus)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && s.n - i > 2 && lh_hex_digit(s.p[i + 1]) >= 0 &&
            lh_hex_digit(s.p[i + 2]) >= 0) {
            c = (char)(lh_hex_digit(s.p[i + 1]) << 4 |
                       lh_hex_digit(s.p[i + 2]));
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        luaL_addchar(out, c);
    }
}

static int unescape(lua_State *L)
{
    struct lh_str s = lh_api_string(L, 1, "httpd.unescape");
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    add_unescaped(&out, s, false);
    luaL_pushresult(&out);
    return 1;
}

static int escape(lua_State *L)
{
    struct lh_str s = lh_api_string(L, 1, "httpd.escape");
    char escaped[3];
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < s.n; i++) {
        if (lh_escape_is_unreserved(s.p[i])) {
            luaL_addchar(&out, s.p[i]);
            continue;
        }
        lh_escape_octet(escaped, s.p[i]);
        luaL_addlstring(&out, escaped, sizeof(escaped));
    }
    luaL_pushresult(&out);
    return 1;
}

/* Fit for text and for attributes in either kind of quotes. */
static int escape_html(lua_State *L)
{
    struct lh_str s = lh_api_string(L, 1, "httpd.escape_html");
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < s.n; i++) {
        const char *name = lh_escape_html(s.p[i]);
        if (name)
            luaL_addstring(&out, name);
        else
            luaL_addchar(&out, s.p[i]);
    }
    luaL_pushresult(&out);
    return 1;
}

/* --- forms ---------------------------------------------------------------- */

/* As a form encodes it: "+" is a space. */
static void push_form_text(lua_State *L, struct lh_str s)
{
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    add_unescaped(&out, s, true);
    luaL_pushresult(&out);
}

/* Adds one "name=value" to the table at the top, as pair number n. */
static void add_pair(lua_State *L, struct lh_str pair, int n)
{
    const char *equals = memchr(pair.p, '=', pair.n);
    struct lh_str name = pair, value = {"", 0};
    int table = lua_gettop(L);

    if (equals) {
        name.n = (size_t)(equals - pair.p);
        value.p = equals + 1;
        value.n = pair.n - name.n - 1;
    }
    push_form_text(L, name);
    push_form_text(L, value);
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, table + 1);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, table + 2);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, table, n);
    lua_pushvalue(L, table + 1);
    lua_rawget(L, table);
    bool first = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (first)
        lua_rawset(L, table);
    lua_settop(L, table);
}

/* query(text): names lead to their first values, and the array part has all
 * pairs in their order.  Behind nil may be why there is no text, as httpd.read
 * says it: a form that was not read is not an empty one. */
static int query(lua_State *L)
{
    struct lh_str rest = {"", 0};
    int n = 0;

    if (lua_isnoneornil(L, 1) && lua_type(L, 2) == LUA_TSTRING) {
        lua_settop(L, 2);
        return 2;
    }
    if (!lua_isnoneornil(L, 1))
        rest = lh_api_string(L, 1, "httpd.query");
    lua_newtable(L);
    while (rest.n && n < QUERY_PAIRS_MAX) {
        const char *end = memchr(rest.p, '&', rest.n);
        struct lh_str pair = {rest.p, end ? (size_t)(end - rest.p) : rest.n};
        rest.p += pair.n + (end != NULL);
        rest.n -= pair.n + (end != NULL);
        if (pair.n)
            add_pair(L, pair, ++n);
    }
    if (rest.n == 0)
        return 1;
    lua_pushnil(L);
    lua_pushliteral(L, "too large");
    return 2;
}

const luaL_Reg lh_tool_functions[] = {
    {"log", log_line},  {"random", random_bytes}, {"query", query},
    {"escape", escape}, {"unescape", unescape},   {"escape_html", escape_html},
    {NULL, NULL},
};
