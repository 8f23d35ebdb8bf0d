/*
 * httpd.wait({a, b, ...}, timeout): see wait_any.h.  Each stream is looked at
 * by the file that knows it; here is only which of them there are.
 *
 * What always holds: while the wait lasts, task->several says what it waits
 * for, and a table of our own, which the script cannot change, keeps that
 * alive.
 */
#include "lua/wait_any.h"

#include "base/mem.h"
#include "lua/api.h"
#include "lua/file.h"
#include "lua/subscription.h"
#include "lua/socket.h"
#include "lua/websocket.h"

#define STREAMS_MOST 16

/* One of the streams; of the pointers exactly one is set. */
struct waited {
    struct lh_websocket *websocket;
    struct lh_subscription *subscription;
    struct lh_socket *socket;
    struct lh_file *file;
};

struct lh_several {
    unsigned n;
    unsigned found; /* from 1: which can be read; 0: none */
    struct waited v[STREAMS_MOST];
};

static bool is_readable(struct lh_task *task, const struct waited *w)
{
    if (w->websocket)
        return lh_websocket_readable(w->websocket);
    if (w->subscription)
        return lh_subscription_readable(w->subscription);
    if (w->socket)
        return lh_socket_readable(task, w->socket);
    return lh_file_readable(task, w->file);
}

static unsigned find_readable(struct lh_task *task)
{
    const struct lh_several *all = task->several;

    for (unsigned i = 0; i < all->n; i++) {
        if (is_readable(task, &all->v[i]))
            return i + 1;
    }
    return 0;
}

/* The end of a websocket can be read, which tells of the client. */
static bool has_websocket(const struct lh_several *all)
{
    for (unsigned i = 0; i < all->n; i++) {
        if (all->v[i].websocket)
            return true;
    }
    return false;
}

/* What ends a wait comes before what can be read, as for each of them. */
static enum lh_outcome poll_any(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    if (task->vm->stopping && !task->told)
        return LH_OUTCOME_STOPPING;
    task->several->found = find_readable(task);
    if (task->several->found)
        return LH_OUTCOME_DONE;
    if (task->ex && lh_task_is_closed(task) && !has_websocket(task->several))
        return LH_OUTCOME_CLOSED;
    if (task->timed_out)
        return LH_OUTCOME_TIMEOUT;
    if (task->on.attached)
        lh_file_watch_on(task);
    return LH_OUTCOME_PENDING;
}

/* The client is not kept waiting for what was written before. */
static void start_any(struct lh_task *task)
{
    const struct lh_several *all = task->several;

    for (unsigned i = 0; i < all->n; i++) {
        if (all->v[i].subscription)
            lh_subscription_watch(all->v[i].subscription, task);
        else if (all->v[i].socket)
            lh_socket_watch(all->v[i].socket, task);
        else if (all->v[i].file)
            lh_file_watch(task);
    }
    if (task->ex)
        lh_exchange_release(task->ex);
}

static void cancel_any(struct lh_task *task)
{
    const struct lh_several *all = task->several;

    for (unsigned i = 0; i < all->n; i++) {
        if (all->v[i].subscription)
            lh_subscription_watch(all->v[i].subscription, NULL);
        else if (all->v[i].socket)
            lh_socket_watch(all->v[i].socket, NULL);
        else if (all->v[i].file)
            lh_file_detach(task);
    }
}

/* From begin the table is the first argument, later it is the anchor. */
static int push_readable(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return lh_api_answer(L, task, task->outcome);
    if (task->wait)
        lh_task_push_file(task, L);
    else
        lua_pushvalue(L, 1);
    lua_rawgeti(L, -1, (int)task->several->found);
    return 1;
}

static const struct lh_wait any_wait = {
    .poll = poll_any,
    .start = start_any,
    .cancel = cancel_any,
    .finish = push_readable,
    .keeps_handle = true,
};

/* The file functions have the file at index 1. */
static struct lh_file *use_file(lua_State *L, struct lh_task *task)
{
    int error;

    lua_insert(L, 1);
    if (!lh_file_is_first(L))
        lh_api_error(L, "bad argument #1 to 'httpd.wait' (an array of "
                        "sockets, websockets, subscriptions and one file "
                        "expected)");
    struct lh_file *file = lh_file_use(L, task, "httpd.wait", true, &error);
    if (!file)
        lh_api_error(L, "httpd.wait: another handler uses the file");
    if (error < 0 || !file->readable)
        lh_api_error(L, "httpd.wait: the file cannot be read");
    lua_remove(L, 1);
    return file;
}

/* The value at the top, which is popped. */
static void add_stream(lua_State *L, struct lh_task *task)
{
    struct lh_several *all = task->several;
    struct waited w = {.websocket = lh_websocket_at(L, -1)};

    if (all->n == STREAMS_MOST)
        lh_api_error(L, "httpd.wait: more than %d streams", STREAMS_MOST);
    if (w.websocket)
        lh_websocket_check(L, w.websocket, task, "httpd.wait");
    else if ((w.socket = lh_socket_at(L, -1)) != NULL)
        lh_socket_check_free(L, w.socket, "httpd.wait");
    else
        w.subscription = lh_subscription_check_free(L, -1, "httpd.wait");
    if (w.websocket || w.subscription || w.socket) {
        lua_pop(L, 1);
    } else {
        for (unsigned i = 0; i < all->n; i++)
            if (all->v[i].file)
                lh_api_error(L, "httpd.wait: more than one file");
        w.file = use_file(L, task);
        task->on.file = w.file;
    }
    all->v[all->n++] = w;
}

/* Replaces the array at index 1 by a copy, and notes what is in it. */
static void take_streams(lua_State *L, struct lh_task *task)
{
    size_t n = lh_lua_len(L, 1);

    if (n == 0)
        lh_api_error(L, "httpd.wait: the array has no streams");
    if (!task->several)
        task->several = lh_calloc(1, sizeof(*task->several));
    if (!task->several)
        lh_api_error(L, "not enough memory");
    task->several->n = 0;
    lua_createtable(L, n < STREAMS_MOST ? (int)n : STREAMS_MOST, 0);
    lua_insert(L, 1);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, (int)i);
        lua_pushvalue(L, -1);
        add_stream(L, task);
        lua_rawseti(L, 1, (int)i);
    }
    lua_remove(L, 2);
}

/* wait_begin(array, timeout). */
static int wait_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.wait");

    if (!task)
        return lh_api_refuse(L);
    lua_settop(L, 2);
    uint64_t timeout_ms = lh_api_timeout(L, 2, "httpd.wait");
    if (!lua_istable(L, 1))
        return lh_api_argument_error(L, 1, "httpd.wait", "array of streams");
    lh_task_end_wait(task);
    take_streams(L, task);
    return lh_api_begin(L, task, &any_wait, timeout_ms);
}

const luaL_Reg lh_wait_any_begins[] = {
    {"wait_begin", wait_begin},
    {NULL, NULL},
};
