/*
 * httpd.sendfile: from a file into the response, without Lua strings on the
 * way.  The file's position stays where it is.
 *
 * The first piece, and all of them over TLS and HTTP/2, are read into `in` and
 * copied; while one leaves, the next is read.  What follows on a plain
 * connection goes through a conduit (files/conduit.h) without a copy: what is
 * not in memory an operation puts into it, and the next piece follows when it
 * is empty.
 */
#include "lua/file.h"

#include "base/mem.h"
#include "base/num.h"
#include "lua/api.h"
#include "os/error.h"
#include "os/stdio.h"

#include <math.h>

#define PIECE_BYTES ((size_t)64 << 10)

/* --- by copies ------------------------------------------------------------ */

/* What one read asks for. */
static size_t piece(const struct lh_sending *s)
{
    return (size_t)lh_min64(s->left, PIECE_BYTES);
}

/* The operation's buffer becomes the piece. */
static void deliver_piece(struct lh_operation *op, struct lh_file *file)
{
    struct lh_sending *s = &file->sending;

    if (op->aio.result < 0) {
        file->error = (int)op->aio.result;
    } else {
        lh_free(s->in.p);
        s->in = (struct lh_input){
            .p = op->aio.p, .n = (size_t)op->aio.result, .room = op->aio.n};
        op->aio.p = NULL;
        file->ended = s->in.n < op->aio.n;
    }
}

/* The page cache does not have it, so an operation reads it while what came
 * before leaves. */
static void start_piece(struct lh_file *file)
{
    struct lh_sending *s = &file->sending;
    struct lh_operation *op =
        lh_file_operation(file, LH_AIO_READ, piece(s), deliver_piece);

    if (!op)
        return;
    op->aio.offset = s->at;
    lh_file_start(file, op);
}

/* False: it is not in the page cache, or that was enough for now. */
static bool read_cached(struct lh_task *task, struct lh_file *file)
{
    struct lh_sending *s = &file->sending;
    ssize_t n;

    if (!lh_file_has_budget(task) || !lh_input_room(&s->in, piece(s)))
        return false;
    n = lh_aio_read_cached(file->descriptor->fd, s->in.p, piece(s), s->at);
    if (n < 0)
        return false;
    s->in.n = (size_t)n;
    task->on.moved_bytes += (size_t)n;
    file->ended = n == 0;
    return true;
}

/* Gives the response what it has room for; false: nothing. */
static bool give_octets(struct lh_task *task, struct lh_sending *s, int *error)
{
    size_t n = lh_input_bytes(&s->in), room = lh_exchange_room(task->ex);

    n = lh_min(n, room);
    if (n == 0 || lh_exchange_borrows(task->ex))
        return false;
    *error = lh_exchange_write(task->ex, s->in.p + s->in.at, n);
    if (*error)
        return false;
    s->in.at += n;
    s->at += n;
    s->left -= n;
    s->sent += n;
    if (s->in.at == s->in.n)
        s->in.at = s->in.n = 0;
    return true;
}

/* --- by a pipe ------------------------------------------------------------ */

/* Not worth it for what one piece holds. */
static bool may_splice(const struct lh_task *task, const struct lh_sending *s)
{
    return task->ex->moves && !s->copies && s->sent >= PIECE_BYTES;
}

/* Not every file can be spliced: the rest is copied then. */
static void deliver_splice(struct lh_operation *op, struct lh_file *file)
{
    struct lh_sending *s = &file->sending;

    if (op->aio.result < 0) {
        s->copies = true;
    } else {
        s->conduit->n = (size_t)op->aio.result;
        file->ended = s->conduit->n == 0;
    }
}

static void start_splice(struct lh_file *file, size_t n)
{
    struct lh_conduit *conduit = file->sending.conduit;
    struct lh_operation *op =
        lh_file_operation(file, LH_AIO_SPLICE, 0, deliver_splice);

    if (!op)
        return;
    op->conduit = lh_conduit_hold(conduit);
    lh_conduit_prepare(conduit, &op->aio, file->sending.at, n);
    lh_file_start(file, op);
}

/* True: the conduit has octets, or they are on their way into it.  False: by
 * copies, then. */
