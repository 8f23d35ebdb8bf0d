/* Errors for suspended C functions: see raise.h. */
#include "lua/raise.h"

#include "lua/api.h"

static void set_pending(lua_State *L, const struct lh_vm *vm, bool pending)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->failure);
    lua_pushboolean(L, pending);
    lua_rawseti(L, -2, LH_RAISE_PENDING);
    lua_pop(L, 1);
}

bool lh_raise_take(lua_State *L, struct lh_vm *vm)
{
    if (!vm->raise.co)
        return false;
    if (vm->raise.hooked)
        lua_sethook(vm->raise.co, vm->raise.hook, vm->raise.mask,
                    vm->raise.count);
    vm->raise.co = NULL;
    set_pending(L, vm, false);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->failure);
    lua_rawgeti(L, -1, LH_RAISE_ERROR);
    lua_remove(L, -2);
    return true;
}

static struct lh_vm *vm_of_state(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.vm");
    struct lh_vm *vm = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return vm;
}

/* The hook: before an instruction.  It stays while boot.lua's functions run. */
static void raise_in_script(lua_State *L, lua_Debug *ar)
{
    struct lh_vm *vm = vm_of_state(L);

    lua_getinfo(L, "S", ar);
    if (vm->raise.co == L && strcmp(ar->source, "=httpd") != 0 &&
        lh_raise_take(L, vm))
        lua_error(L);
}

void lh_raise_arm(lua_State *L, struct lh_vm *vm, lua_State *co)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->failure);
    lua_insert(L, -2);
    lua_rawseti(L, -2, LH_RAISE_ERROR);
    lua_pop(L, 1);
    set_pending(L, vm, true);
    vm->raise.co = co;
    vm->raise.hooked = !LH_LUA_CONTINUES;
    if (!vm->raise.hooked)
        return;
    vm->raise.hook = lua_gethook(co);
    vm->raise.mask = lua_gethookmask(co);
    vm->raise.count = lua_gethookcount(co);
    lua_sethook(co, raise_in_script, LUA_MASKCOUNT, 1);
}

/* Where C functions go on; its results are what they were resumed with. */
static int return_to_caller(lua_State *L)
{
    struct lh_vm *vm = vm_of_state(L);

    if (vm->raise.co == L && lh_raise_take(L, vm))
        return lua_error(L);
    return lua_gettop(L);
}

int lh_raise_yield(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushlightuserdata(L, lh_api_tag());
    return lh_lua_yield_then(L, 1, return_to_caller);
}

/* The error is that of the caller, which has looked for it. */
static int take_raised(lua_State *L)
{
    return lh_raise_take(L, lh_vm_of(L)) ? 1 : 0;
}

const luaL_Reg lh_raise_begins[] = {
    {"take_raised", take_raised},
    {NULL, NULL},
};
