/*
 * Inside lib/lua: what a VM is made of.  Its counts agree with its lists:
 * tasks_n with `tasks`, idle_coroutines with the tasks in `idle` that have one.
 */
#ifndef LH_LUA_STATE_H
#define LH_LUA_STATE_H

#include "http/route.h"
#include "lua/input.h"
#include "lua/vm.h"

struct lh_task;

/* Keys of the constants table, whose strings stay interned. */
enum {
    LH_CONST_PROTOCOL = 1, /* and the next two, by enum lh_http_version */
    LH_CONST_DATE = 4,
    LH_CONST_METHOD,
    LH_CONST_PATH,
    LH_CONST_SCHEME,
    LH_CONST_AUTHORITY,
    LH_CONST_COMMON = 16, /* lh_usual_names */
    LH_CONST_CACHE = 64,  /* by slot of vm->cache */
    LH_CONST_HANDLERS = 64 + 128,
};

/* Coroutines that run inside each other, as far as a signal can end them: as
 * deep as the VMs allow. */
#define LH_KILL_CHAIN 200

/* What a signal looks at: see kill.h.  `chain` has the main state, and behind
 * it what runs. */
struct lh_kill {
    lua_State *volatile chain[LH_KILL_CHAIN];
    volatile unsigned n;
    volatile bool on; /* hooks are set, which raise */
    unsigned raised;  /* errors in this run */
    int anchors;      /* reference to what keeps the coroutines alive */
};

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
    struct lh_run_words *what; /* "handler /x (line 12)" */
    struct lh_tally *tally;    /* NULL: nobody counts */
    int arguments;             /* those that it can see, no others are made */
    bool notes_line;           /* where a response starts; see api.h */
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
    double waits_n, forms_n;
    int slots_n;
    struct lh_task *current; /* whose handler runs */
    struct lh_kill kill;

    char *prefix;
    const char *name; /* as the configuration has it */
    const lhttpd_vm_factory_t *factory;
    lhttpd_vm_factory_t factory_copy;

    struct lh_names names;
    struct lh_handler *known; /* by handler */
    unsigned known_n;
    int not_found, root;
    bool loading;
    bool stopping;       /* the server stops, or other VMs serve what comes */
    uintptr_t stack_low; /* below it nothing calls back; 0: unknown */
    unsigned nested;     /* coroutines that run inside another */

    int64_t date_s; /* the time that LH_CONST_DATE is for */
    struct lh_vm_cached cache[LH_VM_CACHE];
    struct lh_input spare_input;
    struct lh_input given_octets; /* of a stream, that become a string */
    struct lh_input *giving;      /* whose they are; NULL: it has ended */
    char *loaded_answer; /* of a shared value, while the script loads */
    struct lh_publication *given;        /* the message that becomes a string */
    struct lh_ws_message *left_messages; /* see websocket.c */

    /* References in the registry. */
    int anchors, handlers, threads, constants;
    int files, file_meta, file_open, file_close, popens;
    int subscription_meta, websocket_meta, part_meta, socket_meta;
    int failure;   /* the last error of a wrapped coroutine, its traceback; and
                      see raise.h */
    int hook_mask; /* of the script's own hook, where all share one */

    /* An error that a coroutine is to raise, and the hook that it had. */
    struct {
        lua_State *co; /* NULL: there is none */
        lua_Hook hook;
        int mask, count;
        bool hooked;
    } raise;

    struct lh_list jobs;      /* struct lh_job: functions of httpd.every */
    unsigned spawned_n;       /* tasks of httpd.spawn */
    struct lh_list processes; /* that the script has started */
    int popens_n;
    bool sweep; /* lost handles are looked for after the next run */
    uint64_t swept_ms;
    struct lh_timer sweep_timer;

    lua_Alloc alloc; /* where memory is limited: what is behind the limit */
    void *alloc_data;
    void *remains; /* of a state with the program's allocator (alloc.h) */
    uint64_t bytes, bytes_max, collect_at;
    uint64_t kib;         /* of it that the worker's counters have */
    uint64_t count_at_ms; /* when these are to be told again */
    bool counted;         /* it is among the VMs there */
    int collector;        /* its function, in the registry */
    void *reserve;        /* for a collection, where the process is limited */
    bool short_of_memory; /* an allocation failed: collect before going on */
    bool over_limit;      /* the VM's own limit refused it, not the system */
    bool collects;        /* a whole collection runs, without limit */
    bool gc_stopped;      /* by the script */
    unsigned finalizers;  /* of the script that run now */
};

/* The main state's stack between turns: the function of the turn, above it the
 * tables that it is called with, since arguments are what is copied fastest. */
#define LH_TURN 1

/* Where the turn has its tables on the stack. */
enum {
    LH_AT_THREADS = 1,
    LH_AT_HANDLERS,
    LH_AT_CONSTANTS,
    LH_AT_MAKE_ENV,
    LH_AT_HEADER_META,
    LH_AT_LAST = LH_AT_HEADER_META
};

/* The VM of a C function that lh_api_register() has made. */
static inline struct lh_vm *lh_vm_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

#endif
