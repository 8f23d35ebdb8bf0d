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

#include "http/route.h"
#include "lua/compat.h"
#include "lua/vm.h"

struct lh_file;
struct lh_task;

enum lh_task_state {
    LH_TASK_IDLE,
    LH_TASK_NEW,
    LH_TASK_RUNNING,
    LH_TASK_WAITING,
    LH_TASK_DRAINING, /* the handler has ended, its last string is still lent */
};

/* How a wait, or a call that need not wait, came out. */
enum lh_outcome {
    LH_OUTCOME_PENDING,
    LH_OUTCOME_DONE,
    LH_OUTCOME_CLOSED,
    LH_OUTCOME_TIMEOUT,
    LH_OUTCOME_STOPPING,
    LH_OUTCOME_TOO_LARGE,
    LH_OUTCOME_MALFORMED,
    LH_OUTCOME_MEMORY,
    LH_OUTCOME_ERROR, /* task->error tells */
};

/* How much httpd.read wants. */
enum lh_read_mode {
    LH_READ_BYTES, /* exactly `read_bytes` */
    LH_READ_SOME,
    LH_READ_LINE,
    LH_READ_LINE_END, /* with its newline */
    LH_READ_ALL,
};

/* Octets of the request's body that were taken out of the exchange, or of a
 * file. */
struct lh_input {
    char *p;
    size_t at, n, room; /* p[at] to p[n - 1] were not read yet */
};

/*
 * A kind of wait.  The file that begins it has one of these, static and
 * constant, and nobody else needs to know it.  lh_api_begin() notes it in the
 * task; from `start` on, which is called once the tag has reached the worker,
 * `cancel` will be called exactly once: when the wait is over, or when the
 * task ends before.  Then `finish` gives the answer, unless the task has ended.
 */
struct lh_wait {
    /* Is it over?  Called from begin, and in the turn on every news. */
    enum lh_outcome (*poll)(struct lh_task *task, lua_State *L);
    void (*start)(struct lh_task *task);  /* NULL: there is nothing to start */
    void (*cancel)(struct lh_task *task); /* NULL: nor to cancel */
    /* Pushes the answer.  NULL: nobody asks for one. */
    int (*finish)(lua_State *L, struct lh_task *task);
    bool keeps_handle; /* the value at index 1 lives until it is over */
    bool keeps_data;   /* the one at index 2, likewise */
    bool ends_task;    /* the task is not resumed any more */
};

/* How far the task's wait has got. */
enum lh_wait_step {
    LH_WAIT_NONE,    /* there is none, task->wait is NULL */
    LH_WAIT_BEGUN,   /* the call has returned the tag */
    LH_WAIT_STARTED, /* which has reached the worker */
    LH_WAIT_OVER,    /* `finish` has not given the answer yet */
};

struct lh_task {
    struct lh_list link;       /* vm->tasks, or vm->idle */
    struct lh_list ready_link; /* vm->ready or vm->batch */
    struct lh_vm *vm;
    struct lh_exchange *ex; /* NULL after httpd.finish */
    lua_State *co;          /* threads[slot]; NULL: none yet */
    int slot;               /* from 1: the key in the VM's tables */
    int handler;
    enum lh_task_state state;
    struct lh_str path_info;
    const void *env; /* the identity of the handler's env table */

    const struct lh_wait *wait; /* NULL: none */
    enum lh_wait_step wait_step;
    enum lh_outcome outcome;
    uint64_t wait_ms; /* LH_NEVER: no time-out */
    struct lh_timer timer;
    bool timed_out;

    enum lh_read_mode read_mode;
    size_t read_bytes;
    struct lh_input input;

    const char *data; /* what httpd.write waits to write, kept alive by */
    size_t data_n;    /* the anchors table */
    bool anchored;    /* a lent string may be there */

    struct lh_file *file; /* what the call is about */
    void *handle;         /* and its handle */
    const char *open_mode;
    bool on_file;          /* it waits for the file, which knows */
    struct lh_timer late;  /* the response does not wait for the file */
    struct lh_timer again; /* it has moved enough for one turn */
    size_t data_done;      /* what the file has of `data` */
    size_t moved_bytes;    /* by files in this turn, without a wait */
    int error;             /* errno of LH_OUTCOME_ERROR */

    double serial;      /* of its last wait, no other wait of the VM has it */
    bool exposed;       /* the script knows its coroutine, or has changed it */
    int header_line;    /* where the response was started; 0: unknown */
    unsigned dead_ends; /* calls answered with "closed" */
    unsigned idle_yields; /* coroutine.yield() with nobody to answer */
    uint64_t resumed_ms;
    bool overran;     /* ran longer than handler_run_ms, and the log says so */
    bool cut;         /* the grace is over */
    bool told;        /* that the server stops; once is enough */
    bool again_begun; /* its begin failed once, by no fault of its own */
};

