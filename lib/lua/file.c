/*
 * The state that httpd keeps of an io handle: see file.h. boot.lua's wrappers
 * of the file methods call what is here.
 *
 * A file is either Lua's or ours.  While it is ours nothing is in the FILE's
 * buffer; whoever calls a buffered method first gives it back
 * (lh_file_give_back), whoever calls a function of httpd takes it over
 * (lh_file_use).  At most one task waits for a file, and at most one operation
 * is on its way; others that want the file wait for their turn (file_turn.c).
 * An operation that nobody waits for any more is done with all the same: the
 * next call finds a read's octets, and waits for the end of any other.
 */
#include "lua/file.h"

#include "base/mem.h"
#include "lua/api.h"
#include "lua/gc.h"
#include "os/evq.h"
#include "os/error.h"
#include "os/pipe.h"
#include "os/stdio.h"

#include <stdio.h>

/* How long a response may wait for an operation on a file. */
#define LATE_MS 20

/* --- the state ------------------------------------------------------------ */

/* A pipe or terminal is ready.  The event was one-shot, so it reports once for
 * each wait. */
static void on_file_event(struct lh_source *source, unsigned ready)
{
    struct lh_file *file = LH_OF(source, struct lh_file, source);

    (void)ready;
    if (file->task)
        lh_task_ready(file->task);
}

/* The table has the handle for its key, and does not keep it alive. */
struct lh_file *lh_file_find(lua_State *L, struct lh_vm *vm, int index)
{
    struct lh_file *file;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->files);
    if (!lua_istable(L, -1)) { /* a registry of 5.1 that memory failed for */
        lua_pop(L, 1);
        return NULL;
    }
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    file = lua_touserdata(L, -1);
    lua_pop(L, 2);
    return file;
}

/* Makes the state of the handle at `index`.  It is a userdata, so that the
 * collector frees it with its handle. */
static struct lh_file *new_file(lua_State *L, struct lh_vm *vm, int index)
{
    struct lh_file *file;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->files);
    lua_pushvalue(L, index);
    file = lua_newuserdata(L, sizeof(*file));
    *file = (struct lh_file){.vm = vm};
    lh_list_init(&file->queue);
    file->source.on_event = on_file_event;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->file_meta);
    lua_setmetatable(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return file;
}

/* What is on its way goes on, since nothing ends it; it finds nobody then. */
void lh_file_leave_operation(struct lh_file *file)
{
    if (!file->operation)
        return;
    file->operation->file = NULL;
    file->operation = NULL;
}

/* It shares the descriptor of the file, so that closing the file meanwhile
 * cannot give the number to another one. */
struct lh_operation *lh_file_operation(struct lh_file *file,
                                       enum lh_aio_kind kind, size_t n,
                                       void (*deliver)(struct lh_operation *op,
                                                       struct lh_file *file))
{
    struct lh_operation *op =
        lh_operation_new(file->vm->ctx, kind, file->descriptor, n);

    if (op) {
        op->deliver = deliver;
        return op;
    }
    file->error = LH_SYS_ENOMEM;
    lh_task_ready(file->task);
    return NULL;
}

/* An operation is a wait, after which the task may move a full budget again. */
void lh_file_start(struct lh_file *file, struct lh_operation *op)
{
    op->file = file;
    file->operation = op;
    if (file->task)
        file->task->on.moved_bytes = 0;
    lh_operation_start(op);
}

/* Frees all octets between the file and its users. */
static void drop_ahead(struct lh_file *file)
{
    lh_input_leave(file->vm, &file->ahead);
    lh_free(file->ahead.p);
    lh_free(file->sending.in.p);
    lh_free(file->behind.p);
    file->ahead = file->behind = file->sending.in =
        (struct lh_input){.p = NULL};
    lh_conduit_drop(file->sending.conduit);
    file->sending.conduit = NULL;
}

/* The event queue forgets the descriptor before that is closed. */
void lh_file_unwatch(struct lh_file *file)
{
    const struct lh_context *ctx = file->vm->ctx;

    if (!file->pollable)
        return;
    lh_evq_forget(ctx->evq, file->descriptor->fd);
    lh_slots_remove(ctx->slots, file->tag);
    file->pollable = false;
}

