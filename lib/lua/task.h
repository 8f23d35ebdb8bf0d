/*
 * Inside lib/lua: a VM and its tasks.  A task is one request in its coroutine:
 *
 *      NEW --begin--> RUNNING --httpd call must wait--> WAITING
 *                        |  ^----------woken--------------'
 *                        '--ends, something still lent--> DRAINING --> IDLE
 *
 * A waiting task has one wait, a struct lh_wait of the file whose call waits.
 * Whoever has news (the exchange's hook, the timer, a stop) puts the task into
 * the VM's ready list; the turn looks at the wait and resumes the coroutine
 * once it is over.  All Lua runs inside the turn's pcall.
 */
#ifndef LH_LUA_TASK_H
#define LH_LUA_TASK_H

#include "lua/state.h"

struct lh_file;
struct lh_native;
struct lh_subscription;
struct lh_websocket;
struct lh_form;
struct lh_socket;
struct lh_several;
struct lh_asked;
struct lh_serving;
struct lh_job;

enum lh_task_state {
    LH_TASK_IDLE,
    LH_TASK_NEW,
    LH_TASK_RUNNING,
    LH_TASK_WAITING,
    LH_TASK_DRAINING, /* the handler has ended, its last string is still lent */
};

/* What ends with the task whose handler has made it. */
struct lh_bound {
    struct lh_list link;
    void (*on_task_end)(struct lh_bound *bound);
};

/* After so many calls answered with "closed" the handler is taken for one that
 * does not look at answers. */
#define LH_DEAD_ENDS_MAX 100

/* The string of a call that waits: what httpd.write has to write, the path of
 * httpd.open.  The anchors table keeps it alive. */
struct lh_task_data {
    const char *p;
    size_t n;
    size_t done; /* octets that a file has taken */
};

/* The file that a call is about.  Valid during the call alone, while the
 * anchors table has its handle. */
struct lh_task_on {
    struct lh_file *file;
    void *handle;
    const char *open_mode; /* of httpd.open, as lh_stdio_mode() has it */
    int open_flags;
    bool attached; /* the task waits for it, and it knows */
    bool reads;
    struct lh_file *wanted;      /* others use it, and are waited for */
    const struct lh_file *turn;  /* it has waited for its turn on this one */
    uint64_t due_ms;             /* the time-out of that; 0: it has not */
    struct lh_list turn_link;    /* file->queue */
    struct lh_timer late_timer;  /* the response does not wait for the file */
    struct lh_timer pause_timer; /* it has moved enough for one turn */
    size_t moved_bytes; /* by all files of the task in this turn, without a
                           wait */
};

/* As many are kept as there were at once, and each request that waits has one:
 * so what is short stands together. */
struct lh_task {
    struct lh_list link;       /* vm->tasks, or vm->idle */
    struct lh_list ready_link; /* vm->ready or vm->batch */
    struct lh_list bound;      /* struct lh_bound: what ends with it */
    struct lh_vm *vm;
    struct lh_exchange *ex; /* NULL after httpd.finish, and beside handlers */
    lua_State *co;          /* threads[slot]; NULL: none yet */
    int slot;               /* from 1: the key in the VM's tables */
    int handler;            /* its index; -1: it is a job's */
    struct lh_handler *known;
    struct lh_job *job;  /* whose function it runs, or NULL */
    uint64_t connection; /* its number, for traces */
    struct lh_str path_info;
    const void *env; /* the identity of the handler's env table */
    enum lh_task_state state;

    /* What it waits for, and how the last call came out. */
    enum lh_wait_step wait_step;
    const struct lh_wait *wait; /* NULL: nothing */
    double serial;       /* of the last wait, no other of the VM has it */
    uint64_t timeout_ms; /* LH_NEVER: no time-out */
    struct lh_timer timer;
    enum lh_outcome outcome;
    int error;                /* of LH_OUTCOME_ERROR, one of os/error.h */
    struct lh_native *native; /* its wait in a C function of the program, */
    lua_State *native_co;     /* which that coroutine has called */

    /* What the call works on. */
    struct lh_read read;   /* httpd.read: what it wants */
    struct lh_input input; /* of the request's body */
    struct lh_task_data data;
    struct lh_task_on on;
    struct lh_subscription *reads;  /* valid while the wait lasts, as on.file */
    struct lh_socket *socket;       /* likewise */
    struct lh_asked *asked;         /* a shared value's owner */
    struct lh_serving *serving;     /* the file that answers */
    struct lh_several *several;     /* of httpd.wait; kept for the next one */
    struct lh_websocket *websocket; /* that its request has become, or NULL */
    struct lh_form *form;           /* what its body is read as, or NULL */

