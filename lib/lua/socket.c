/*
 * Sockets of scripts, once they are connected: see socket.h.
 *
 * What always holds: one with a transport is in the event queue, by a one-shot
 * interest, since a descriptor that has failed would report without end; and
 * at most one task reads and one writes at a time, each anchored by its wait.
 */
#include "lua/socket.h"

#include "base/mem.h"
#include "base/num.h"
#include "lua/api.h"
#include "lua/file.h"
#include "lua/gc.h"
#include "os/error.h"
#include "os/evq.h"
#include "os/sock.h"

/* What a script may move in one turn without a wait, as of a file. */
#define BUDGET_BYTES ((size_t)64 << 10)

/* --- the object ----------------------------------------------------------- */

struct lh_socket *lh_socket_at(lua_State *L, int index)
{
    return lh_api_object(L, index, lh_vm_of(L)->socket_meta);
}

static void wake_tasks(const struct lh_socket *s)
{
    if (s->reader)
        lh_task_ready(s->reader);
    if (s->writer && s->writer != s->reader)
        lh_task_ready(s->writer);
}

/* What is left of a goodbye is said as far as the kernel takes it at once. */
static void close_transport(struct lh_socket *s)
{
    struct lh_context *ctx = s->vm->ctx;
    struct lh_transport *t = s->transport;
    int fd = t->fd;

    s->transport = NULL;
    lh_evq_forget(ctx->evq, fd);
    lh_slots_remove(ctx->slots, s->tag);
    if (!s->lost)
        (void)t->ops->shutdown(t);
    t->ops->free(t);
    lh_sock_close(fd);
}

static void count_socket(const struct lh_socket *s, int change)
{
    struct lh_context *ctx = s->vm->ctx;

    ctx->outward->open += (unsigned)change;
    lh_count_set(&ctx->counters.sockets, ctx->outward->open);
}

void lh_socket_end(struct lh_socket *s)
{
    lh_input_leave(s->vm, &s->ahead);
    lh_list_remove(&s->bound.link);
    lh_timer_disarm(&s->pause);
    if (s->connecting)
        s->give_up(s->connecting);
    s->connecting = NULL;
    if (s->transport)
        close_transport(s);
    if (s->counted)
        count_socket(s, -1);
    s->counted = false;
    lh_free(s->ahead.p);
    s->ahead = (struct lh_input){.p = NULL};
    wake_tasks(s);
}

static void socket_ended(struct lh_bound *bound)
{
    lh_socket_end(LH_OF(bound, struct lh_socket, bound));
}

/* The collector's, 5.4's at the end of a block, and any script's that finds it
 * in the metatable. */
static int collect_socket(lua_State *L)
{
    struct lh_socket *s = lh_socket_at(L, 1);

    if (s)
        lh_socket_end(s);
    return 0;
}

static int socket_text(lua_State *L)
{
    const struct lh_socket *s = lh_socket_at(L, 1);

    lua_pushfstring(L, "socket (%s)", s && s->transport ? "open" : "closed");
    return 1;
}

void lh_socket_prepare(lua_State *L, struct lh_vm *vm)
{
    static const luaL_Reg meta[] = {
        {"__gc", collect_socket},
        {"__close", collect_socket},
        {"__tostring", socket_text},
        {NULL, NULL},
    };

    lh_api_push_kind(L, vm, meta, "socket");
    vm->socket_meta = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void on_socket_event(struct lh_source *source, unsigned ready)
{
    (void)ready;
    wake_tasks(LH_OF(source, struct lh_socket, source));
}

/* The next turn has come. */
static void pause_is_over(struct lh_timer *timer)
{
    struct lh_socket *s = LH_OF(timer, struct lh_socket, pause);

    s->moved = 0;
    wake_tasks(s);
}

struct lh_socket *lh_socket_push(lua_State *L, struct lh_vm *vm, bool *too_many)
{
    struct lh_outward *outward = lh_outward_of(vm->ctx);

    *too_many = outward && outward->open >= vm->ctx->limits->sockets;
    if (*too_many)
        vm->ctx->wants_collection = true;
    if (!outward || *too_many)
        return NULL;
    struct lh_socket *s = lua_newuserdata(L, sizeof(*s));
    *s = (struct lh_socket){.vm = vm};
    lh_list_init(&s->bound.link);
    lh_timer_init(&s->pause, pause_is_over);
    s->bound.on_task_end = socket_ended;
    s->source.on_event = on_socket_event;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->socket_meta);
    lua_setmetatable(L, -2);
    count_socket(s, 1);
    s->counted = true;
    return s;
}