/* Keys of the constants table, whose strings stay interned. */
enum {
    LH_CONST_PROTOCOL = 1, /* and the next two, by enum lh_http_version */
    LH_CONST_DATE = 4,
    LH_CONST_METHOD,
    LH_CONST_PATH,
    LH_CONST_SCHEME,
    LH_CONST_AUTHORITY,
    LH_CONST_COMMON = 16, /* usual field names */
    LH_CONST_CACHE = 64,  /* by slot of vm->cache */
    LH_CONST_HANDLERS = 64 + 128,
};

/* After so many calls answered with "closed" the handler is taken for one that
 * does not look at answers. */
#define LH_DEAD_ENDS_MAX 100

#define LH_VM_CACHE 128 /* a power of two */

/* What requests said lately: clients repeat themselves, and comparing is
 * cheaper than making a string.  The text is the Lua string's own. */
struct lh_vm_cached {
    const char *p;
    size_t n;
};

/* A handler is called with env and header. */
#define LH_HANDLER_ARGUMENTS 2

struct lh_handler {
    char *what;    /* "handler /x (line 12)" */
    int arguments; /* those that it can see, no others are made */
};

struct lh_vm {
    lua_State *L;
    struct lh_context *ctx;
    struct lh_list ready_link; /* in the worker's list */
    struct lh_list *ready_list;
    struct lh_list ready; /* tasks with news */
    struct lh_list batch; /* those of them that run now */
    struct lh_list tasks;
    struct lh_list idle; /* tasks to be used again, some with a coroutine */
    unsigned idle_coroutines;
    unsigned tasks_n;
    double waits_n;
    int slots_n;
    struct lh_task *current; /* whose handler runs */

    char *prefix;
    const char *name; /* as the configuration has it */
    const lhttpd_vm_factory_t *factory;
    lhttpd_vm_factory_t factory_copy;

    struct lh_names names;
    struct lh_handler *known; /* by handler */
    unsigned known_n;
    int not_found, root;
    bool loading;
    uintptr_t stack_low; /* below it nothing calls back; 0: unknown */
    unsigned nested;     /* coroutines that run inside another */

    int64_t date_s; /* the time that LH_CONST_DATE is for */
    struct lh_vm_cached cache[LH_VM_CACHE];
    struct lh_input spare_input;

    /* References in the registry. */
    int anchors, handlers, threads, constants;
    int files, file_meta, file_open, file_close, popens;
    int failure;   /* the last error of a wrapped coroutine, its traceback */
    int hook_mask; /* of the script's own hook, where all share one */

    struct lh_list processes; /* that the script has started */
    int popens_n;
    bool sweep; /* lost handles are looked for after the next run */
    uint64_t swept_ms;
    struct lh_timer sweep_timer;

    lua_Alloc alloc; /* where memory is limited: what is behind the limit */
    void *alloc_data;
    uint64_t bytes, bytes_max, collect_at;
    int collector;        /* its function, in the registry */
    bool short_of_memory; /* an allocation failed: collect before going on */
    bool collects;        /* a whole collection runs, without limit */
    bool gc_stopped;      /* by the script */
    unsigned finalizers;  /* of the script that run now */
};

/* Where the turn keeps its tables on the main state's stack. */
enum {
    LH_AT_THREADS = 1,
    LH_AT_HANDLERS,
    LH_AT_CONSTANTS,
    LH_AT_MAKE_ENV,
    LH_AT_HEADER_META,
    LH_AT_LAST = LH_AT_HEADER_META
};

/* --- vm.c ----------------------------------------------------------------- */

/* From this frame on half of the stack is for functions that call back. */
void lh_vm_note_stack(struct lh_vm *vm);

/* --- task.c --------------------------------------------------------------- */

/* A task for the exchange, whose handler side it takes over.  NULL: no memory.
 */
struct lh_task *lh_task_new(struct lh_vm *vm, int handler,
                            struct lh_exchange *ex, struct lh_str path_info);

/* Queues it for the VM's next run. */
void lh_task_ready(struct lh_task *task);

/* One task's part of a turn.  Raises for lack of memory alone. */
void lh_task_run(struct lh_task *task, lua_State *L);

/* Its part of the turn raised: fails it.  Outside of any protected call. */
void lh_task_fail(struct lh_task *task, struct lh_str message);

/* It waits for nothing any more: cancels what was started. */
void lh_task_end_wait(struct lh_task *task);

/* The VM goes: frees it, whatever it does. */
void lh_task_free(struct lh_task *task);

/* Starts the response with its default status, if it was not started. */
int lh_task_start_response(struct lh_task *task);

/* Lets go of the exchange. */
void lh_task_let_go(struct lh_task *task);

/* Does nobody listen to the response any more? */
bool lh_task_is_closed(const struct lh_task *task);

const char *lh_version_text(enum lh_http_version version);

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

/* Adds the handler at index 2.  Its index, or as lh_names_add(). */
int lh_vm_add_handler(struct lh_vm *vm, lua_State *L, struct lh_str name);

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
