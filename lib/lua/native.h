/*
 * Inside lib/lua: C functions of the program that wait (lhttpd_task_suspend,
 * lhttpd_task_wait_fd).  Such a function suspends its coroutine; when the wait
 * is over, its `finish` makes the results, on the VM's main state and inside
 * the turn, and the coroutine is resumed with them.  `finish` may begin another
 * wait, which goes on in the same coroutine.
 */
#ifndef LH_LUA_NATIVE_H
#define LH_LUA_NATIVE_H

#include "lua/wait.h"
#include "lua/task.h"

/* Those of one `finish`. */
#define LH_NATIVE_RESULTS_MAX 16

/* One such wait.  It ends with its task, if not before. */
struct lh_native {
    struct lh_bound bound;
    struct lh_task *task;
    /* Pushes the results and returns their number; frees the wait, which is in
     * no list any more. */
    int (*finish)(lua_State *L, struct lh_native *native,
                  enum lh_outcome outcome);
};

/* The handler that L runs and that can wait; NULL: there is none. */
struct lh_task *lh_native_task(lua_State *L);

void lh_native_bind(struct lh_native *native, struct lh_task *task,
                    void (*on_task_end)(struct lh_bound *bound));

/* The end of the C function: what it returns. */
int lh_native_suspend(lua_State *L, struct lh_native *native,
                      const struct lh_wait *wait, int timeout_ms);

/* What ends any such wait; `done`: it has what it waits for. */
enum lh_outcome lh_native_poll(const struct lh_task *task, bool done);

/* The client is not kept waiting for what was written before. */
void lh_native_start(struct lh_task *task);

/* Its task may look at it. */
void lh_native_wake(const struct lh_native *native);

/* The task's wait is over: leaves the results in its coroutine and returns
 * their number; negative: there is another wait. */
int lh_native_answer(lua_State *L, struct lh_task *task);

#endif
