/*
 * Turns on a file that several handlers of a VM use, as io.stdout: who finds it
 * in use waits in file->queue, in the order of the calls.  Whenever nobody uses
 * the file the first of the queue has been told (lh_file_tell), so that each
 * who leaves passes it on.  A call begins anew once it is its turn, and finds
 * the file as the one before has left it, which may be closed.
 */
#include "lua/file.h"

#include "base/num.h"
#include "lua/api.h"
#include "lua/gc.h"

/* A read that was left behind does no harm: whoever comes next may wait for it.
 */
bool lh_file_is_busy(const struct lh_file *file)
{
    return file->task ||
           (file->operation && file->operation->aio.kind != LH_AIO_READ);
}

static bool is_first(const struct lh_task *task)
{
    return task->on.file->queue.next == &task->on.turn_link;
}

/* As in the call itself, nothing but a pipe ends the wait before its time:
 * disks answer, and what a handler writes is written though its client
 * leaves. */
static enum lh_outcome queue_interrupted(const struct lh_task *task)
{
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    if (task->on.file->pollable && lh_list_linked(&task->on.turn_link)) {
        if (task->on.reads && task->ex && lh_task_is_closed(task))
            return LH_OUTCOME_CLOSED;
        if (lh_api_stops(task))
            return LH_OUTCOME_STOPPING;
    }
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

static enum lh_outcome poll_queue(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (is_first(task) && !lh_file_is_busy(task->on.file))
        return LH_OUTCOME_DONE;
    return queue_interrupted(task);
}

/* Those before it may take long, so what was written before leaves now. */
static void join_queue(struct lh_task *task)
{
    lh_list_append(&task->on.file->queue, &task->on.turn_link);
    task->on.due_ms = lh_deadline(task->vm->ctx->now_ms, task->timeout_ms);
    if (task->ex)
        lh_exchange_release(task->ex);
    if (poll_queue(task, NULL) != LH_OUTCOME_PENDING)
        lh_task_ready(task);
}

/* The next one looks, unless this one takes the file before. */
static void leave_queue(struct lh_task *task)
{
    lh_list_remove(&task->on.turn_link);
    lh_file_tell(task->on.file);
}

static int push_turn(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    task->on.turn = task->on.file;
    lua_pushlightuserdata(L, lh_api_tag());
    return 1;
}

static const struct lh_wait queue_wait = {
    .poll = poll_queue,
    .start = join_queue,
    .cancel = leave_queue,
    .finish = push_turn,
    .keeps_handle = true,
};

int lh_file_await_turn(lua_State *L, struct lh_task *task, uint64_t timeout_ms)
{
    task->on.file = task->on.wanted;
    return lh_api_begin(L, task, &queue_wait, timeout_ms);
}

void lh_file_needs_no_turn(struct lh_task *task)
{
    task->on.turn = NULL;
    task->on.due_ms = 0;
}

bool lh_file_is_its_turn(struct lh_task *task, struct lh_file *file)
{
    bool has_turn = task->on.turn == file;

    task->on.turn = NULL;
    task->on.wanted = file;
    if (!has_turn)
        task->on.due_ms = 0;
    return !lh_file_is_busy(file) && (has_turn || lh_list_empty(&file->queue));
}

int lh_file_wait_for_turn(lua_State *L, struct lh_file *file,
                          uint64_t timeout_ms)
{
    struct lh_task *task = file->vm->current;

    if (task ? lh_file_is_its_turn(task, file) : !lh_file_is_busy(file))
        return 0;
    if (!task || !lh_gc_runs_script(L, file->vm))
        return lh_api_error(L, "an operation on the file is under way");
    task->on.reads = false;
    return lh_file_await_turn(L, task, timeout_ms);
}
