/*
 * Inside lib/lua: errors for C functions of a program that are suspended.  Such
 * a function is resumed with its results; where there is an error instead, its
 * coroutine raises that as if the function had.
 *
 * Lua 5.4 calls a function that was resumed once more, and there it raises.
 * The others do not, so a hook raises before the next instruction of the
 * script.  What that function has returned to meanwhile may be one of boot.lua:
 * its pcall, or a coroutine that has ended with that; they look for the error
 * themselves (failures[LH_RAISE_PENDING]).
 */
#ifndef LH_LUA_RAISE_H
#define LH_LUA_RAISE_H

#include "lua/task.h"

extern const luaL_Reg lh_raise_begins[];

/* Keys of the VM's table `failure`: true while there is one, and the error. */
enum { LH_RAISE_PENDING = 3, LH_RAISE_ERROR };

/* Suspends the C function that runs in L, for its coroutine to be resumed with
 * its results or an error. */
int lh_raise_yield(lua_State *L);

/* The value at the top of L, which is popped, is the error of the coroutine
 * `co`, which will be resumed next. */
void lh_raise_arm(lua_State *L, struct lh_vm *vm, lua_State *co);

/* Was it not raised yet?  Then pushes it onto L. */
bool lh_raise_take(lua_State *L, struct lh_vm *vm);

#endif
