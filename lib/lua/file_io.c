/*
 * httpd.read and httpd.write on files.  What has a position, or cannot be
 * waited for, is moved by operations (os/aio.h), in pieces; what the page cache
 * has is read at once, within a budget.  Pipes wait for their events.
 *
 * Octets that were read stay in file->ahead until a call takes them, so that a
 * time-out loses nothing.  The position is file->offset less what waits there.
 * A write begins behind what the script has seen: what was read ahead is
 * forgotten first.
 */
#include "lua/file.h"

#include "base/mem.h"
#include "base/num.h"
#include "lua/api.h"
#include "lua/gc.h"
#include "os/error.h"
#include "os/evq.h"
#include "os/pipe.h"
#include "os/stdio.h"

/* What a task may move in one turn without a wait.  With much more a reader of
 * cached files would be felt by others; with less, turns would cost more. */
#define BUDGET_BYTES ((size_t)64 << 10)

/* The most that one operation moves, and the least that it reads for a line. */
#define PIECE_BYTES ((size_t)1 << 20)
#define LINE_BYTES  ((size_t)64 << 10)

/* What a wait has ended counts from zero again. */
bool lh_file_has_budget(const struct lh_task *task)
{
    return task->on.moved_bytes < BUDGET_BYTES;
}

/* The file has told its error, and may be used again. */
static enum lh_outcome file_failed(struct lh_task *task, int error)
{
    task->error = error;
    task->on.file->error = 0;
    return LH_OUTCOME_ERROR;
}

/* What ends a wait, or keeps it from beginning.  Only a pipe may keep its
 * reader waiting for ever, so only there a client that has gone and a stop end
 * the wait; a disk answers. */
static enum lh_outcome file_interrupted(const struct lh_task *task, bool reads)
{
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    if (task->on.file->pollable && task->on.attached) {
        if (reads && task->ex && lh_task_is_closed(task))
            return LH_OUTCOME_CLOSED;
        if (lh_api_stops(task))
            return LH_OUTCOME_STOPPING;
    }
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* The event is asked for once.  If that fails the task learns why. */
static void wait_for_event(struct lh_file *file, unsigned interest)
{
    file->task->on.moved_bytes = 0;
    int r = lh_evq_change(file->vm->ctx->evq, file->descriptor->fd,
                          interest | LH_EV_ONESHOT, file->tag);
    if (r < 0) {
        file->error = r;
        lh_task_ready(file->task);
    }
}

/* The next turn has come. */
static void go_on(struct lh_timer *timer)
{
    struct lh_task *task = LH_OF(timer, struct lh_task, on.pause_timer);

    task->on.moved_bytes = 0;
    lh_task_ready(task);
}

/* Not in a further round of this turn: events come first. */
void lh_file_pause(struct lh_task *task)
{
    struct lh_context *ctx = task->vm->ctx;

    task->on.pause_timer.fire = go_on;
    lh_timer_arm(&ctx->timers, &task->on.pause_timer, ctx->now_ms);
}

/* What has no position, or writes at the end whatever its position, leaves it
 * to the kernel. */
static void start_operation(struct lh_file *file, struct lh_operation *op)
{
    bool here =
        file->seekable && !(file->appends && op->aio.kind != LH_AIO_READ);

    op->aio.offset = here ? file->offset : LH_AIO_NO_OFFSET;
    lh_file_start(file, op);
}

/* --- read ----------------------------------------------------------------- */

/* The operation's buffer becomes the file's, if that one is empty. */
static bool keep_octets(struct lh_input *in, struct lh_operation *op, size_t n)
{
    if (in->at == in->n) {
        lh_free(in->p);
        *in = (struct lh_input){.p = op->aio.p, .n = n, .room = op->aio.n};
        op->aio.p = NULL;
        return true;
    }
    if (!lh_input_room(in, n))
        return false;
    memcpy(in->p + in->n, op->aio.p, n);
    in->n += n;
    return true;
}

/* Fewer octets than asked for, at a position, mean the end of the file. */
static void deliver_read(struct lh_operation *op, struct lh_file *file)
{
    int64_t result = op->aio.result;

    lh_input_take_back(file->vm);
    if (result < 0)
        file->error = (int)result;
    else if (result > 0 && !keep_octets(&file->ahead, op, (size_t)result))
        file->error = LH_SYS_ENOMEM;
    else
        file->offset += (uint64_t)result;
    file->ended = result == 0 ||
                  (result > 0 && file->seekable && (size_t)result < op->aio.n);
}

/* Asks for what the call wants, but at least for a piece that is worth an
 * operation. */
static void start_read(struct lh_task *task)
{
    struct lh_file *file = task->on.file;
    size_t n = lh_min(lh_read_wants(&task->read, &file->ahead), PIECE_BYTES);

    if (task->read.mode != LH_READ_BYTES && n < LINE_BYTES)
        n = LINE_BYTES;
    struct lh_operation *op =
        lh_file_operation(file, LH_AIO_READ, n, deliver_read);
    if (op)
        start_operation(file, op);
}

/* What is shared with other programs may be read and written by waiting alone.
 */
static ssize_t unless_unwatched(struct lh_file *file, ssize_t error)
{
    if (error != LH_SYS_EOPNOTSUPP)
        return error;
    lh_file_unwatch(file);
    return LH_SYS_EAGAIN;
}

/* Octets, 0 at the end, or a negative errno; LH_SYS_EAGAIN: not without
 * waiting. */
static ssize_t read_at_once(struct lh_task *task, struct lh_file *file)
{
    struct lh_input *in = &file->ahead;
    size_t n = lh_min(lh_read_wants(&task->read, in), BUDGET_BYTES);
    int fd = file->descriptor->fd;
    ssize_t got;

    if (!lh_file_has_budget(task) || (!file->seekable && !file->pollable))
        return LH_SYS_EAGAIN;
    if (!lh_input_room(in, n))
        return LH_SYS_ENOMEM;
    if (file->pollable) {
        got = lh_pipe_read(fd, in->p + in->n, n);
        if (got < 0)
            return unless_unwatched(file, got);
    } else {
        got = lh_aio_read_cached(fd, in->p + in->n, n, file->offset);
        if (got < 0)
            return LH_SYS_EAGAIN;
        file->offset += (uint64_t)got;
    }
    in->n += (size_t)got;
    task->on.moved_bytes += (size_t)got;
    return got;
}

/* All that can be had without waiting, until the call has enough. */
static enum lh_outcome read_now(struct lh_task *task, struct lh_file *file)
{
    enum lh_outcome outcome;