int lh_socket_open(struct lh_socket *s, struct lh_transport *transport)
{
    struct lh_context *ctx = s->vm->ctx;
    int r = lh_slots_add(ctx->slots, &s->source, &s->tag);

    if (r == 0) {
        r = lh_evq_add(ctx->evq, transport->fd, LH_EV_ONESHOT, s->tag);
        if (r < 0)
            lh_slots_remove(ctx->slots, s->tag);
    }
    if (r == 0) {
        s->transport = transport;
        return 0;
    }
    lh_sock_close(transport->fd);
    transport->ops->free(transport);
    return r;
}

void lh_socket_rest(const struct lh_socket *s)
{
    if (s->transport)
        s->transport->ops->rest(s->transport);
}

void lh_socket_await(struct lh_socket *s, unsigned interest)
{
    const struct lh_context *ctx = s->vm->ctx;

    s->moved = 0;
    lh_socket_rest(s);
    if (lh_evq_change(ctx->evq, s->transport->fd, interest | LH_EV_ONESHOT,
                      s->tag) == 0)
        return;
    s->lost = true;
    wake_tasks(s);
}

/* For all who wait; a script that has moved much goes on in the next turn,
 * behind the events. */
static void await_socket(struct lh_socket *s)
{
    struct lh_context *ctx = s->vm->ctx;
    unsigned interest =
        (s->reader ? LH_EV_READ : 0) |
        (s->writer ? (s->hears_first ? LH_EV_READ : LH_EV_WRITE) : 0);

    if (!s->transport)
        wake_tasks(s);
    else if (s->moved >= BUDGET_BYTES)
        lh_timer_arm(&ctx->timers, &s->pause, ctx->now_ms);
    else
        lh_socket_await(s, interest);
}

/* What ends a wait: as for a pipe a write goes on though the client leaves. */
static enum lh_outcome socket_interrupted(const struct lh_task *task)
{
    const struct lh_socket *s = task->socket;

    if (task->cut)
        return LH_OUTCOME_CLOSED;
    if (s->reader == task && task->ex && lh_task_is_closed(task))
        return LH_OUTCOME_CLOSED;
    if ((s->reader == task || s->writer == task) && lh_api_stops(task))
        return LH_OUTCOME_STOPPING;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* What a poll answers after its step; a wait that has begun goes on, unless
 * something ends it. */
static enum lh_outcome after_step(const struct lh_task *task,
                                  struct lh_socket *s, enum lh_outcome outcome)
{
    if (outcome == LH_OUTCOME_PENDING)
        outcome = socket_interrupted(task);
    if (outcome == LH_OUTCOME_PENDING &&
        (s->reader == task || s->writer == task))
        await_socket(s);
    return outcome;
}

/* The client is not kept waiting for what was written before. */
static void start_socket_wait(struct lh_task *task)
{
    if (task->ex)
        lh_exchange_release(task->ex);
    if (socket_interrupted(task) == LH_OUTCOME_PENDING)
        await_socket(task->socket);
    else
        lh_task_ready(task);
}

static enum lh_outcome socket_gone(struct lh_task *task)
{
    task->error = LH_SYS_EPIPE;
    return LH_OUTCOME_ERROR;
}

/* --- httpd.read ----------------------------------------------------------- */

/* As many of the octets that are there as the call can use.  False: no memory.
 */
static bool take_octets(struct lh_socket *s, const struct lh_read *read,
                        const uint8_t *p, size_t n)
{
    struct lh_input *in = &s->ahead;

    n = lh_min(n, lh_read_wants(read, in));
    if (!lh_input_room(in, n))
        return false;
    memcpy(in->p + in->n, p, n);
    in->n += n;
    s->transport->ops->consume(s->transport, n);
    s->moved += n;
    return true;
}

/* AGAIN: an event must come first.  What was heard may be what who writes waits
 * for. */
static enum lh_net receive_more(struct lh_socket *s)
{
    enum lh_net r = s->transport->ops->receive(s->transport);

