/*
 * LuaJIT's compiled traces.  It ends the whole process where it cannot make
 * its memory executable, at the first loop that it compiles; so they are tried
 * for beforehand.  The other VMs have none.
 */
#ifndef LH_LUA_TRACES_H
#define LH_LUA_TRACES_H

#include "lua/compat.h"

/* For a new state: off where the system refuses them. */
void lh_traces_prepare(lua_State *L);

/* Off for this state, for good: its jit.on does nothing any more. */
void lh_traces_off(lua_State *L);

#endif