/* The FILE stays as it is: its own position counts from here on. */
void lh_file_forget(struct lh_file *file)
{
    lh_file_leave_operation(file);
    lh_file_unwatch(file);
    file->ours = false;
    lh_descriptor_drop(file->descriptor);
    file->descriptor = NULL;
    drop_ahead(file);
}

/* --- a descriptor of our own ---------------------------------------------- */

/* Devices that cannot be waited for are left to operations. */
static int watch_file(struct lh_file *file, int fd)
{
    const struct lh_context *ctx = file->vm->ctx;

    if (!ctx->evq)
        return LH_SYS_ENOTSUP;
    if (lh_slots_add(ctx->slots, &file->source, &file->tag) < 0)
        return LH_SYS_ENOMEM;
    int error = lh_evq_add(ctx->evq, fd, LH_EV_ONESHOT, file->tag);
    if (error == 0) {
        file->pollable = true;
        return 0;
    }
    lh_slots_remove(ctx->slots, file->tag);
    return error == LH_SYS_EPERM ? 0 : error;
}

/* Makes the descriptor that operations use.  What the FILE may do, the twin may
 * do; what is on no disk is watched. */
static int open_twin(struct lh_file *file, FILE *fp)
{
    struct lh_descriptor *d = lh_alloc(sizeof(*d));
    struct lh_stdio_twin twin;
    int r;

    if (!d)
        return LH_SYS_ENOMEM;
    r = lh_stdio_duplicate(fp, &twin);
    if (r < 0) {
        lh_free(d);
        return r;
    }
    *d = (struct lh_descriptor){.fd = twin.fd, .refs = 1};
    file->readable = twin.readable;
    file->writable = twin.writable;
    file->appends = twin.appends;
    file->standard = twin.standard;
    file->shared = twin.shared;
    r = twin.on_disk ? 0 : watch_file(file, twin.fd);
    if (r < 0) {
        lh_descriptor_drop(d);
        return r;
    }
    file->descriptor = d;
    return 0;
}

/* --- whose turn it is ----------------------------------------------------- */

/* Nobody but this handle has what it has opened, standard streams apart. */
static void change_hands(struct lh_file *file, bool ours)
{
    file->ours = ours;
    if (file->pollable && !file->standard)
        lh_pipe_set_nonblocking(file->descriptor->fd, ours);
}

/* A log file that other programs write, too: its position is asked for each
 * time. */
static int take_over_shared(struct lh_file *file, FILE *fp)
{
    file->seekable = true;
    file->offset = lh_stdio_offset(file->descriptor->fd);
    return lh_stdio_flush(fp);
}

/* To flush it might wait for who reads the pipe. */
static int take_behind(struct lh_file *file, FILE *fp)
{
    struct lh_input *in = &file->behind;
    size_t n = lh_stdio_behind(fp);

    if (n == 0 || !file->pollable || file->standard)
        return 0;
    if (!lh_input_room(in, n))
        return LH_SYS_ENOMEM;
    lh_stdio_take_behind(fp, in->p + in->n);
    in->n += n;
    return 0;
}

/* Writes what a pipe's FILE had held back, as far as that needs no waiting; the
 * rest goes before the next octets of the task. 0 or an error. */
static int push_behind(struct lh_file *file)
{
    struct lh_input *in = &file->behind;
    ssize_t n = 0;

    while (n >= 0 && lh_input_bytes(in)) {
        n = lh_pipe_write(file->descriptor->fd, in->p + in->at,
                          lh_input_bytes(in));
        in->at += n > 0 ? (size_t)n : 0;
    }
    if (n < 0 && n != LH_SYS_EAGAIN) {
        in->at = in->n = 0;
        return (int)n;
    }
    return 0;
}

/* Makes the file ours: what the FILE holds back is written, and what it has
 * read ahead is taken or read again. 0 or an error. */