static bool fill_from_file(struct lh_task *task, struct lh_file *file)
{
    struct lh_sending *s = &file->sending;
    size_t n = (size_t)lh_min64(s->left, SIZE_MAX);

    if (!s->conduit)
        s->conduit = lh_conduit_new(task->vm->ctx);
    if (!s->conduit) {
        s->copies = true;
        return false;
    }
    ssize_t got =
        lh_conduit_fill_now(s->conduit, file->descriptor->fd, s->at, n);
    if (got < 0)
        start_splice(file, n);
    file->ended = got == 0;
    return true;
}

/* Gives the response what the conduit has; false: nothing. */
static bool give_conduit(struct lh_task *task, struct lh_sending *s, int *error)
{
    size_t n = s->conduit ? s->conduit->n : 0;

    if (n == 0)
        return false;
    *error = lh_conduit_give(s->conduit, task->ex);
    if (*error)
        return false;
    s->at += n;
    s->left -= n;
    s->sent += n;
    return true;
}

/* --- both ----------------------------------------------------------------- */

/* What the response says of octets that it has not taken. */
static enum lh_outcome sending_outcome(int error)
{
    if (error == LHTTPD_EINVAL)
        return LH_OUTCOME_TOO_LARGE;
    return error == LHTTPD_ENOMEM ? LH_OUTCOME_MEMORY : LH_OUTCOME_CLOSED;
}

/* Without a body (HEAD, 204, 304) the file's size tells what it would be. */
static enum lh_outcome count_octets(struct lh_task *task, struct lh_file *file)
{
    struct lh_sending *s = &file->sending;
    int64_t size = lh_stdio_size(file->descriptor->fd);
    uint64_t n = 0;

    if (size < 0) {
        task->error = (int)size;
        return LH_OUTCOME_ERROR;
    }
    if (s->at < (uint64_t)size)
        n = (uint64_t)size - s->at;
    n = lh_min64(n, s->left);
    int error = lh_exchange_skip(task->ex, n);
    if (error)
        return sending_outcome(error);
    s->sent = n;
    return LH_OUTCOME_DONE;
}

/* Gives the response all that is there, and reads on as far as the page cache
 * goes. */
static enum lh_outcome send_now(struct lh_task *task, struct lh_file *file)
{
    struct lh_sending *s = &file->sending;
    int error = lh_task_start_response(task);

    if (!error && task->ex->response.no_body)
        return count_octets(task, file);
    while (!error) {
        if (give_octets(task, s, &error) || error ||
            give_conduit(task, s, &error) || error)
            continue;
        if (s->in.n || file->operation || lh_exchange_borrows(task->ex))
            return LH_OUTCOME_PENDING;
        if (file->error) {
            task->error = file->error;
            return LH_OUTCOME_ERROR;
        }
        if (file->ended || s->left == 0)
            return LH_OUTCOME_DONE;
        if (may_splice(task, s) || !read_cached(task, file))
            return LH_OUTCOME_PENDING;
    }
    return sending_outcome(error);
}

static void send_on(struct lh_task *task)
{
    struct lh_file *file = task->on.file;

    if (file->operation || file->sending.in.n || lh_exchange_borrows(task->ex))
        return; /* the operation wakes it, or the response's room */
    if (may_splice(task, &file->sending) && fill_from_file(task, file)) {
        if (!file->operation)
            lh_task_ready(task); /* it is there, or has failed */
        return;
    }
    if (lh_file_has_budget(task)) {
        start_piece(file);
        return;
    }
    lh_file_pause(task);
}

/* The response's room, an operation and the timer wake it. */
static enum lh_outcome poll_sending(struct lh_task *task, lua_State *L)
{
    enum lh_outcome outcome = LH_OUTCOME_CLOSED;

    (void)L;
    if (lh_write_is_open(task))
        outcome = send_now(task, task->on.file);
    if (outcome == LH_OUTCOME_PENDING && task->timed_out)
        outcome = LH_OUTCOME_TIMEOUT;
    if (outcome == LH_OUTCOME_PENDING && task->on.attached)
        send_on(task);
    return outcome;
}

/* What is in the response leaves at once: room comes by that. */
static void start_sending(struct lh_task *task)
{
    lh_file_attach(task);
    lh_exchange_release(task->ex);
    send_on(task);
}

/* A pipe that the response has octets in may be gone before they are sent. */
static void cancel_sending(struct lh_task *task)
{
    struct lh_sending *s = &task->on.file->sending;

    lh_file_leave_operation(task->on.file);
    if (s->conduit && task->ex)
        lh_exchange_copy_source(task->ex);
    lh_conduit_drop(s->conduit);
    s->conduit = NULL;
    lh_file_detach(task);
}