    while ((outcome = lh_read_enough(task->vm, &task->read, &file->ahead)) ==
           LH_OUTCOME_PENDING) {
        if (file->operation)
            return LH_OUTCOME_PENDING;
        if (file->error)
            return file_failed(task, file->error);
        if (file->ended)
            return LH_OUTCOME_DONE;
        ssize_t got = read_at_once(task, file);
        if (got == LH_SYS_EAGAIN)
            return LH_OUTCOME_PENDING;
        file->error = got < 0 ? (int)got : 0;
        file->ended = got == 0;
    }
    return outcome;
}

/* The task waits: sees to it that something wakes it. */
static void read_on(struct lh_task *task)
{
    struct lh_file *file = task->on.file;

    if (file->operation)
        return;
    if (!lh_file_has_budget(task))
        lh_file_pause(task);
    else if (file->pollable)
        wait_for_event(file, LH_EV_READ);
    else
        start_read(task);
}

/* Octets that are there win over whatever else would end the wait. */
static enum lh_outcome poll_file_read(struct lh_task *task, lua_State *L)
{
    enum lh_outcome outcome = read_now(task, task->on.file);

    (void)L;
    if (outcome == LH_OUTCOME_PENDING)
        outcome = file_interrupted(task, true);
    if (outcome == LH_OUTCOME_PENDING && task->on.attached)
        read_on(task);
    return outcome;
}

/* Something may have happened between the call and the worker. */
static void start_file_read(struct lh_task *task)
{
    lh_file_attach(task);
    if (file_interrupted(task, true) == LH_OUTCOME_PENDING)
        read_on(task);
    else
        lh_task_ready(task);
}

static int push_file_read(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    return lh_read_push_held(L, task->vm, &task->read, &task->on.file->ahead);
}

static const struct lh_wait file_read_wait = {
    .poll = poll_file_read,
    .start = start_file_read,
    .cancel = lh_file_detach,
    .finish = push_file_read,
    .keeps_handle = true,
};

int lh_file_read_begin(lua_State *L, struct lh_task *task)
{
    uint64_t timeout_ms = lh_api_timeout(L, 3, "httpd.read");
    int error;

    lh_read_mode(L, &task->read);
    task->on.file = lh_file_use(L, task, "httpd.read", true, &error);
    if (!task->on.file)
        return lh_file_await_turn(L, task, timeout_ms);
    if (error == 0 && !task->on.file->readable)
        error = LH_SYS_EBADF;
    if (error < 0)
        return lh_api_system_error(L, error);
    return lh_api_begin(L, task, &file_read_wait, timeout_ms);
}

/* An error is found again by the read that follows. */
bool lh_file_readable(struct lh_task *task, struct lh_file *file)
{
    task->read = (struct lh_read){.mode = LH_READ_SOME};
    return read_now(task, file) != LH_OUTCOME_PENDING;
}

void lh_file_watch_on(struct lh_task *task)
{
    read_on(task);
}

void lh_file_watch(struct lh_task *task)
{
    lh_file_attach(task);
    read_on(task);
}

/* --- write ---------------------------------------------------------------- */

/* An append went to the end, wherever that was: the position is asked for. */
static void deliver_write(struct lh_operation *op, struct lh_file *file)
{
    int64_t result = op->aio.result;

    if (result > 0) {
        file->moved += (size_t)result;
        file->offset += (uint64_t)result;
    } else {
        file->error = result < 0 ? (int)result : LH_SYS_EIO;
    }
    if (file->appends && file->seekable)
        file->offset = lh_stdio_offset(file->descriptor->fd);
}

/* Others write there too, wherever the position is then. */
static int claim_place(struct lh_file *file, size_t n)
{
    int64_t place;

    if (!file->shared || file->appends)
        return 0;
    place = lh_stdio_claim(file->descriptor->fd, n);
    if (place < 0)
        return (int)place;
    file->offset = (uint64_t)place;
    return 0;
}

/* What the FILE had held back goes before what the call writes. */
static struct lh_str next_octets(const struct lh_task *task)
{
    const struct lh_input *first = &task->on.file->behind;