static int take_over(struct lh_file *file, FILE *fp)
{
    struct lh_input *in = &file->ahead;
    int64_t offset;
    int r;

    if (file->shared)
        return take_over_shared(file, fp);
    r = take_behind(file, fp);
    if (r == 0)
        r = lh_stdio_leave(fp, &offset);
    if (r < 0)
        return r;
    file->seekable = offset >= 0 && !file->pollable;
    if (file->seekable) {
        file->offset = (uint64_t)offset;
    } else {
        size_t n = lh_stdio_ahead(fp);
        if (!lh_input_room(in, n))
            return LH_SYS_ENOMEM;
        in->n += lh_stdio_take(fp, in->p + in->n, n);
    }
    change_hands(file, true);
    return push_behind(file);
}

/* Makes the file Lua's: the FILE gets the position where a position is known,
 * and else the octets themselves. */
void lh_file_give_back(struct lh_file *file, FILE *fp)
{
    struct lh_input *in = &file->ahead, *behind = &file->behind;

    lh_input_take_back(file->vm);
    size_t n = lh_input_bytes(in);
    lh_file_leave_operation(file);
    if (file->shared) {
        lh_stdio_flush(fp);
        file->ours = false;
        return;
    }
    if (file->seekable)
        lh_stdio_resume(fp, (int64_t)(file->offset - n));
    else if (n)
        lh_stdio_unread(fp, in->p + in->at, n);
    change_hands(file, false);
    if (lh_input_bytes(behind))
        fwrite(behind->p + behind->at, 1, lh_input_bytes(behind), fp);
    drop_ahead(file);
}

/* give_back(handle, state): before a buffered method. */
static int give_back_call(lua_State *L)
{
    struct lh_file *file = lua_touserdata(L, 2);
    FILE *fp = lh_lua_file(L, 1);
    int waits;

    if (!lh_gc_runs_alone(L, file->vm))
        return lh_api_refuse(L);
    waits = lh_file_wait_for_turn(L, file, LH_NEVER);
    if (waits)
        return waits;
    if (fp && file->ours)
        lh_file_give_back(file, fp);
    return 0;
}

/* The handle stays, as one that is closed. */
void lh_file_close_handle(void *handle)
{
    FILE *fp = lh_lua_file_take(handle);

    if (fp)
        lh_stdio_close(fp);
}

/* Pushes io.open(path), 0; or nothing and returns the error. */
static int open_by_io(lua_State *L, const struct lh_vm *vm, const char *path)
{
    int error;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->file_open);
    lua_pushstring(L, path);
    lua_pushliteral(L, "r");
    lua_call(L, 2, 3);
    if (!lua_isnil(L, -3)) {
        lua_pop(L, 2);
        return 0;
    }
    error = -(int)lua_tointeger(L, -1);
    lua_pop(L, 3);
    return error;
}

/* io makes a handle for what it has opened alone, which is held no longer than
 * needed.  A jail's root need not be readable, but then the script was. */
struct lh_file *lh_file_push_handle(lua_State *L, struct lh_vm *vm, int *error)
{
    const char *const paths[] = {"/", vm->name, "/dev/null", "."};

    *error = LH_SYS_ENOENT;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && *error; i++)
        *error = paths[i] ? open_by_io(L, vm, paths[i]) : LH_SYS_ENOENT;
    if (*error)
        return NULL;
    void *handle = lua_touserdata(L, -1);
    lua_CFunction closer = lh_lua_file_closer(handle);
    lh_file_close_handle(handle);
    struct lh_file *file = new_file(L, vm, lua_gettop(L));
    file->closer = closer;
    return file;
}

/* On 5.4 a handle knows what closes it, which is what has closed the one that
 * it was made of. */
void lh_file_open_handle(const struct lh_file *file, void *handle, FILE *fp)
{
    lh_lua_file_open(handle, fp, file->closer);
}

bool lh_file_is_first(lua_State *L)
{
    return lh_lua_is_file(L, 1);
}

int lh_file_no_stream(lua_State *L, const char *function, const char *others)
{
    char expected[80];

    snprintf(expected, sizeof(expected), "file, %s", others);
    return lh_api_argument_error(L, 1, function, expected);
}

