/*
 * A VM's handlers: httpd.register_handler while the script loads, and which one
 * answers a path.  A handler's index leads to its function (the table
 * `handlers`, from 1), to its name (`constants`) and to what is known of it
 * (`known`); names, the fourth, is filled last.
 */
#include "lua/api.h"
#include "lua/gc.h"

#include "base/mem.h"
#include "base/num.h"

#include <stdio.h>

/* How many of its arguments the function at index 2 can see.  Lua 5.1 does not
 * tell. */
static int parameters(lua_State *L)
{
    int top = lua_gettop(L), n = LH_HANDLER_ARGUMENTS;

    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.getinfo");
    if (lua_isfunction(L, -1)) {
        lua_pushvalue(L, 2);
        lua_pushliteral(L, "u");
        lua_call(L, 2, 1);
        lua_getfield(L, -1, "nparams");
        lua_getfield(L, -2, "isvararg");
        if (lua_isnumber(L, -2) && !lua_toboolean(L, -1) &&
            lua_tointeger(L, -2) < n)
            n = (int)lua_tointeger(L, -2);
    }
    lua_settop(L, top);
    return n;
}

/* What is known of a handler goes. */
static void forget(const struct lh_vm *vm, struct lh_handler *known)
{
    lh_run_words_free(known->what, vm->ctx->readers);
    lh_tally_let_go(known->tally);
}

void lh_handlers_free(struct lh_vm *vm)
{
    for (unsigned i = 0; i < vm->known_n; i++)
        forget(vm, &vm->known[i]);
    lh_free(vm->known);
}

/* False: no memory. */
static bool count_from_now(struct lh_vm *vm, struct lh_handler *known,
                           struct lh_str name)
{
    struct lh_tallies *tallies = vm->ctx->tallies;
    const char *prefix = *vm->prefix ? vm->prefix : "/";
    char text[1024];

    if (!tallies)
        return true;
    snprintf(text, sizeof(text), "%s%.*s", name.n && *name.p == '/' ? "" : "/",
             (int)lh_min(name.n, sizeof(text)), name.p);
    known->tally = lh_tally_hold(tallies, prefix, vm->name, text);
    return known->tally;
}

/* "handler /path (line 12)" is what the log and the watch call it. */
static int add_known(struct lh_vm *vm, struct lh_str name, int line,
                     int arguments)
{
    char clean[900], text[1024], where[32] = "in C";
    struct lh_handler *known =
        lh_realloc(vm->known, (vm->known_n + 1) * sizeof(*known));

    if (!known)
        return LHTTPD_ENOMEM;
    vm->known = known;
    lh_log_clean(clean, sizeof(clean), name);
    if (line >= 0)
        snprintf(where, sizeof(where), "line %d", line);
    snprintf(text, sizeof(text), "handler %s%s (%s)",
             clean[0] == '/' ? "" : "/", clean, where);
    known[vm->known_n] = (struct lh_handler){.what = lh_run_words_new(text),
                                             .arguments = arguments};
    if (!known[vm->known_n].what ||
        !count_from_now(vm, &known[vm->known_n], name)) {
        forget(vm, &known[vm->known_n]);
        return LHTTPD_ENOMEM;
    }
    vm->known_n++;
    return 0;
}

/* What the handler's index leads to.  It may raise: the name comes last, so
 * that no request finds one without the rest. */
static void push_handler(lua_State *L, const struct lh_vm *vm,
                         struct lh_str name, int index)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->handlers);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, index + 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->constants);
    lua_pushstring(L, name.n && name.p[0] == '/' ? "" : "/");
    lua_pushlstring(L, name.p, name.n);
    lua_concat(L, 2);
    lua_rawseti(L, -2, LH_CONST_HANDLERS + index);
    lua_pop(L, 2);
}

/* Adds the handler at index 2.  Its index, or as lh_names_add(). */
static int add_handler(struct lh_vm *vm, lua_State *L, struct lh_str name)
{
    lua_Debug ar;
    int arguments = parameters(L), index = (int)vm->names.n;

    push_handler(L, vm, name, index);
    lua_pushvalue(L, 2);
    lua_getinfo(L, ">S", &ar);
    if (add_known(vm, name, ar.linedefined, arguments))
        return LHTTPD_ENOMEM;
    index = lh_names_add(&vm->names, name);
    if (index < 0)
        forget(vm, &vm->known[--vm->known_n]);
    return index;
}

/* register_handler(name, function), while the script loads. */
static int register_handler(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    struct lh_str name = {NULL, 0};

    if (!lh_gc_runs_script(L, vm))
        return lh_api_refuse(L);
    if (lua_type(L, 1) != LUA_TSTRING)
        return lh_api_argument_error(L, 1, "httpd.register_handler", "string");
    if (lua_type(L, 2) != LUA_TFUNCTION)
        return lh_api_argument_error(L, 2, "httpd.register_handler",
                                     "function");
    if (!vm->loading)
        return lh_api_error(L, "httpd.register_handler: handlers are "
                               "registered while the script loads");
    name.p = lua_tolstring(L, 1, &name.n);
    if (memchr(name.p, 0, name.n))
        return lh_api_error(L, "httpd.register_handler: a zero in the name");
    int index = add_handler(vm, L, name);
    if (index == LHTTPD_EINVAL) {
        lua_pushfstring(L, "%s is registered already, the first one stays",
                        name.p);
        lh_task_log(vm, NULL, LHTTPD_LOG_WARNING,
                    lh_str_of(lua_tostring(L, -1)));
        return 0;
    }
    if (index < 0)
        return lh_api_error(L, "not enough memory");
    return 0;
}

const luaL_Reg lh_handler_functions[] = {
    {"register_handler", register_handler},
    {NULL, NULL},
};

/* --- which one answers ---------------------------------------------------- */

/* The handler of just that name, or -1. */
static int exact(const struct lh_vm *vm, struct lh_str name)
{
    struct lh_str path_info = {NULL, 0};
    int index = lh_names_find(&vm->names, name, &path_info);

    return path_info.p ? -1 : index;
}

void lh_handlers_registered(struct lh_vm *vm)
{
    vm->not_found = exact(vm, LH_STR("/notfound"));
    vm->root = exact(vm, LH_STR("/"));
}

/* The longest wildcard wins where no name is the path itself. */
int lh_vm_find(const struct lh_vm *vm, struct lh_str rest,
               struct lh_str *path_info)
{
    return lh_names_find(&vm->names, rest.n ? rest : LH_STR("/"), path_info);
}

int lh_vm_not_found(const struct lh_vm *vm)
{
    return vm->not_found;
}

bool lh_vm_has_root(const struct lh_vm *vm)
{
    return vm->root >= 0;
}
