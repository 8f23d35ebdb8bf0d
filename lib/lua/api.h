/*
 * Inside lib/lua: what the files of the httpd module share.  A function of a
 * request that may wait is made of three: `begin` answers at once, or notes
 * the wait in the task and returns the tag; boot.lua then suspends
 * the coroutine; `finish` gives the answer when it was woken.
 */
#ifndef LH_LUA_API_H
#define LH_LUA_API_H

#include "lua/task.h"

/* api_write.c */
/* Can the handler still add to its response? */
bool lh_write_is_open(const struct lh_task *task);

/* Functions of httpd. */
extern const luaL_Reg lh_cookie_functions[], lh_handler_functions[],
    lh_header_functions[], lh_key_functions[], lh_sleep_functions[],
    lh_stats_functions[], lh_tool_functions[], lh_write_functions[];

/* Functions that only boot.lua uses. */
extern const luaL_Reg lh_coroutine_begins[], lh_failure_begins[],
    lh_gc_begins[], lh_read_begins[], lh_serve_begins[], lh_shared_begins[],
    lh_sleep_begins[], lh_write_begins[];

/* What a coroutine yields to the worker, and what it gets back when one of
 * those around it cannot be suspended. */
void *lh_api_tag(void);
void *lh_api_refused(void);

/* Adds the functions to the table at the top, the VM their upvalue. */
void lh_api_register(lua_State *L, struct lh_vm *vm, const luaL_Reg *functions);

/* Pushes the metatable of a kind of object that scripts hold: its functions,
 * and what errors call it. */
void lh_api_push_kind(lua_State *L, struct lh_vm *vm, const luaL_Reg *meta,
                      const char *name);

/* The value at the index, if its metatable is this one of the registry; else
 * NULL. */
void *lh_api_object(lua_State *L, int index, int meta);

/* The running request.  NULL: a finalizer runs, to be refused.  Raises where
 * there is no request, or it runs for too long. */
struct lh_task *lh_api_task(lua_State *L, const char *function);

/* The answer to a finalizer: nil and a message. */
int lh_api_refuse(lua_State *L);

/* Raises "script.lua:12: message". */
int lh_api_error(lua_State *L, const char *format, ...);
int lh_api_argument_error(lua_State *L, int index, const char *function,
                          const char *expected);

/* Is there a table of options at the index?  Raises for what is neither one nor
 * nil, and for a name that is not in the list, which ends with NULL: what is
 * misspelt would have no effect, and nobody would know why. */
bool lh_api_options(lua_State *L, int index, const char *function,
                    const char *const *names);

/* Pushes "script.lua:12: ", or "" where no line of the script runs. */
void lh_api_push_place(lua_State *L);

/* The same of a coroutine that is suspended in a C function. */
void lh_api_push_place_of(lua_State *L, lua_State *co);

/* The response starts here, or has before: the script's line, mostly that at
 * `level`, is kept for the error of a second header.  Asking Lua costs as much
 * as the rest of a short answer's parts, so that is not done before a handler
 * has made that mistake once. */
void lh_api_note_line(lua_State *L, struct lh_task *task, int level);

/* A time-out in seconds as milliseconds; LH_NEVER for none. */
uint64_t lh_api_timeout(lua_State *L, int index, const char *function);

/* Why a handler is ended that goes on without its client, or a function beside
 * handlers, which never had one. */
const char *lh_api_gone_text(const struct lh_task *task);

/* Does a stop end the task's wait, which has a time-out?  Once is enough: who
 * goes on waiting is not to do so in a busy loop. */
bool lh_api_stops(const struct lh_task *task);

/* Begins a wait: answers at once where it is over, else anchors what it keeps
 * and returns the tag.  The time-out is in milliseconds, LH_NEVER for none. */
int lh_api_begin(lua_State *L, struct lh_task *task, const struct lh_wait *wait,
                 uint64_t timeout_ms);

/* The finish of waits whose answer is their outcome alone. */
int lh_api_finish(lua_State *L, struct lh_task *task);

/* Answers with an outcome that is none of the wait's successes. */
int lh_api_answer(lua_State *L, struct lh_task *task, enum lh_outcome outcome);

/* What has become of a request's body: PENDING while it comes, DONE where all
 * of it has, or why it never will. */
enum lh_outcome lh_api_body_outcome(enum lh_body_state state);

/* Answers nil, the text and the number, as io does; the text with its path, if
 * there is one.  `error` is one of os/error.h. */
int lh_api_system_error(lua_State *L, int error);
int lh_api_path_error(lua_State *L, const char *path, int error);

/* Has the worker run out of descriptors?  Then those that scripts have lost are
 * looked for. */
void lh_api_note_error(const struct lh_vm *vm, int error);

/* A string argument; a number is its text.  Raises otherwise. */
struct lh_str lh_api_string(lua_State *L, int index, const char *function);

/* The value as text; a whole number has no fraction.  NULL: neither string nor
 * number.  It may replace the value at `index` by a string. */
const char *lh_api_text(lua_State *L, int index, size_t *n);

#endif