    /* How the handler behaves. */
    uint64_t resumed_ms;
    int header_line;      /* where the response was started; 0: unknown */
    unsigned dead_ends;   /* calls answered with "closed" */
    unsigned idle_yields; /* coroutine.yield() with nobody to answer */
    bool spawned;         /* it runs beside the handler */
    bool serves;          /* the file that answers has begun to */
    bool anchored : 1;    /* the anchors table may have something of it */
    bool timed_out : 1;
    bool exposed : 1; /* the script knows its coroutine, or has changed it */
    bool overran : 1; /* ran longer than handler_run_ms, and the log says so */
    bool cut : 1;     /* the grace of a stop is over */
    bool told : 1;    /* that the server stops; once is enough */
    bool begun_again : 1; /* its begin failed once, by no fault of its own */
};

/* --- task.c --------------------------------------------------------------- */

/* A task for the exchange, whose handler side it takes over.  NULL: no memory.
 */
struct lh_task *lh_task_new(struct lh_vm *vm, int handler,
                            struct lh_exchange *ex, struct lh_str path_info);

/* One without an exchange, which is called as what is known says.  It is
 * queued. NULL: no memory. */
struct lh_task *lh_task_spawn(struct lh_vm *vm, int handler,
                              struct lh_handler *known);

/* The only place that moves a task on; the move must be a legal one. */
void lh_task_set_state(struct lh_task *task, enum lh_task_state to);
bool lh_task_may(enum lh_task_state from, enum lh_task_state to);

/* Queues it for the VM's next run. */
void lh_task_ready(struct lh_task *task);

/* A call has begun to wait, and its tag is on its way to the worker. */
void lh_task_note_wait(struct lh_task *task, const struct lh_wait *wait,
                       uint64_t timeout_ms);

/* The wait is over: cancels what was started, once. */
void lh_task_cancel_wait(struct lh_task *task);

/* It waits for nothing any more. */
void lh_task_end_wait(struct lh_task *task);

/* Forgets strings and handles that nobody needs any more. */
void lh_task_release_anchors(struct lh_task *task, lua_State *L);

/* Its coroutine is not used again. */
void lh_task_drop_coroutine(struct lh_task *task, lua_State *L);

/* The handler has returned or failed; what it lent may be on its way still. */
void lh_task_end(struct lh_task *task, lua_State *L);

/* Its part of the turn raised: fails it.  Outside of any protected call. */
void lh_task_fail(struct lh_task *task, struct lh_str message);

/* Ends the response of a handler that has no more to say. */
void lh_task_end_response(struct lh_task *task);

/* The VM goes: frees it, whatever it does. */
void lh_task_free(struct lh_task *task);

/* Starts the response with its default status, if it was not started. */
int lh_task_start_response(struct lh_task *task);

/* What begins and ends a wait for octets of the request's body. */
void lh_task_start_body(struct lh_task *task);
void lh_task_stop_body(struct lh_task *task);

/* Lets go of the exchange. */
void lh_task_let_go(struct lh_task *task);

/* Does nobody listen to the response any more? */
bool lh_task_is_closed(const struct lh_task *task);

/* Logs with the request's client and line, as far as there is one. */
void lh_task_log(const struct lh_vm *vm, const struct lh_task *task,
                 lhttpd_log_level_t level, struct lh_str message);

/* Keeps the value at `index` alive: lent, or (waiting) to be written. */
void lh_task_anchor(struct lh_task *task, lua_State *L, int index,
                    bool waiting);

/* Keeps the handle at index 1 alive while the task waits for it. */
void lh_task_anchor_file(struct lh_task *task, lua_State *L);

/* Pushes that handle. */
void lh_task_push_file(const struct lh_task *task, lua_State *L);

/* --- load.c --------------------------------------------------------------- */

/* Fills the new state: libraries, httpd, setup, script.  The turn's function is
 * at index 1 afterwards. */
int lh_vm_load(struct lh_vm *vm, const struct lh_vm_config *config,
               struct lh_err *err);

/* --- handler.c ------------------------------------------------------------ */

/* The script has registered all. */
void lh_handlers_registered(struct lh_vm *vm);
void lh_handlers_free(struct lh_vm *vm);

/* --- run.c ---------------------------------------------------------------- */

/* From this frame on half of the stack is for functions that call back. */
void lh_vm_note_stack(struct lh_vm *vm);

/* The function that runs vm->batch. */
int lh_vm_turn(lua_State *L);

/* --- env.c ---------------------------------------------------------------- */

/* Fills the constants table at the top of the stack. */
void lh_env_constants(lua_State *L, const struct lh_vm *vm);

/* Inside the turn: push the handler's two tables. */
void lh_env_push(lua_State *L, struct lh_task *task);
void lh_header_push(lua_State *L, const struct lh_task *task);

/* The __index functions; upvalue 1 is the VM. */
int lh_env_index(lua_State *L);
int lh_header_index(lua_State *L);

#endif
