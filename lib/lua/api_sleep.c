/* httpd.sleep and httpd.stopping. */
#include "lua/api.h"

/* The time-out is what it waits for. */
static enum lh_outcome poll_sleep(struct lh_task *task, lua_State *L)
{
    (void)L;
    if (task->timed_out)
        return LH_OUTCOME_DONE;
    if (task->cut || (task->ex && lh_task_is_closed(task)))
        return LH_OUTCOME_CLOSED;
    if (task->vm->ctx->stopping && !task->told)
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
    lua_pushboolean(L, lh_vm_of(L)->ctx->stopping);
    return 1;
}

const luaL_Reg lh_sleep_begins[] = {
    {"sleep_begin", sleep_begin},
    {NULL, NULL},
};

const luaL_Reg lh_sleep_functions[] = {
    {"stopping", httpd_stopping},
    {NULL, NULL},
};