    s->ended |= r == LH_NET_EOF;
    s->lost |= r == LH_NET_LOST;
    if (s->hears_first && s->writer)
        lh_task_ready(s->writer);
    return r;
}

/* All that can be had without waiting, until the call has enough. */
static enum lh_outcome read_octets(struct lh_task *task, struct lh_socket *s)
{
    enum lh_outcome outcome;
    const uint8_t *p;
    size_t n;

    lh_input_take_back(task->vm);
    while ((outcome = lh_read_enough(task->vm, &task->read, &s->ahead)) ==
           LH_OUTCOME_PENDING) {
        if (!s->transport)
            return socket_gone(task);
        p = s->transport->ops->peek(s->transport, &n);
        if (!p && s->ended)
            return LH_OUTCOME_DONE;
        if (!p && s->lost)
            return socket_gone(task);
        if (s->moved >= BUDGET_BYTES)
            return LH_OUTCOME_PENDING;
        if (p ? !take_octets(s, &task->read, p, n) : false)
            return LH_OUTCOME_MEMORY;
        if (!p && receive_more(s) == LH_NET_AGAIN)
            return LH_OUTCOME_PENDING;
    }
    return outcome;
}

/* Octets that are there win over whatever else would end the wait. */
static enum lh_outcome poll_socket_read(struct lh_task *task, lua_State *L)
{
    struct lh_socket *s = task->socket;

    (void)L;
    return after_step(task, s, read_octets(task, s));
}

static void start_socket_read(struct lh_task *task)
{
    task->socket->reader = task;
    start_socket_wait(task);
}

static void stop_socket_read(struct lh_task *task)
{
    task->socket->reader = NULL;
    lh_socket_rest(task->socket);
}

static int push_socket_read(lua_State *L, struct lh_task *task)
{
    lh_socket_rest(task->socket);
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    return lh_read_push_held(L, task->vm, &task->read, &task->socket->ahead);
}

static const struct lh_wait socket_read_wait = {
    .poll = poll_socket_read,
    .start = start_socket_read,
    .cancel = stop_socket_read,
    .finish = push_socket_read,
    .keeps_handle = true,
};

void lh_socket_check_free(lua_State *L, const struct lh_socket *s,
                          const char *function)
{
    if (s->reader)
        lh_api_error(L, "%s: another handler reads the socket", function);
}

int lh_socket_read_begin(lua_State *L, struct lh_task *task)
{
    struct lh_socket *s = lh_socket_at(L, 1);

    lh_read_mode(L, &task->read);
    lh_socket_check_free(L, s, "httpd.read");
    uint64_t timeout_ms = lh_api_timeout(L, 3, "httpd.read");
    task->socket = s;
    return lh_api_begin(L, task, &socket_read_wait, timeout_ms);
}

bool lh_socket_readable(struct lh_task *task, struct lh_socket *s)
{
    task->read = (struct lh_read){.mode = LH_READ_SOME};
    if (read_octets(task, s) != LH_OUTCOME_PENDING)
        return true;
    if (s->reader == task)
        await_socket(s);
    return false;
}

void lh_socket_watch(struct lh_socket *s, struct lh_task *reader)
{
    s->reader = reader;
    if (reader)
        await_socket(s);
}

/* --- httpd.write ---------------------------------------------------------- */

/* The next piece, as much as there is room for.  False: there is none before
 * something has left, or come. */
static bool put_octets(struct lh_task *task, struct lh_socket *s)
{
    struct lh_transport *t = s->transport;
    struct lh_task_data *data = &task->data;
    size_t room;
    uint8_t *p = t->ops->buf(t, &room);

    if (!p)
        return false;
    size_t n = lh_min(room, data->n - data->done);
    memcpy(p, data->p + data->done, n);
    t->ops->ack(t, n);
    data->done += n;
    s->moved += n;
    return true;
}

/* TLS has got a part of a message, and has to hear the rest before it sends.
 * OK: now there is room, or an end; AGAIN: an event must come first. */
static enum lh_net hear_first(struct lh_socket *s)
{
    struct lh_transport *t = s->transport;
    enum lh_net r = LH_NET_AGAIN;
    size_t n;

