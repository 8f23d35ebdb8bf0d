/*
 * Inside lib/lua: subscriptions, the streams of httpd.subscribe.  One is a
 * userdata of its script, bound to the task whose handler made it: it ends with
 * that, with httpd.close, or once it is collected.
 */
#ifndef LH_LUA_SUBSCRIPTION_H
#define LH_LUA_SUBSCRIPTION_H

#include "lua/task.h"

extern const luaL_Reg lh_subscription_functions[], lh_subscription_begins[];

/* Makes the metatable of subscriptions.  It may raise; while the VM loads. */
void lh_subscription_prepare(lua_State *L, struct lh_vm *vm);

/* Is the first argument a subscription? */
bool lh_subscription_is_first(lua_State *L);

/* The parts of httpd.wait.  The value at `index`, or NULL if it is none; raises
 * if it is closed or another handler waits for it. */
struct lh_subscription *lh_subscription_check_free(lua_State *L, int index,
                                                   const char *function);
/* Would httpd.read give something at once, or fail? */
bool lh_subscription_readable(const struct lh_subscription *s);
/* Who is told of messages; NULL: nobody. */
void lh_subscription_watch(struct lh_subscription *s, struct lh_task *reader);

/* The begin of httpd.read(subscription, nil, timeout). */
int lh_subscription_read_begin(lua_State *L, struct lh_task *task);

#endif
