/*
 * httpd.spawn and httpd.every: see spawn.h.  The function of a task that was
 * spawned is in the table `threads`, at its slot's negative, until the task has
 * ended; that of a job is in the registry, and one task at most runs it.
 */
#include "lua/spawn.h"

#include "lua/api.h"
#include "lua/gc.h"

#include "base/mem.h"
#include "base/num.h"

#include <stdio.h>

void lh_spawn_push(lua_State *L, const struct lh_task *task)
{
    if (task->job) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->job->function);
        return;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->threads);
    lua_rawgeti(L, -1, -task->slot);
    lua_remove(L, -2);
}

/* --- httpd.spawn ---------------------------------------------------------- */

/* spawn(function): true, or nil and "too many".  The task is there before its
 * function is kept, which may raise: then it has none, and ends. */
static int spawn(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);

    if (vm->loading)
        return lh_api_error(L, "httpd.spawn: not while the script loads "
                               "(httpd.every is for then)");
    struct lh_task *parent = lh_api_task(L, "httpd.spawn");
    if (!parent)
        return lh_api_refuse(L);
    if (lua_type(L, 1) != LUA_TFUNCTION)
        return lh_api_argument_error(L, 1, "httpd.spawn", "function");
    if (vm->spawned_n >= vm->ctx->limits->spawned) {
        lua_pushnil(L);
        lua_pushliteral(L, "too many");
        return 2;
    }
    struct lh_task *task = lh_task_spawn(vm, parent->handler, parent->known);
    if (!task)
        return lh_api_error(L, "not enough memory");
    task->spawned = true;
    task->cut = parent->cut;
    vm->spawned_n++;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->threads);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, -task->slot);
    lua_pushboolean(L, 1);
    return 1;
}

/* --- httpd.every ---------------------------------------------------------- */

/* A run that lasts longer than the time between two takes the next ones'
 * place. */
static void job_is_due(struct lh_timer *timer)
{
    struct lh_job *job = LH_OF(timer, struct lh_job, timer);
    struct lh_vm *vm = job->vm;
    uint64_t next = lh_deadline(timer->deadline_ms, job->every_ms);

    if (vm->stopping)
        return;
    if (next <= vm->ctx->now_ms)
        next = lh_deadline(vm->ctx->now_ms, job->every_ms);
    lh_timer_arm(&vm->ctx->timers, timer, next);
    if (job->runs)
        return;
    struct lh_task *task = lh_task_spawn(vm, -1, &job->known);
    if (!task) {
        lh_task_log(vm, NULL, LHTTPD_LOG_ERROR,
                    LH_STR("httpd.every: not enough memory"));
        return;
    }
    task->job = job;
    job->runs = true;
}

/* What the log calls it. */
static bool name_job(struct lh_job *job, int line)
{
    char text[40];

    snprintf(text, sizeof(text), "httpd.every (line %d)", line);
    job->known.what = lh_run_words_new(text);
    return job->known.what;
}

/* The third argument. */
static bool is_everywhere(lua_State *L)
{
    static const char *const names[] = {"everywhere", NULL};

    if (!lh_api_options(L, 3, "httpd.every", names))
        return false;
    lua_pushliteral(L, "everywhere");
    lua_rawget(L, 3);
    bool everywhere = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return everywhere;
}

/* In milliseconds, at least one. */
static uint64_t interval(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TNUMBER)
        lh_api_argument_error(L, 1, "httpd.every", "number");
    uint64_t ms = lh_api_timeout(L, 1, "httpd.every");
    if (ms == 0 || ms == LH_NEVER)
        lh_api_error(L, "bad argument #1 to 'httpd.every' (a time above 0)");
    return ms;
}

/* every(seconds, function [, options]), while the script loads. */
static int every(lua_State *L)
{
    struct lh_vm *vm = lh_vm_of(L);
    lua_Debug ar;

    if (!lh_gc_runs_script(L, vm))
        return lh_api_refuse(L);
    if (!vm->loading)
        return lh_api_error(L, "httpd.every: only while the script loads");
    uint64_t every_ms = interval(L);
    if (lua_type(L, 2) != LUA_TFUNCTION)
        return lh_api_argument_error(L, 2, "httpd.every", "function");
    bool everywhere = is_everywhere(L);
    struct lh_job *job = lh_calloc(1, sizeof(*job));
    if (!job)
        return lh_api_error(L, "not enough memory");
    job->vm = vm;
    job->every_ms = every_ms;
    job->everywhere = everywhere;
    job->function = LUA_NOREF;
    lh_timer_init(&job->timer, job_is_due);
    lh_list_append(&vm->jobs, &job->link);
    lua_pushvalue(L, 2);
    lua_getinfo(L, ">S", &ar);
    if (!name_job(job, ar.linedefined))
        return lh_api_error(L, "not enough memory");
    lua_pushvalue(L, 2);
    job->function = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* A script may have caught the error of one that is not whole. */
void lh_jobs_begin(struct lh_vm *vm)
{
    struct lh_context *ctx = vm->ctx;

    for (struct lh_list *l = vm->jobs.next; l != &vm->jobs; l = l->next) {
        struct lh_job *job = LH_OF(l, struct lh_job, link);
        if (job->function != LUA_NOREF && (job->everywhere || ctx->worker == 0))
            lh_timer_arm(&ctx->timers, &job->timer,
                         lh_deadline(ctx->now_ms, job->every_ms));
    }
}

void lh_jobs_free(struct lh_vm *vm)
{
    struct lh_list *link;

    while ((link = lh_list_take(&vm->jobs)) != NULL) {
        struct lh_job *job = LH_OF(link, struct lh_job, link);
        lh_timer_disarm(&job->timer);
        lh_run_words_free(job->known.what, vm->ctx->readers);
        lh_free(job);
    }
}

const luaL_Reg lh_job_functions[] = {
    {"every", every},
    {NULL, NULL},
};

const luaL_Reg lh_spawn_begins[] = {
    {"spawn", spawn},
    {NULL, NULL},
};
