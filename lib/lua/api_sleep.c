/* httpd.sleep, and what a handler has to do with stops: httpd.stopping and
 * httpd.reload. */
#include "lua/api.h"

/* The time-out is what it waits for. */
static enum lh_outcome poll_sleep(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (task->timed_out)
        return LH_OUTCOME_DONE;
    if (task->cut || (task->ex && lh_task_is_closed(task)))
        return LH_OUTCOME_CLOSED;
    if (task->vm->stopping && !task->told)
        return LH_OUTCOME_STOPPING;
    return LH_OUTCOME_PENDING;
}

/* The client is not kept waiting for what was written before. */
static void start_sleep(struct lh_task *task)
{
    if (task->ex)
        lh_exchange_release(task->ex);
}

static const struct lh_wait sleep_wait = {
    .poll = poll_sleep,
    .start = start_sleep,
    .finish = lh_api_finish,
};

/* sleep_begin(seconds). */
static int sleep_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.sleep");

    if (!task)
        return lh_api_refuse(L);
    if (lua_isnoneornil(L, 1))
        return lh_api_argument_error(L, 1, "httpd.sleep", "number");
    return lh_api_begin(L, task, &sleep_wait,
                        lh_api_timeout(L, 1, "httpd.sleep"));
}

static int httpd_stopping(lua_State *L)
{
    lua_pushboolean(L, lh_vm_of(L)->stopping);
    return 1;
}

static int httpd_reload(lua_State *L)
{
    const struct lh_task *task = lh_api_task(L, "httpd.reload");
    struct lh_err err = {"there is no server here"};

    if (!task)
        return lh_api_refuse(L);
    struct lh_context *ctx = task->vm->ctx;
    if (ctx->ask_reload && ctx->ask_reload(ctx, &err) == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    return 2;
}

const luaL_Reg lh_sleep_begins[] = {
    {"sleep_begin", sleep_begin},
    {NULL, NULL},
};

const luaL_Reg lh_sleep_functions[] = {
    {"stopping", httpd_stopping},
    {"reload", httpd_reload},
    {NULL, NULL},
};
