/*
 * Inside lib/lua: WebSockets, the streams of httpd.websocket.  One is a
 * userdata of its script, bound to the task whose request it was; only that
 * task uses it.
 */
#ifndef LH_LUA_WEBSOCKET_H
#define LH_LUA_WEBSOCKET_H

#include "lua/task.h"

extern const luaL_Reg lh_websocket_functions[], lh_websocket_begins[];

/* Makes the metatable.  It may raise; while the VM loads. */
void lh_websocket_prepare(lua_State *L, struct lh_vm *vm);

/* What the VM still has of them; none is in use any more. */
void lh_websocket_free_left(struct lh_vm *vm);

/* The value at `index`, or NULL if it is none. */
struct lh_websocket *lh_websocket_at(lua_State *L, int index);

/* There was news for its task, which waits for whatever it may be: frames that
 * have come are read, as far as there is room, and control frames answered. */
void lh_websocket_turn(struct lh_websocket *ws);

/* Its handler ends, has failed, or is cut off: says so to the client, once. */
void lh_websocket_leave(struct lh_websocket *ws, bool failed);

/* Would httpd.read give something at once, or the end? */
bool lh_websocket_readable(struct lh_websocket *ws);

/* Raises unless it is the task's own. */
void lh_websocket_check(lua_State *L, const struct lh_websocket *ws,
                        const struct lh_task *task, const char *function);

/* The begins of httpd.read(ws, n, timeout), and of httpd.write(ws, data, kind,
 * timeout) whose string is in task->data and at index 2. */
int lh_websocket_read_begin(lua_State *L, struct lh_task *task);
int lh_websocket_write_begin(lua_State *L, struct lh_task *task);

#endif
