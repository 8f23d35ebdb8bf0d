/* The Lua states that the library makes itself, and what they allocate with. */
#ifndef LH_LUA_ALLOC_H
#define LH_LUA_ALLOC_H

#include "lua/compat.h"

/* luaL_newstate(), or the same with the program's allocator where it has given
 * one.  NULL: no memory, or none that this VM can use. */
lua_State *lh_state_new(void);

/* luaL_openlibs() of such a state, at once; it may raise. */
void lh_state_open_libs(lua_State *L, void *remains);

/* What is to be freed by lh_state_free_remains() once the state is closed, and
 * may be NULL.  The state has the allocator that it was made with. */
void *lh_state_remains(lua_State *L);
void lh_state_free_remains(void *remains);

#endif