/* The answer counts octets given to the response.  A file of our own is closed,
 * however it went. */
static int push_sent(lua_State *L, struct lh_task *task)
{
    struct lh_sending *s = &task->on.file->sending;

    lh_free(s->in.p);
    s->in = (struct lh_input){.p = NULL};
    if (s->owns) {
        lh_file_forget(task->on.file);
        lh_file_close_handle(task->on.handle);
    }
    if (task->outcome == LH_OUTCOME_TOO_LARGE)
        return lh_api_error(L, "httpd.sendfile: more than the content-length "
                               "that was declared");
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    lh_lua_push_count(L, s->sent);
    return 1;
}

/* A count of octets; `otherwise` where there is none. */
static uint64_t count_argument(lua_State *L, int index, uint64_t otherwise)
{
    double n;

    if (lua_isnoneornil(L, index))
        return otherwise;
    if (lua_type(L, index) != LUA_TNUMBER)
        lh_api_argument_error(L, index, "httpd.sendfile", "number");
    n = (double)lua_tonumber(L, index);
    if (!(n >= 0) || floor(n) != n || n > 9e15)
        lh_api_error(L, "bad argument #%d to 'httpd.sendfile' (not a count)",
                     index);
    return (uint64_t)n;
}

/* What raises for a wrong argument does so before a file is opened. */
static uint64_t read_range(lua_State *L, struct lh_sending *s)
{
    s->at = count_argument(L, 2, 0);
    s->left = count_argument(L, 3, UINT64_MAX);
    return lh_api_timeout(L, 4, "httpd.sendfile");
}

/* A response that is a websocket takes nothing else. */
static void check_plain_response(lua_State *L)
{
    const struct lh_task *task = lh_vm_of(L)->current;

    if (task && task->websocket)
        lh_api_error(L, "httpd.sendfile: the request is a websocket now");
}

/* Raises where sendfile_begin() would; changes nothing. */
static int sendfile_check(lua_State *L)
{
    struct lh_sending sending = {.at = 0};

    check_plain_response(L);
    read_range(L, &sending);
    return 0;
}

static const struct lh_wait send_wait = {
    .poll = poll_sending,
    .start = start_sending,
    .cancel = cancel_sending,
    .finish = push_sent,
    .keeps_handle = true,
};

/* The arguments were checked by sendfile_check() where the path was given, so
 * that nothing raises with a file left open. */
static int begin_sending(lua_State *L, bool owns)
{
    struct lh_task *task = lh_api_task(L, "httpd.sendfile");
    struct lh_sending sending = {.owns = owns};
    uint64_t timeout_ms = read_range(L, &sending);
    int error;

    if (!task)
        return lh_api_refuse(L);
    if (!lh_file_is_first(L))
        return lh_api_argument_error(L, 1, "httpd.sendfile", "file or path");
    task->on.file = lh_file_use(L, task, "httpd.sendfile", false, &error);
    if (!task->on.file)
        return lh_file_await_turn(L, task, timeout_ms);
    task->on.handle = lua_touserdata(L, 1);
    lh_free(task->on.file->sending.in.p);
    lh_conduit_drop(task->on.file->sending.conduit);
    task->on.file->sending = sending;
    if (error == 0 && !task->on.file->readable)
        error = LH_SYS_EBADF;
    if (error == 0 && !task->on.file->seekable)
        error = LH_SYS_ESPIPE;
    if (error < 0) {
        task->outcome = LH_OUTCOME_ERROR;
        task->error = error;
        return push_sent(L, task);
    }
    lh_api_note_line(L, task, 2);
    return lh_api_begin(L, task, &send_wait, timeout_ms);
}

/* sendfile_begin(file, offset, length, timeout). */
static int sendfile_begin(lua_State *L)
{
    check_plain_response(L);
    return begin_sending(L, false);
}

/* The file is closed afterwards, whatever happens. */
static int send_owned_begin(lua_State *L)
{
    return begin_sending(L, true);
}

const luaL_Reg lh_file_send_begins[] = {
    {"sendfile_begin", sendfile_begin},
    {"sendfile_check", sendfile_check},
    {"send_owned_begin", send_owned_begin},
    {NULL, NULL},
};
