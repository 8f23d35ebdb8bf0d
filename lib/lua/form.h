/*
 * Inside lib/lua: forms with files, whose parts are streams.  A form is its
 * task's, and ends with it; a part is a userdata of the script that says which
 * one it is, and points to nothing.
 */
#ifndef LH_LUA_FORM_H
#define LH_LUA_FORM_H

#include "lua/task.h"

extern const luaL_Reg lh_form_begins[];

/* Makes the metatable of parts.  It may raise; while the VM loads. */
void lh_form_prepare(lua_State *L, struct lh_vm *vm);

/* Is the first argument a part? */
bool lh_part_is_first(lua_State *L);

/* The begin of httpd.read(part, length, timeout). */
int lh_part_read_begin(lua_State *L, struct lh_task *task);

#endif
