/* A VM and its turn: see vm.h and task.h. */
#include "lua/task.h"

#include "base/mem.h"
#include "lua/gc.h"
#include "lua/process.h"
#include "os/clock.h"

#include <stdio.h>

int lh_vm_new(struct lh_vm **out, const struct lh_vm_config *config,
              struct lh_err *err)
{
    struct lh_vm *vm = lh_calloc(1, sizeof(*vm));
    int error = LHTTPD_ENOMEM;

    if (!vm)
        return lh_err_memory(err);
    vm->ctx = config->ctx;
    lh_vm_note_stack(vm);
    vm->ready_list = config->ready;
    vm->not_found = vm->root = -1;
    vm->date_s = INT64_MIN;
    lh_list_init(&vm->ready_link);
    lh_list_init(&vm->ready);
    lh_list_init(&vm->batch);
    lh_list_init(&vm->tasks);
    lh_list_init(&vm->idle);
    lh_processes_init(vm);
    if (config->factory) {
        vm->factory_copy = *config->factory;
        vm->factory = &vm->factory_copy;
    }
    vm->prefix = lh_strdup(config->prefix);
    vm->name = config->name;
    lh_running_begin(&vm->ctx->running, vm->name, "the loading", lh_clock_ms());
    if (!vm->prefix)
        lh_err_memory(err);
    else
        error = lh_vm_load(vm, config, err);
    lh_running_end(&vm->ctx->running);
    if (error) {
        lh_vm_free(vm);
        return error;
    }
    *out = vm;
    return 0;
}

static void free_tasks(struct lh_list *list)
{
    while (!lh_list_empty(list))
        lh_task_free(LH_OF(list->next, struct lh_task, link));
}

static void close_state(struct lh_vm *vm)
{
    const lhttpd_vm_factory_t *factory = vm->factory;

    if (!vm->L)
        return;
    vm->collects = true; /* all that is left */
    lh_running_begin(&vm->ctx->running, vm->name, "the last finalizers",
                     lh_clock_ms());
    /* LuaJIT frees its own allocator's memory only if it finds it there. */
    if (vm->alloc)
        lua_setallocf(vm->L, vm->alloc, vm->alloc_data);
    if (factory && factory->destroy)
        factory->destroy(factory->context, vm->L);
    else
        lua_close(vm->L);
    lh_running_end(&vm->ctx->running);
}

void lh_vm_free(struct lh_vm *vm)
{
    free_tasks(&vm->tasks);
    free_tasks(&vm->idle);
    close_state(vm);
    lh_processes_deinit(vm);
    lh_list_remove(&vm->ready_link);
    lh_names_deinit(&vm->names);
    for (unsigned i = 0; i < vm->known_n; i++)
        lh_free(vm->known[i].what);
    lh_free(vm->known);
    lh_free(vm->spare_input.p);
    lh_free(vm->prefix);
    lh_free(vm);
}

int lh_vm_find(const struct lh_vm *vm, struct lh_str rest,
               struct lh_str *path_info)
{
    return lh_names_find(&vm->names, rest.n ? rest : LH_STR("/"), path_info);
}

int lh_vm_not_found(const struct lh_vm *vm)
{
    return vm->not_found;
}

bool lh_vm_has_root(const struct lh_vm *vm)
{
    return vm->root >= 0;
}

int lh_vm_serve(struct lh_vm *vm, int handler, struct lh_exchange *ex,
                struct lh_str path_info)
{
    return lh_task_new(vm, handler, ex, path_info) ? 0 : LHTTPD_ENOMEM;
}

struct lh_vm *lh_vm_of_ready(struct lh_list *link)
{
    return LH_OF(link, struct lh_vm, ready_link);
}

unsigned lh_vm_tasks(const struct lh_vm *vm)
{
    return vm->tasks_n;
}

void lh_vm_find_lost(struct lh_vm *vm)
{
    lh_process_sweep_soon(vm);
}

/* --- running -------------------------------------------------------------- */

