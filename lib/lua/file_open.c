/*
 * httpd.open and httpd.sync: operations that move no octets.  A file that is
 * opened after its task has gone is closed by its operation, since nobody would
 * know of it.
 */
#include "lua/file.h"

#include "base/mem.h"
#include "lua/api.h"
#include "lua/gc.h"
#include "os/error.h"
#include "os/stdio.h"

#include <limits.h>

/* Over once the operation is: what ends it sooner is the time-out and a stop's
 * grace alone, since a disk answers. */
static enum lh_outcome poll_operation(struct lh_task *task, lua_State *L)
{
    struct lh_file *file = task->on.file;

    (void)L;
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    if (!task->on.attached)
        return LH_OUTCOME_PENDING;
    if (file->operation)
        return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
    if (!file->error)
        return LH_OUTCOME_DONE;
    task->error = file->error;
    file->error = 0;
    return LH_OUTCOME_ERROR;
}

/* --- open ----------------------------------------------------------------- */

/* The handle was made before, closed, so that nothing can fail for lack of
 * Lua's memory now. */
static void deliver_open(struct lh_operation *op, struct lh_file *file)
{
    const struct lh_task_on *on = &file->task->on;
    int fd = (int)op->aio.result;
    FILE *fp;

    if (fd < 0) {
        file->error = fd;
        return;
    }
    file->error = lh_stdio_open(fd, on->open_mode, &fp);
    if (file->error == 0)
        lh_file_open_handle(file, on->handle, fp);
}

/* The path goes into the operation's own buffer, with its zero. */
static void start_open(struct lh_task *task)
{
    struct lh_file *file = task->on.file;
    struct lh_operation *op;

    lh_file_attach(task);
    op = lh_file_operation(file, LH_AIO_OPEN, task->data.n + 1, deliver_open);
    if (!op)
        return;
    memcpy(op->aio.p, task->data.p, task->data.n + 1);
    op->aio.path = op->aio.p;
    op->aio.flags = task->on.open_flags;
    op->aio.mode = 0666;
    lh_file_start(file, op);
}

/* Nobody would know of a file that opens later. */
static void cancel_open(struct lh_task *task)
{
    lh_file_leave_operation(task->on.file);
    lh_file_detach(task);
}

/* After a time-out the file may have been opened between the wake and now. */
static int push_opened(lua_State *L, struct lh_task *task)
{
    if (task->outcome == LH_OUTCOME_DONE) {
        lh_task_push_file(task, L);
        return 1;
    }
    lh_file_close_handle(task->on.handle); /* it came too late */
    if (task->outcome != LH_OUTCOME_ERROR)
        return lh_api_answer(L, task, task->outcome);
    return lh_api_path_error(L, task->data.p, task->error);
}

static const struct lh_wait open_wait = {
    .poll = poll_operation,
    .start = start_open,
    .cancel = cancel_open,
    .finish = push_opened,
    .keeps_handle = true,
    .keeps_data = true,
};

/* open_begin(path, mode, timeout). */
static int open_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.open");
    uint64_t timeout_ms = lh_api_timeout(L, 3, "httpd.open");
    int error;

    if (!task)
        return lh_api_refuse(L);
    lua_settop(L, 2);
    if (lua_type(L, 1) != LUA_TSTRING)
        return lh_api_argument_error(L, 1, "httpd.open", "string");
    task->data.p = lua_tolstring(L, 1, &task->data.n);
    if (strlen(task->data.p) != task->data.n)
        return lh_api_error(L, "httpd.open: a zero in the path");
    if (!lua_isnoneornil(L, 2) && lua_type(L, 2) != LUA_TSTRING)
        return lh_api_argument_error(L, 2, "httpd.open", "string");
    task->on.open_mode = lh_stdio_mode(
        lua_isnoneornil(L, 2) ? "r" : lua_tostring(L, 2), &task->on.open_flags);
    if (!task->on.open_mode)
        return lh_api_error(L, "httpd.open: the mode is 'r', 'w' or 'a', "
                               "perhaps with '+'");
    if (!task->vm->ctx->aio)
        return lh_api_error(L, "httpd.open: there is no server here");
    task->on.file = lh_file_push_handle(L, task->vm, &error);
    if (!task->on.file)
        return lh_api_path_error(L, task->data.p, error);
    task->on.handle = lua_touserdata(L, -1);
    lh_file_needs_no_turn(task);
    lua_insert(L, 1);
    return lh_api_begin(L, task, &open_wait, timeout_ms);
}

