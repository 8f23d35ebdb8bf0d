/*
 * Inside lib/lua: child processes that scripts started by io.popen and
 * httpd.popen.  One belongs to the state of its handle; once that is gone it
 * is left: ended if need be, and reaped by its event without anyone waiting.
 */
#ifndef LH_LUA_PROCESS_H
#define LH_LUA_PROCESS_H

#include "lua/file.h"
#include "os/child.h"

struct lh_process {
    struct lh_list link; /* vm->processes */
    struct lh_vm *vm;
    struct lh_child child;
    struct lh_source source; /* its end */
    uint64_t tag;
    bool watched;
    struct lh_timer look_timer; /* instead: has it ended? */
    unsigned look_ms;           /* from now to the next look */
    struct lh_timer timer;      /* SIGKILL follows SIGTERM */
    uint64_t kill_ms;           /* when, on its way to a worker; or LH_NEVER */
    struct lh_file *file;       /* of its handle; NULL: left */
    int id;                     /* its handle's key in vm->popens */
    struct lh_bound bound;      /* to the task whose handler started it */
    struct lh_task *task;       /* waits for its end */
    bool ends_with_task;
    bool ends_when_left; /* it may never end by itself */
    bool detached;
    bool counted; /* among the worker's that run */
    bool ended;   /* and was reaped: `child` knows how */
};

/* How to start one; its end of our pipe is filled in. */
struct lh_process_start {
    struct lh_child_start child;
    bool reads;       /* we read its standard output, else write its input */
    bool merge;       /* its error output goes where its output goes */
    const char *text; /* for its standard input; NULL: child.in */
    size_t text_n;
};

/* Pushes the handle, or nil, the text and the number. */
struct lh_process *lh_process_start(lua_State *L, struct lh_vm *vm,
                                    struct lh_process_start *start);

/* Pushes how it has ended: true or nil, "exit" or "signal", the number; or nil,
 * words and errno where that is not known. */
int lh_process_push_end(lua_State *L, const struct lh_child *child);

/* Has it ended?  Then `child` tells how. */
bool lh_process_reap(struct lh_process *p);

/* The handle's state is going. */
void lh_process_leave(struct lh_process *p);

/* Has it done soon, at most once a second. */
void lh_process_sweep_soon(struct lh_vm *vm);

/* After a collection: leaves the children of lost handles. */
void lh_process_sweep(lua_State *L, struct lh_vm *vm);

void lh_processes_init(struct lh_vm *vm);
/* Those that were started while the script loaded, by another thread: that one
 * forgets its timers, the worker arms them anew and watches for their ends. */
void lh_processes_leave(struct lh_vm *vm);
void lh_processes_adopt(struct lh_vm *vm);
void lh_processes_deinit(struct lh_vm *vm); /* ends all of them */

/* popen.c */
extern const luaL_Reg lh_popen_begins[];
extern const luaL_Reg lh_execute_begins[];

#endif