    if (lh_input_bytes(first))
        return (struct lh_str){first->p + first->at, lh_input_bytes(first)};
    return (struct lh_str){task->data.p + task->data.done,
                           task->data.n - task->data.done};
}

/* `moved` is of whichever of the two next_octets() gave. */
static void note_moved(struct lh_task *task, struct lh_file *file)
{
    if (lh_input_bytes(&file->behind))
        file->behind.at += file->moved;
    else
        task->data.done += file->moved;
    file->moved = 0;
}

/* The octets are copied, since the kernel has them as long as it likes, and the
 * string only as long as the task waits. */
static void start_write(struct lh_task *task)
{
    struct lh_file *file = task->on.file;
    struct lh_str next = next_octets(task);
    size_t n = lh_min(next.n, PIECE_BYTES);
    struct lh_operation *op =
        lh_file_operation(file, LH_AIO_WRITE, n, deliver_write);

    if (!op)
        return;
    file->error = claim_place(file, n);
    if (file->error) {
        lh_operation_free(op);
        lh_task_ready(task);
        return;
    }
    memcpy(op->aio.p, next.p, n);
    start_operation(file, op);
}

/* All that a pipe takes without waiting.  A file on a disk takes none: its
 * writes are operations. */
static enum lh_outcome write_now(struct lh_task *task, struct lh_file *file)
{
    for (;;) {
        if (file->operation)
            return LH_OUTCOME_PENDING;
        note_moved(task, file);
        if (file->error)
            return file_failed(task, file->error);
        struct lh_str next = next_octets(task);
        if (next.n == 0)
            return LH_OUTCOME_DONE;
        if (!file->pollable || !lh_file_has_budget(task))
            return LH_OUTCOME_PENDING;
        ssize_t n = lh_pipe_write(file->descriptor->fd, next.p, next.n);
        if (n < 0)
            n = unless_unwatched(file, n);
        if (n == LH_SYS_EAGAIN)
            return LH_OUTCOME_PENDING;
        file->error = n < 0 ? (int)n : 0;
        file->moved = n < 0 ? 0 : (size_t)n;
        task->on.moved_bytes += file->moved;
    }
}

/* The task waits: sees to it that something wakes it. */
static void write_on(struct lh_task *task)
{
    struct lh_file *file = task->on.file;

    if (file->operation)
        return;
    if (!file->pollable)
        start_write(task);
    else if (!lh_file_has_budget(task))
        lh_file_pause(task);
    else
        wait_for_event(file, LH_EV_WRITE);
}

static enum lh_outcome poll_file_write(struct lh_task *task, lua_State *L)
{
    enum lh_outcome outcome = write_now(task, task->on.file);