    if (!t->ops->peek(t, &n))
        r = receive_more(s);
    if (r != LH_NET_AGAIN && s->reader)
        lh_task_ready(s->reader);
    if (r != LH_NET_AGAIN || t->ops->buf(t, &n))
        return LH_NET_OK;
    s->hears_first = !t->ops->unsent(t);
    return LH_NET_AGAIN;
}

/* A piece, and what the socket takes.  AGAIN: an event must come first. */
static enum lh_net write_piece(struct lh_task *task, struct lh_socket *s)
{
    struct lh_transport *t = s->transport;
    bool waits = task->data.done < task->data.n && !put_octets(task, s);
    bool hears = waits && !t->ops->unsent(t);
    enum lh_net r = t->ops->send(t);

    s->lost |= r == LH_NET_LOST;
    return hears && r == LH_NET_OK ? hear_first(s) : r;
}

/* Over once the kernel has all of it. */
static enum lh_outcome write_octets(struct lh_task *task, struct lh_socket *s)
{
    enum lh_net r;

    s->hears_first = false;
    do {
        if (!s->transport || s->shut || s->lost)
            return socket_gone(task);
        if (s->moved >= BUDGET_BYTES)
            return LH_OUTCOME_PENDING;
        r = write_piece(task, s);
    } while (r != LH_NET_AGAIN &&
             (r != LH_NET_OK || task->data.done < task->data.n));
    return r == LH_NET_AGAIN ? LH_OUTCOME_PENDING : LH_OUTCOME_DONE;
}

static enum lh_outcome poll_socket_write(struct lh_task *task, lua_State *L)
{
    struct lh_socket *s = task->socket;

    (void)L;
    return after_step(task, s, write_octets(task, s));
}

static void start_socket_write(struct lh_task *task)
{
    task->socket->writer = task;
    start_socket_wait(task);
}

static void stop_socket_write(struct lh_task *task)
{
    task->socket->writer = NULL;
    lh_socket_rest(task->socket);
}

static int push_socket_written(lua_State *L, struct lh_task *task)
{
    lh_socket_rest(task->socket);
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    lua_pushinteger(L, (lua_Integer)task->data.n);
    return 1;
}

static const struct lh_wait socket_write_wait = {
    .poll = poll_socket_write,
    .start = start_socket_write,
    .cancel = stop_socket_write,
    .finish = push_socket_written,
    .keeps_handle = true,
    .keeps_data = true,
};

int lh_socket_write_begin(lua_State *L, struct lh_task *task,
                          uint64_t timeout_ms)
{
    struct lh_socket *s = lh_socket_at(L, 1);

    if (s->writer)
        return lh_api_error(L, "httpd.write: another handler writes to the "
                               "socket");
    task->socket = s;
    task->data.done = 0;
    return lh_api_begin(L, task, &socket_write_wait, timeout_ms);
}

/* --- httpd.close ---------------------------------------------------------- */

/* The half-close: what was written has left before, as its calls have told. */
static int shut_socket(lua_State *L, struct lh_socket *s)
{
    if (!s->transport || s->lost)
        return lh_api_system_error(L, LH_SYS_EPIPE);
    if (s->writer)
        return lh_api_error(L, "httpd.close: another handler writes to the "
                               "socket");
    if (s->is_tls) {
        lua_pushnil(L);
        lua_pushliteral(L, "with TLS both sides end at once");
        return 2;
    }
    s->shut = true;
    (void)s->transport->ops->shutdown(s->transport);
    lua_pushboolean(L, 1);
    return 1;
}

/* socket_close(value, how): the part of httpd.close.  False: it is a file; else
 * true and the results.  Other kinds were asked for before. */
static int socket_close(lua_State *L)
{
    struct lh_socket *s = lh_socket_at(L, 1);

    lua_settop(L, 2);
    if (!s && !lh_file_is_first(L))
        return lh_file_no_stream(L, "httpd.close",
                                 "socket, subscription or websocket");
    lua_pushboolean(L, s != NULL);
    if (!s)
        return 1;
    if (lua_type(L, 2) == LUA_TSTRING) {
        if (strcmp(lua_tostring(L, 2), "write") != 0)
            return lh_api_error(L, "bad argument #2 to 'httpd.close' ('write' "
                                   "or nothing)");
        return 1 + shut_socket(L, s);
    }
    lh_socket_end(s);
    lua_pushboolean(L, 1);
    return 2;
}

const luaL_Reg lh_socket_begins[] = {
    {"socket_close", socket_close},
    {NULL, NULL},
};
