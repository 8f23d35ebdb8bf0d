/*
 * LuaJIT's compiled traces.  It ends the whole process where it cannot make
 * its memory executable, at the first loop that it compiles, so that is tried
 * beforehand; and where it is refused memory in one, so a process with a limit
 * has none.  The other VMs have none at all.
 */
#ifndef LH_LUA_TRACES_H
#define LH_LUA_TRACES_H

#include "lua/compat.h"

/* For a new state: off where the system refuses them. */
void lh_traces_prepare(lua_State *L);

/* Off for this state, for good: its jit.on does nothing any more. */
void lh_traces_off(lua_State *L);

#endif
