/*
 * io.popen, httpd.popen and os.execute: what scripts say about a process to
 * start.  The strings that a child gets are kept alive by the stack until it
 * was started.
 */
#include "lua/process.h"

#include "base/mem.h"
#include "lua/api.h"
#include "lua/gc.h"

/* --- io.popen ------------------------------------------------------------- */

/* "r" or "w", perhaps with "b".  Raises otherwise. */
static bool mode_reads(lua_State *L, const char *mode, const char *function)
{
    if ((mode[0] != 'r' && mode[0] != 'w') ||
        (mode[1] && strcmp(mode + 1, "b") != 0))
        lh_api_error(L, "%s: the mode is 'r' or 'w'", function);
    return mode[0] == 'r';
}

/* What a child has where nothing else is said. */
static struct lh_process_start usual_start(void)
{
    return (struct lh_process_start){
        .child = {.in = -1,
                  .out = lh_child_standard(1),
                  .error = lh_child_standard(2)},
        .reads = true,
    };
}

/* io_popen(command, mode).  A child that writes to us ends when its handle is
 * lost; one that reads ends by itself, at the end of its input. */
static int io_popen(lua_State *L)
{
    if (!lh_gc_runs_script(L, lh_vm_of(L)))
        return lh_api_refuse(L);
    const char *command = luaL_checkstring(L, 1);
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    struct lh_process_start start = usual_start();

    start.reads = mode_reads(L, luaL_optstring(L, 2, "r"), "io.popen");
    start.child.argv = argv;
    struct lh_process *p = lh_process_start(L, lh_vm_of(L), &start);
    if (!p)
        return 3;
    p->ends_when_left = start.reads;
    return 1;
}

/* --- httpd.popen ---------------------------------------------------------- */

struct options {
    struct lh_process_start start;
    bool detach;
};

/* The string at the top, which the system takes up to its first zero.  Raises
 * if it is none. */
static const char *string_item(lua_State *L, const char *what)
{
    size_t n = 0;
    const char *text =
        lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : NULL;

    if (!text)
        lh_api_error(L, "httpd.popen: %s: a %s where a string should be", what,
                     luaL_typename(L, -1));
    if (strlen(text) != n)
        lh_api_error(L, "httpd.popen: %s: a zero in a string", what);
    return text;
}

/* Pointers to the n strings of the array at the top, and a NULL.  The stack
 * keeps all alive: nobody else knows the array, while a finalizer of the script
 * may empty a table of its own whenever we allocate. */
static const char **pointers_to(lua_State *L, int n)
{
    int array = lua_gettop(L);
    const char **pointers =
        lua_newuserdata(L, ((size_t)n + 1) * sizeof(char *));

    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, array, i + 1);
        pointers[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    pointers[n] = NULL;
    return pointers;
}

/* The array at index 1 becomes argv; a copy keeps its strings. */
static void read_arguments(lua_State *L, struct options *o)
{
    int n = lua_istable(L, 1) ? (int)lh_lua_len(L, 1) : 0;

    if (n <= 0) {
        lh_api_argument_error(L, 1, "httpd.popen", "array of strings");
        return;
    }
    lua_newtable(L);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, 1, i);
        string_item(L, "arguments");
        lua_rawseti(L, -2, i);
    }
    o->start.child.argv = pointers_to(L, n);
}

/* The table at the top, as "NAME=value"; leaves what keeps them alive. */
static void read_environment(lua_State *L, struct options *o)
{
    int table = lua_gettop(L), n = 0;

    if (!lua_istable(L, table))
        lh_api_error(L, "httpd.popen: env is a table");
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        const char *value = string_item(L, "env");
        lua_pushvalue(L, -2);
        lua_pushfstring(L, "%s=%s", string_item(L, "env"), value);
        lua_rawseti(L, table + 1, ++n);
        lua_pop(L, 1);
    }
    o->start.child.env = pointers_to(L, n);
}

/* Pushes the option; false: it is not there.  No metamethod runs meanwhile. */
static bool push_popen_option(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, 2);
    return !lua_isnil(L, -1);
}

/* The table at index 2.  Raises for an option that is wrong. */
static void read_popen_options(lua_State *L, struct options *o)
{
    static const char *const names[] = {"mode",      "stdin",  "stderr", "env",
                                        "directory", "detach", NULL};

    if (!lh_api_options(L, 2, "httpd.popen", names))
        return;
    if (push_popen_option(L, "mode"))
        o->start.reads = mode_reads(L, string_item(L, "mode"), "httpd.popen");
    if (push_popen_option(L, "directory"))
        o->start.child.directory = string_item(L, "directory");
    if (push_popen_option(L, "stdin")) {
        if (lua_type(L, -1) != LUA_TSTRING || !o->start.reads)
            lh_api_error(L, "httpd.popen: stdin is a string, with mode 'r'");
        o->start.text = lua_tolstring(L, -1, &o->start.text_n);
    }
    if (push_popen_option(L, "stderr")) {
        if (strcmp(string_item(L, "stderr"), "stdout") != 0)
            lh_api_error(L, "httpd.popen: stderr is 'stdout' or nothing");
        o->start.merge = true;
    }
    if (push_popen_option(L, "detach"))
        o->detach = lua_toboolean(L, -1) != 0;
    if (push_popen_option(L, "env"))
        read_environment(L, o);
}

/* popen(arguments, options): the handle, or nil, words and number. */
static int httpd_popen(lua_State *L)
{
    struct options o = {.start = usual_start()};

    if (!lh_gc_runs_script(L, lh_vm_of(L)))
        return lh_api_refuse(L);
    lua_settop(L, 2);
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    read_arguments(L, &o);
    read_popen_options(L, &o);
    struct lh_process *p = lh_process_start(L, lh_vm_of(L), &o.start);
    if (!p)
        return 3;
    p->detached = o.detach;
    p->ends_with_task = p->ends_when_left = !o.detach;
    return 1;
}

/* --- os.execute ----------------------------------------------------------- */

/* As system() tells it. */
static int wait_status(int error, const struct lh_child *child)
{
    if (error || child->fate == LH_CHILD_UNKNOWN)
        return -1;
    return child->fate == LH_CHILD_EXITED ? child->code << 8 : child->code;
}

/* execute(command, in_words): how it has ended is a number in 5.1 and three
 * values since 5.2. */
static int os_execute(lua_State *L)
{
    const char *command = luaL_optstring(L, 1, NULL);
    bool in_words = lua_toboolean(L, 2) != 0;
    struct lh_child child;

    if (!command) {
        bool shell = lh_child_has_shell();
        if (in_words)
            lua_pushboolean(L, shell);
        else
            lua_pushinteger(L, shell);
        return 1;
    }
    int error = lh_child_execute(&child, command);
    if (in_words)
        return error ? lh_api_system_error(L, error)
                     : lh_process_push_end(L, &child);
    lua_pushinteger(L, wait_status(error, &child));
    return 1;
}

const luaL_Reg lh_execute_begins[] = {
    {"execute", os_execute},
    {NULL, NULL},
};

const luaL_Reg lh_popen_begins[] = {
    {"io_popen", io_popen},
    {"popen", httpd_popen},
    {NULL, NULL},
};