/* --- fdopen --------------------------------------------------------------- */

/* Pushes the handle first: nothing may fail once the descriptor is its. */
static int adopt_descriptor(lua_State *L, struct lh_vm *vm, int fd,
                            const char *mode)
{
    int error;
    struct lh_file *file = lh_file_push_handle(L, vm, &error);
    FILE *fp;

    if (!file)
        return lh_api_system_error(L, error);
    error = lh_stdio_adopt(fd, mode, &fp);
    if (error < 0)
        return lh_api_system_error(L, error);
    lh_file_open_handle(file, lua_touserdata(L, -1), fp);
    return 1;
}

/* httpd.fdopen(fd [, mode]).  Also while the script loads. */
static int httpd_fdopen(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    lua_Number fd = lua_tonumber(L, 1);
    const char *mode;
    int flags;

    if (!lh_gc_runs_script(L, vm))
        return lh_api_refuse(L);
    if (lua_type(L, 1) != LUA_TNUMBER)
        return lh_api_argument_error(L, 1, "httpd.fdopen", "number");
    if (!lua_isnoneornil(L, 2) && lua_type(L, 2) != LUA_TSTRING)
        return lh_api_argument_error(L, 2, "httpd.fdopen", "string");
    mode =
        lh_stdio_mode(lua_isnoneornil(L, 2) ? "r" : lua_tostring(L, 2), &flags);
    if (!mode)
        return lh_api_error(L, "httpd.fdopen: the mode is 'r', 'w' or 'a', "
                               "perhaps with '+'");
    if (!(fd >= 0 && fd <= INT_MAX))
        return lh_api_system_error(L, LH_SYS_EBADF);
    return adopt_descriptor(L, vm, (int)fd, mode);
}

/* --- sync ----------------------------------------------------------------- */

static void deliver_sync(struct lh_operation *op, struct lh_file *file)
{
    file->error = (int)op->aio.result;
}

/* What was written before has completed, since each write waited for that. */
static void start_sync(struct lh_task *task)
{
    struct lh_file *file = task->on.file;
    struct lh_operation *op;

    lh_file_attach(task);
    op = lh_file_operation(file, LH_AIO_SYNC, 0, deliver_sync);
    if (op)
        lh_file_start(file, op);
}

static const struct lh_wait sync_wait = {
    .poll = poll_operation,
    .start = start_sync,
    .cancel = lh_file_detach,
    .finish = lh_api_finish,
    .keeps_handle = true,
};

/* sync_begin(file, timeout). */
static int sync_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.sync");
    uint64_t timeout_ms = lh_api_timeout(L, 2, "httpd.sync");
    int error;

    if (!task)
        return lh_api_refuse(L);
    if (!lh_file_is_first(L))
        return lh_api_argument_error(L, 1, "httpd.sync", "file");
    task->on.file = lh_file_use(L, task, "httpd.sync", false, &error);
    if (!task->on.file)
        return lh_file_await_turn(L, task, timeout_ms);
    if (error < 0)
        return lh_api_system_error(L, error);
    return lh_api_begin(L, task, &sync_wait, timeout_ms);
}

const luaL_Reg lh_file_open_begins[] = {
    {"open_begin", open_begin},
    {"fdopen", httpd_fdopen},
    {"sync_begin", sync_begin},
    {NULL, NULL},
};