/* One task at least has run. */
static bool is_late(const struct lh_vm *vm)
{
    const struct lh_context *ctx = vm->ctx;

    return ctx->tasks_until_ms && ctx->resumed_ms >= ctx->tasks_until_ms;
}

int lh_vm_turn(lua_State *L)
{
    struct lh_vm *vm = lua_touserdata(L, lua_upvalueindex(1));
    struct lh_list *link;

    for (int i = 1; i <= LH_AT_LAST; i++)
        lua_pushvalue(L, lua_upvalueindex(1 + i));
    lh_gc_note_stopped(L, vm);
    while ((link = lh_list_take(&vm->batch)) != NULL) {
        vm->current = LH_OF(link, struct lh_task, ready_link);
        lh_task_run(vm->current, L);
        vm->current = NULL;
        if (lh_gc_is_due(vm) || is_late(vm))
            break;
    }
    return 0;
}

/* A finalizer that raised where we allocate took the turn from a request that
 * had not begun, which is tried again once. */
static bool begins_again(struct lh_vm *vm, struct lh_task *task, int status)
{
    if (status == LUA_ERRMEM || task->state != LH_TASK_NEW || task->again_begun)
        return false;
    task->again_begun = true;
    lh_list_append(&vm->batch, &task->ready_link);
    return true;
}

/* The turn was ended by an error.  Lack of memory is the present task's, and
 * what a script has raised outside of its handler is what the log says; the
 * other tasks go on. */
static void fail_current(struct lh_vm *vm, int status)
{
    const char *message = lua_tostring(vm->L, -1);
    struct lh_task *task = vm->current;
    struct lh_list *link;
    char text[512];

    if (!task && (link = lh_list_take(&vm->batch)) != NULL)
        task = LH_OF(link, struct lh_task, ready_link);
    snprintf(text, sizeof(text), "%s",
             status == LUA_ERRMEM || !message ? "not enough memory" : message);
    lua_settop(vm->L, 1);
    vm->current = NULL;
    vm->short_of_memory = true;
    if (task && !begins_again(vm, task, status))
        lh_task_fail(task, lh_str_of(text));
}

/* What there was no time for is first next time. */
static void put_back(struct lh_vm *vm)
{
    if (lh_list_empty(&vm->batch))
        return;
    lh_list_put_first(&vm->ready, &vm->batch);
    if (!lh_list_linked(&vm->ready_link))
        lh_list_append(vm->ready_list, &vm->ready_link);
}

void lh_vm_note_stack(struct lh_vm *vm)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    if (vm->ctx->stack_bytes)
        vm->stack_low = here - vm->ctx->stack_bytes / 2;
}

void lh_vm_run(struct lh_vm *vm)
{
    lh_vm_note_stack(vm);
    lh_list_remove(&vm->ready_link);
    lh_list_move(&vm->batch, &vm->ready);
    /* First: the tasks may need what it finds. */
    if (vm->sweep) {
        lh_gc_collect(vm);
        lh_process_sweep(vm->L, vm);
    }
    while (!lh_list_empty(&vm->batch)) {
        lua_pushvalue(vm->L, 1);
        int status = lua_pcall(vm->L, 0, 0, 0);
        if (status)
            fail_current(vm, status);
        if (lh_gc_is_due(vm))
            lh_gc_collect(vm);
        if (is_late(vm))
            break;
    }
    lh_running_end(&vm->ctx->running);
    put_back(vm);
}

/* --- a stop --------------------------------------------------------------- */

static void wake_all(struct lh_vm *vm, bool cut)
{
    for (struct lh_list *l = vm->tasks.next; l != &vm->tasks; l = l->next) {
        struct lh_task *task = LH_OF(l, struct lh_task, link);
        task->cut |= cut;
        if (task->state == LH_TASK_WAITING)
            lh_task_ready(task);
    }
}

void lh_vm_stopping(struct lh_vm *vm)
{
    wake_all(vm, false);
}

void lh_vm_cut(struct lh_vm *vm)
{
    wake_all(vm, true);
}
