/*
 * httpd.write, flush and finish: the response's body.  Short strings are
 * copied into the exchange; a long one is lent to it and kept alive by the
 * anchors table until it has left.
 */
#include "lua/api.h"
#include "lua/file.h"
#include "lua/socket.h"
#include "lua/websocket.h"

/* Up to here a string that there is room for is copied whatever its response is
 * doing. */
#define COPY_BYTES ((size_t)16 << 10)

/* Where there is no body so much is counted, for the content-length; nothing
 * else would ever hold back a handler that writes on. */
#define COUNTED_BYTES ((uint64_t)1 << 20)

/* Without a body (HEAD, 204, 304) the header is all that the client gets. */
static bool has_all(const struct lh_response *r)
{
    return r->no_body && r->head_left;
}

/* A response that has ended, or whose client has gone, takes nothing. */
bool lh_write_is_open(const struct lh_task *task)
{
    return task->ex && !task->ex->gone && !task->cut &&
           task->ex->response.state < LH_RESPONSE_ENDED &&
           !has_all(&task->ex->response);
}

/* Long strings are copied too as long as nothing must leave yet: a response
 * that ends within the buffer can still become a clean 500. */
static bool is_copied(const struct lh_exchange *ex, size_t n, size_t room)
{
    if (ex->response.no_body)
        return true;
    return n <= room &&
           (n <= COPY_BYTES || (!ex->response.released && n < room));
}

/* A response of which nothing waits always takes a string: where there is no
 * room, since its connection's others have it, it is lent. */
static bool must_wait(const struct lh_exchange *ex, size_t n, size_t room)
{
    if (lh_exchange_borrows(ex))
        return true;
    if (ex->response.no_body)
        return ex->response.written >= COUNTED_BYTES;
    return room == 0 ||
           (n <= COPY_BYTES && n > room && ex->response.bytes.n > 0);
}

/* A response that could not begin failed for lack of memory. */
static enum lh_outcome write_outcome(const struct lh_exchange *ex, int error)
{
    if (!error)
        return LH_OUTCOME_DONE;
    if (error == LHTTPD_EINVAL)
        return LH_OUTCOME_TOO_LARGE;
    return error == LHTTPD_ENOMEM || ex->response.state == LH_RESPONSE_NONE
               ? LH_OUTCOME_MEMORY
               : LH_OUTCOME_CLOSED;
}

/* Gives the data to the exchange, which has room for it; one that is lent is
 * anchored. */
static enum lh_outcome give_data(struct lh_task *task)
{
    struct lh_exchange *ex = task->ex;
    int error = lh_task_start_response(task);

    if (error)
        return write_outcome(ex, error);
    if (is_copied(ex, task->data.n, lh_exchange_room(ex)))
        error = lh_exchange_write(ex, task->data.p, task->data.n);
    else
        error = lh_exchange_lend(ex, task->data.p, task->data.n);
    return write_outcome(ex, error);
}

/* Moves the waiting string to where lent ones are kept, before it is lent. */
static void anchor_waiting(struct lh_task *task, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    lua_rawgeti(L, -1, task->slot * 2);
    lh_task_anchor(task, L, lua_gettop(L), false);
    lua_pushnil(L);
    lua_rawseti(L, -3, task->slot * 2);
    lua_pop(L, 2);
}

/* The string moves to where lent ones are kept before it may be lent. */
static enum lh_outcome poll_write(struct lh_task *task, lua_State *L)
{
    if (!lh_write_is_open(task))
        return LH_OUTCOME_CLOSED;
    if (must_wait(task->ex, task->data.n, lh_exchange_room(task->ex)))
        return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
    anchor_waiting(task, L);
    return give_data(task);
}

/* What the response holds back is what it waits for. */
static void release_response(struct lh_task *task)
{
    lh_exchange_release(task->ex);
}

static int push_written(lua_State *L, struct lh_task *task)
{
    if (task->outcome == LH_OUTCOME_DONE) {
        lua_pushinteger(L, (lua_Integer)task->data.n);
        return 1;
    }
    if (task->outcome == LH_OUTCOME_TOO_LARGE)
        return lh_api_error(L, "httpd.write: more than the content-length "
                               "that was declared");
    return lh_api_answer(L, task, task->outcome);
}

/* Replaces the array at index 2 by its strings in one. */
static void join_array(lua_State *L)
{
    luaL_Buffer all;
    size_t count = lh_lua_len(L, 2);
    int top = lua_gettop(L);

    lua_pushnil(L);
    if (count == 0 && lua_next(L, 2))
        lh_api_error(L, "httpd.write: the table has no item 1; only an array "
                        "can be written");
    lua_settop(L, top);
    luaL_buffinit(L, &all);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, (int)i);
        int type = lua_type(L, -1);
        if (type != LUA_TSTRING && type != LUA_TNUMBER)
            lh_api_error(L, "httpd.write: item %d of the array is a %s", (int)i,
                         luaL_typename(L, -1));
        luaL_addvalue(&all);
    }
    luaL_pushresult(&all);
    lua_replace(L, 2);
}

/* The usual case, which needs neither anchor nor wait. */
static bool goes_at_once(const struct lh_task *task)
{
    if (!lh_write_is_open(task))
        return false;
    size_t room = lh_exchange_room(task->ex);
    return !must_wait(task->ex, task->data.n, room) &&
           is_copied(task->ex, task->data.n, room);
}

