/*
 * Inside lib/lua: an error of a script becomes the words that the log gets,
 * with the traceback of the coroutine that raised it.
 */
#ifndef LH_LUA_FAILURE_H
#define LH_LUA_FAILURE_H

#include "lua/compat.h"

/* Called with the coroutine that has failed and the VM, in a protected call;
 * its error object is the coroutine's top.  Returns the message with a
 * traceback, where it has none yet. */
int lh_failure_describe(lua_State *L);

/* Runs a handler so that its errors are described (see lh_lua_give()). */
int lh_failure_protect(lua_State *L);

#endif
