/*
 * Inside lib/lua: what runs beside handlers, httpd.spawn and httpd.every.  Each
 * is a task without an exchange.
 */
#ifndef LH_LUA_SPAWN_H
#define LH_LUA_SPAWN_H

#include "lua/task.h"

/* A function of httpd.every. */
struct lh_job {
    struct lh_list link; /* vm->jobs */
    struct lh_vm *vm;
    struct lh_handler known; /* what it is called */
    int function;            /* reference in the registry */
    uint64_t every_ms;
    bool everywhere; /* on each worker */
    bool runs;       /* its task has not ended */
    struct lh_timer timer;
};

extern const luaL_Reg lh_job_functions[], lh_spawn_begins[];

/* Pushes the function of a task that has no exchange; nil: it has none. */
void lh_spawn_push(lua_State *L, const struct lh_task *task);

/* Another worker has the VM now, and jobs begin; the VM goes. */
void lh_jobs_begin(struct lh_vm *vm);
void lh_jobs_free(struct lh_vm *vm);

#endif