static const struct lh_wait write_wait = {
    .poll = poll_write,
    .start = release_response,
    .finish = push_written,
    .keeps_data = true,
};

/* A response that is a websocket takes nothing else; raises. */
static void check_plain(lua_State *L, const struct lh_task *task,
                        const char *function)
{
    if (task->websocket)
        lh_api_error(L, "%s: the request is a websocket now", function);
}

enum target { TO_CLIENT, TO_FILE, TO_SOCKET, TO_WEBSOCKET };

/* Of the first argument; raises where it is no stream that can be written. */
static enum target find_target(lua_State *L, const struct lh_task *task)
{
    if (lua_isnoneornil(L, 1)) {
        check_plain(L, task, "httpd.write");
        return TO_CLIENT;
    }
    if (lh_file_is_first(L))
        return TO_FILE;
    if (lh_websocket_at(L, 1))
        return TO_WEBSOCKET;
    if (!lh_socket_at(L, 1))
        lh_file_no_stream(L, "httpd.write", "socket, websocket or nil");
    return TO_SOCKET;
}

/* The string is at index 2. */
static int write_elsewhere(lua_State *L, struct lh_task *task,
                           enum target target, uint64_t timeout_ms)
{
    if (target == TO_FILE)
        return lh_file_write_begin(L, task, timeout_ms);
    if (target == TO_SOCKET)
        return lh_socket_write_begin(L, task, timeout_ms);
    return lh_websocket_write_begin(L, task);
}

/* write_begin(stream, data, timeout): the client is nil, and a file is a file.
 */
static int write_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.write");

    if (!task)
        return lh_api_refuse(L);
    enum target target = find_target(L, task);
    /* Before the time-out: in write(nil, read(f, n)) a message may be there. */
    int type = lua_type(L, 2);
    if (type == LUA_TNONE || type == LUA_TNIL) {
        lua_pushnil(L);
        return 1;
    }
    uint64_t timeout_ms =
        target == TO_WEBSOCKET ? 0 : lh_api_timeout(L, 3, "httpd.write");
    if (type == LUA_TTABLE)
        join_array(L);
    task->data.p = lua_tolstring(L, 2, &task->data.n);
    if (!task->data.p)
        return lh_api_argument_error(L, 2, "httpd.write",
                                     "string, number or array");
    if (target != TO_CLIENT)
        return write_elsewhere(L, task, target, timeout_ms);
    if (goes_at_once(task)) {
        lh_api_note_line(L, task, 2);
        task->outcome = give_data(task);
        return push_written(L, task);
    }
    lh_api_note_line(L, task, 2);
    /* Before the wait: the string may be lent at once. */
    lh_task_anchor(task, L, 2, true);
    return lh_api_begin(L, task, &write_wait, timeout_ms);
}

/* --- flush ---------------------------------------------------------------- */

/* Over when the connection has taken all that was written. */
static enum lh_outcome poll_flush(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (!lh_write_is_open(task))
        return LH_OUTCOME_CLOSED;
    if (lh_exchange_out_bytes(task->ex))
        return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
    lh_exchange_release(task->ex);
    return LH_OUTCOME_DONE;
}

static const struct lh_wait flush_wait = {
    .poll = poll_flush,
    .start = release_response,
    .finish = lh_api_finish,
};

static int flush_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.flush");

    if (!task)
        return lh_api_refuse(L);
    return lh_api_begin(L, task, &flush_wait,
                        lh_api_timeout(L, 1, "httpd.flush"));
}

/* --- finish --------------------------------------------------------------- */

/* Over when the kernel has the whole response. */
static enum lh_outcome poll_finish(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (!task->ex || task->ex->gone || task->cut ||
        task->ex->response.state == LH_RESPONSE_ABORTED)
        return LH_OUTCOME_CLOSED;
    if (task->ex->sent)
        return LH_OUTCOME_DONE;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

static void start_finish(struct lh_task *task)
{
    /* Without memory for the status the client gets 500 at the end. */
    if (lh_task_start_response(task))
        lh_exchange_fail(task->ex, 500);
    lh_task_end_response(task);
    lh_exchange_want_body(task->ex, false);
}

/* From here on the handler has no client, and works on by itself. */
static int push_finished(lua_State *L, struct lh_task *task)
{
    if (task->outcome == LH_OUTCOME_DONE && !lh_exchange_borrows(task->ex))
        lh_task_let_go(task);
    return lh_api_answer(L, task, task->outcome);
}

static const struct lh_wait finish_wait = {
    .poll = poll_finish,
    .start = start_finish,
    .finish = push_finished,
};

static int finish_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.finish");

    if (!task)
        return lh_api_refuse(L);
    check_plain(L, task, "httpd.finish");
    lh_api_note_line(L, task, 2);
    return lh_api_begin(L, task, &finish_wait,
                        lh_api_timeout(L, 1, "httpd.finish"));
}

/* --- closed --------------------------------------------------------------- */

static int httpd_closed(lua_State *L)
{
    const struct lh_task *task = lh_api_task(L, "httpd.closed");

    if (!task)
        return lh_api_refuse(L);
    lua_pushboolean(L, lh_task_is_closed(task) || !lh_write_is_open(task));
    return 1;
}

const luaL_Reg lh_write_begins[] = {
    {"write_begin", write_begin},
    {"flush_begin", flush_begin},
    {"finish_begin", finish_begin},
    {NULL, NULL},
};

const luaL_Reg lh_write_functions[] = {
    {"closed", httpd_closed},
    {NULL, NULL},
};
