/*
 * Functions of Lua's libraries that boot.lua has wrapped: called through here,
 * so that an error names the script's line and the function's own name, as if
 * nobody stood between.
 */
#include "lua/api.h"
#include "lua/file.h"

#include <stdio.h>

/* Replaces the message at the top, which was made for a caller in C: without a
 * position, the function is '?', the first argument counts. */
static void name_caller(lua_State *L, const char *name, bool method)
{
    const char *text = lua_tostring(L, -1);
    int number, used = 0;

    if (sscanf(text, "bad argument #%d to '?'%n", &number, &used) < 1 || !used)
        lh_api_error(L, "%s", text);
    else if (method && number == 1)
        lh_api_error(L, "calling '%s' on bad self%s", name, text + used);
    else
        lh_api_error(L, "bad argument #%d to '%s'%s", number - method, name,
                     text + used);
}

/* Upvalues: the VM, the function, its name, whether it is a method. */
static int call_through(lua_State *L)
{
    int n = lua_gettop(L);

    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    int status = lua_pcall(L, n, LUA_MULTRET, 0);
    if (status == LUA_ERRRUN && lua_type(L, -1) == LUA_TSTRING)
        name_caller(L, lua_tostring(L, lua_upvalueindex(3)),
                    lua_toboolean(L, lua_upvalueindex(4)));
    if (status)
        return lua_error(L);
    if (lua_isnil(L, 1) && lua_type(L, 3) == LUA_TNUMBER)
        lh_api_note_error(lh_vm_of(L), -(int)lua_tointeger(L, 3));
    return lua_gettop(L);
}

/* through(function, name [, is_method]) */
static int through(lua_State *L)
{
    lua_settop(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_pushcclosure(L, call_through, 4);
    return 1;
}

const luaL_Reg lh_through_begins[] = {
    {"through", through},
    {NULL, NULL},
};
