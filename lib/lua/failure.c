/*
 * Errors of scripts: see failure.h.  A coroutine that coroutine.wrap has made
 * is gone when its error has reached the handler, so rethrow() keeps its
 * traceback beside the error, in the VM's table `failure`.
 */
#include "lua/failure.h"

#include "lua/api.h"

/* A log line has no room for more. */
#define TRACEBACK_BYTES 4096

/* --- coroutine.wrap ------------------------------------------------------- */

/* traceback(coroutine, error): of a coroutine that failed, and before it of the
 * one inside whose error it has passed on. */
static int traceback(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);

    lua_settop(L, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, lh_vm_of(L)->failure);
    lua_rawgeti(L, 3, 1);
    if (lua_rawequal(L, 2, -1))
        lua_rawgeti(L, 3, 2);
    else
        lua_pushliteral(L, "in a coroutine:");
    if (lh_lua_len(L, -1) > TRACEBACK_BYTES)
        return 1;
    lh_lua_traceback(L, co);
    return 1;
}

/* rethrow(traceback, error): with the position of the script's line, as
 * coroutine.wrap does. */
static int rethrow(lua_State *L)
{
    lua_settop(L, 2);
    if (lua_type(L, 2) == LUA_TSTRING) {
        lh_api_push_place(L);
        lua_insert(L, 2);
        lua_concat(L, 2);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, lh_vm_of(L)->failure);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, 2);
    lua_settop(L, 2);
    return lua_error(L);
}

/* --- messages ------------------------------------------------------------- */

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

int lh_failure_describe(lua_State *L)
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

int lh_failure_protect(lua_State *L)
{
    return lh_lua_protect(L, describe_here);
}

const luaL_Reg lh_failure_begins[] = {
    {"traceback", traceback},
    {"rethrow", rethrow},
    {NULL, NULL},
};
