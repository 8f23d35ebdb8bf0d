/*
 * Inside lib/lua: what a call waits for.  The file of a call that may wait owns
 * a struct lh_wait, static and constant, and nobody else needs to know it: a
 * new kind of wait is a new file.
 */
#ifndef LH_LUA_WAIT_H
#define LH_LUA_WAIT_H

#include "lua/compat.h"

struct lh_task;

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

/*
 * A kind of wait.  lh_api_begin() notes it in the task; from `start` on, which
 * is called once the tag has reached the worker, `cancel` will be called
 * exactly once: when the wait is over, or when the task ends before.  Then
 * `finish` gives the answer, unless the task has ended.
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
    bool native;       /* of a C function of the program, see native.h */
};

/* How far the task's wait has got. */
enum lh_wait_step {
    LH_WAIT_NONE,    /* there is none, task->wait is NULL */
    LH_WAIT_BEGUN,   /* the call has returned the tag */
    LH_WAIT_STARTED, /* which has reached the worker */
    LH_WAIT_OVER,    /* `finish` has not given the answer yet */
};

#endif
