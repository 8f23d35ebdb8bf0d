/*
 * lhttpd_task_begin, _suspend and _resume: see include/lhttpd.h.
 *
 * A call is the worker's, but for `finish` and `data`, which are those of who
 * takes its handle: a resume, from any thread, which then posts it; or the
 * worker, which has ended the wait by then.
 */
#include "lua/native.h"

#include "base/handle.h"
#include "base/mem.h"
#include "lua/api.h"
#include "os/port.h"

struct call {
    struct lh_native native;
    struct lh_port_message message;
    struct lh_port *port;
    uintptr_t handle;
    bool arrived; /* resume's message has */
    bool left;    /* nobody waits for that any more */
    int (*finish)(lua_State *L, void *data);
    void *data;
};

static void free_call(struct call *call)
{
    lh_port_drop(call->port);
    lh_free(call);
}

/* Nobody wants the results. */
static void drop_call(struct call *call)
{
    if (call->finish)
        call->finish(NULL, call->data);
    free_call(call);
}

/* A resume that has taken the handle is on its way, or was here before. */
static void leave_call(struct call *call)
{
    if (lh_handle_take(call->handle))
        free_call(call);
    else if (call->arrived)
        drop_call(call);
    else
        call->left = true;
}

static void call_ends(struct lh_bound *bound)
{
    leave_call(LH_OF(bound, struct call, native.bound));
}

static void deliver_call(struct lh_port_message *message)
{
    struct call *call = LH_OF(message, struct call, message);

    call->arrived = true;
    if (call->left)
        drop_call(call);
    else
        lh_native_wake(&call->native);
}

/* --- begin ---------------------------------------------------------------- */

static struct lh_port *port_of(struct lh_context *ctx)
{
    if (!ctx->port)
        ctx->port = lh_port_new(ctx->evq);
    return ctx->port;
}

static const char *outcome_words(enum lh_outcome outcome)
{
    switch (outcome) {
    case LH_OUTCOME_TIMEOUT:
        return "timeout";
    case LH_OUTCOME_STOPPING:
        return "stopping";
    default:
        return "closed";
    }
}

static int finish_call(lua_State *L, struct lh_native *native,
                       enum lh_outcome outcome)
{
    struct call *call = LH_OF(native, struct call, native);

    if (outcome != LH_OUTCOME_DONE) {
        leave_call(call);
        lua_pushnil(L);
        lua_pushstring(L, outcome_words(outcome));
        return 2;
    }
    int (*finish)(lua_State *, void *) = call->finish;
    void *data = call->data;
    free_call(call);
    if (finish)
        return finish(L, data);
    lua_pushboolean(L, 1);
    return 1;
}

lhttpd_task_t *lhttpd_task_begin(struct lua_State *L)
{
    struct lh_task *task = L ? lh_native_task(L) : NULL;
    struct lh_port *port = task ? port_of(task->vm->ctx) : NULL;
    struct call *call = port ? lh_alloc(sizeof(*call)) : NULL;

    if (!call)
        return NULL;
    *call = (struct call){.native.finish = finish_call,
                          .message.deliver = deliver_call,
                          .port = port};
    call->handle = lh_handle_new(call);
    if (!call->handle) {
        lh_free(call);
        return NULL;
    }
    lh_port_hold(port);
    lh_native_bind(&call->native, task, call_ends);
    return (lhttpd_task_t *)call->handle;
}

/* --- suspend -------------------------------------------------------------- */

static enum lh_outcome poll_call(struct lh_task *task, lua_State *L)
{
    const struct call *call = LH_OF(task->native, struct call, native);

    (void)L;
    return lh_native_poll(task, call->arrived);
}

static const struct lh_wait call_wait = {
    .poll = poll_call,
    .start = lh_native_start,
    .native = true,
};

/* The handle may have been taken by now, so the call is looked for among what
 * its task has begun. */
static struct call *find_call(struct lh_task *task, uintptr_t handle)
{
    for (struct lh_list *l = task->bound.next; l != &task->bound; l = l->next) {
        struct lh_bound *bound = LH_OF(l, struct lh_bound, link);
        struct call *call = LH_OF(bound, struct call, native.bound);
        if (bound->on_task_end == call_ends && call->handle == handle)
            return call;
    }
    return NULL;
}

int lhttpd_task_suspend(struct lua_State *L, lhttpd_task_t *handle,
                        int timeout_ms)
{
    struct lh_task *task = lh_native_task(L);

    if (!task)
        return lh_api_error(L, "lhttpd_task_suspend: cannot suspend here");
    struct call *call = find_call(task, (uintptr_t)handle);
    if (!call)
        return lh_api_error(L, "lhttpd_task_suspend: it was not begun by this "
                               "handler, or was suspended before");
    return lh_native_suspend(L, &call->native, &call_wait, timeout_ms);
}

/* --- resume --------------------------------------------------------------- */

/* From the post on the call is the worker's, and the port may have no other
 * share than ours. */
int lhttpd_task_resume(lhttpd_task_t *handle,
                       int (*finish)(struct lua_State *L, void *data),
                       void *data)
{
    struct call *call = lh_handle_take((uintptr_t)handle);

    if (!call || !lh_port_is_ours(call->port))
        return LHTTPD_ESTATE;
    struct lh_port *port = call->port;
    call->finish = finish;
    call->data = data;
    lh_port_hold(port);
    lh_port_post(port, &call->message);
    lh_port_drop(port);
    return 0;
}
