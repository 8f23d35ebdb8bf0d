/*
 * Inside lib/lua: httpd.wait, for the first of several streams.
 */
#ifndef LH_LUA_WAIT_ANY_H
#define LH_LUA_WAIT_ANY_H

#include "lua/task.h"

extern const luaL_Reg lh_wait_any_begins[];

#endif