    (void)L;
    if (outcome == LH_OUTCOME_PENDING)
        outcome = file_interrupted(task, false);
    if (outcome == LH_OUTCOME_PENDING && task->on.attached)
        write_on(task);
    return outcome;
}

static void start_file_write(struct lh_task *task)
{
    lh_file_attach(task);
    if (file_interrupted(task, false) == LH_OUTCOME_PENDING)
        write_on(task);
    else
        lh_task_ready(task);
}

static int push_file_written(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    lua_pushinteger(L, (lua_Integer)task->data.n);
    return 1;
}

/* What was read ahead would be out of date. */
static void forget_ahead(struct lh_file *file)
{
    if (file->seekable)
        file->offset -= lh_input_bytes(&file->ahead);
    if (file->seekable || file->ahead.at == file->ahead.n)
        file->ahead.at = file->ahead.n = 0;
}

static const struct lh_wait file_write_wait = {
    .poll = poll_file_write,
    .start = start_file_write,
    .cancel = lh_file_detach,
    .finish = push_file_written,
    .keeps_handle = true,
    .keeps_data = true,
};

/* The string is at index 2. */
int lh_file_write_begin(lua_State *L, struct lh_task *task, uint64_t timeout_ms)
{
    int error;

    task->on.file = lh_file_use(L, task, "httpd.write", false, &error);
    if (!task->on.file)
        return lh_file_await_turn(L, task, timeout_ms);
    if (error == 0 && !task->on.file->writable)
        error = LH_SYS_EBADF;
    if (error < 0)
        return lh_api_system_error(L, error);
    forget_ahead(task->on.file);
    task->data.done = 0;
    return lh_api_begin(L, task, &file_write_wait, timeout_ms);
}

/* --- what a FILE held back ------------------------------------------------ */

/* Does a pipe hold back octets for somebody who can wait? */
static bool holds_back(lua_State *L, const struct lh_vm *vm,
                       const struct lh_file *file)
{
    FILE *fp = lh_lua_file(L, 1);

    if (!vm->current || !lh_gc_runs_script(L, vm) || !file || !fp ||
        file->dead || lh_file_is_busy(file) ||
        (!file->pollable && !file->process))
        return false;
    return lh_input_bytes(&file->behind) || lh_stdio_behind(fp);
}

/* As a write of nothing, so that what is held back leaves. */
static const struct lh_wait drain_wait = {
    .poll = poll_file_write,
    .start = start_file_write,
    .cancel = lh_file_detach,
    .finish = push_file_written,
    .keeps_handle = true,
};

/* drain_begin(handle, timeout): the first half of httpd.close, true where there
 * is nothing to write. */
static int drain_begin(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    uint64_t timeout_ms = lh_api_timeout(L, 2, "httpd.close");
    struct lh_task *task = vm->current;
    int error;

    lua_settop(L, 2);
    if (!lh_file_is_first(L) || !holds_back(L, vm, lh_file_find(L, vm, 1))) {
        lua_pushboolean(L, 1);
        return 1;
    }
    task->on.file = lh_file_use(L, task, "httpd.close", false, &error);
    if (!task->on.file)
        return lh_file_await_turn(L, task, timeout_ms);
    if (error < 0)
        return lh_api_system_error(L, error);
    task->data.n = task->data.done = 0;
    return lh_api_begin(L, task, &drain_wait, timeout_ms);
}

const luaL_Reg lh_file_io_begins[] = {
    {"drain_begin", drain_begin},
    {NULL, NULL},
};