static void check_open(lua_State *L, const struct lh_file *file,
                       const char *function)
{
    if (!lh_lua_file(L, 1) || (file && file->dead))
        lh_api_error(L, "%s: the file is closed", function);
}

/* The order matters: what raises comes before the first change.  A write does
 * not wait for a read that somebody has left behind. */
struct lh_file *lh_file_use(lua_State *L, struct lh_task *task,
                            const char *function, bool reads, int *error)
{
    struct lh_vm *vm = task->vm;
    struct lh_file *file = lh_file_find(L, vm, 1);

    task->on.reads = reads;
    lh_input_take_back(vm);
    check_open(L, file, function);
    if (file && !lh_file_is_its_turn(task, file))
        return NULL;
    if (!vm->ctx->aio)
        lh_api_error(L, "%s: there is no server here", function);
    if (!file) {
        file = new_file(L, vm, 1);
        lh_file_needs_no_turn(task);
        check_open(L, file, function); /* a finalizer may have run */
    }
    FILE *fp = lh_lua_file(L, 1);
    if (!reads)
        lh_file_leave_operation(file);
    *error = file->descriptor ? 0 : open_twin(file, fp);
    if (*error == 0 && !file->ours)
        *error = take_over(file, fp);
    file->error = 0;
    file->ended = false;
    file->moved = 0;
    return file;
}

/* --- tasks ---------------------------------------------------------------- */

/* What was written before leaves now, or soon where the wait will be short. */
static void release_later(struct lh_timer *timer)
{
    struct lh_task *task = LH_OF(timer, struct lh_task, on.late_timer);

    if (task->ex)
        lh_exchange_release(task->ex);
}

/* Whatever waits for an event may wait long, so what was written before leaves
 * now; an operation is given LATE_MS. */
void lh_file_attach(struct lh_task *task)
{
    struct lh_context *ctx = task->vm->ctx;

    task->on.file->task = task;
    task->on.attached = true;
    /* The call's time counts from when it began to wait for its turn. */
    if (task->on.due_ms && task->on.due_ms != LH_NEVER)
        lh_timer_arm(&ctx->timers, &task->timer, task->on.due_ms);
    if (!task->ex)
        return;
    if (task->on.file->pollable) {
        lh_exchange_release(task->ex);
        return;
    }
    /* Without a body nothing follows the header that a client waits for. */
    if (task->ex->response.no_body)
        return;
    task->on.late_timer.fire = release_later;
    lh_timer_arm(&ctx->timers, &task->on.late_timer,
                 lh_deadline(ctx->now_ms, LATE_MS));
}

/* The handle is alive up to here, since the anchors table has it. */
void lh_file_detach(struct lh_task *task)
{
    if (!task->on.attached)
        return;
    task->on.attached = false;
    task->on.file->task = NULL;
    lh_timer_disarm(&task->on.late_timer);
    lh_timer_disarm(&task->on.pause_timer);
    lh_file_tell(task->on.file);
}

/* --- the VM --------------------------------------------------------------- */

/* Pushes a table that keeps its keys ("k") or values ("v") alive for nobody;
 * returns its reference in the registry. */
static int new_weak_table(lua_State *L, const char *mode)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* What the io library had made is kept here, whatever a script does to it. */
bool lh_file_prepare(lua_State *L, struct lh_vm *vm)
{
    int to = lua_gettop(L);

    vm->files = new_weak_table(L, "k");
    lua_setfield(L, to, "files");
    vm->popens = new_weak_table(L, "v");
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_FILEHANDLE);
    lua_getglobal(L, "io");
    bool there = lua_istable(L, -1) && lua_istable(L, -2);
    if (there) {
        lua_getfield(L, -1, "open");
        vm->file_open = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_getfield(L, -2, "__index");
        lua_getfield(L, -1, "close");
        vm->file_close = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_setfield(L, to, "methods");
    }
    lua_settop(L, to);
    return there;
}

const luaL_Reg lh_file_begins[] = {
    {"give_back", give_back_call},
    {NULL, NULL},
};
