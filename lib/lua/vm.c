/*
 * What server/ calls: making and freeing a VM, giving it requests, a stop.  See
 * vm.h.  A VM that could not be made leaves nothing behind; one that is freed
 * ends its tasks first, then its state, whose finalizers may still run, then
 * its children.
 */
#include "lua/websocket.h"
#include "lua/task.h"

#include "base/channel.h"
#include "base/mem.h"
#include "lua/alloc.h"
#include "lua/gc.h"
#include "lua/kill.h"
#include "lua/process.h"
#include "lua/spawn.h"
#include "os/clock.h"

#include <stdio.h>

/* In the counters of the worker that has it now. */
static void count_vm(struct lh_vm *vm)
{
    vm->counted = true;
    lh_count_add(&vm->ctx->counters.vms, 1);
    lh_gc_count(vm);
}

static void uncount_vm(struct lh_vm *vm)
{
    struct lh_counters *counters = &vm->ctx->counters;

    lh_count_sub(&counters->vms, vm->counted);
    lh_count_sub(&counters->vm_kib, vm->kib);
    vm->counted = false;
    vm->kib = 0;
}

/* What runs meanwhile has a name: a script that loads for too long is named in
 * the log. */
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
    lh_list_init(&vm->jobs);
    lh_processes_init(vm);
    if (config->factory) {
        vm->factory_copy = *config->factory;
        vm->factory = &vm->factory_copy;
    }
    vm->prefix = lh_strdup(config->prefix);
    vm->name = config->name;
    lh_vm_interruptible(vm->ctx);
    lh_running_begin(&vm->ctx->running, vm->name, "the loading", lh_clock_ms());
    if (!vm->prefix)
        lh_err_memory(err);
    else
        error = lh_vm_load(vm, config, err);
    lh_kill_end(vm);
    lh_running_end(&vm->ctx->running);
    lh_vm_uninterruptible(vm->ctx);
    if (error) {
        lh_vm_free(vm);
        return error;
    }
    count_vm(vm);
    *out = vm;
    return 0;
}

static void free_tasks(struct lh_list *list)
{
    while (!lh_list_empty(list))
        lh_task_free(LH_OF(list->next, struct lh_task, link));
}

/* Finalizers run here, without a request; the memory limit does not hold for
 * them. */
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
    lh_state_free_remains(vm->remains);
    lh_running_end(&vm->ctx->running);
}

/* The order is that of who points at whom. */
void lh_vm_free(struct lh_vm *vm)
{
    free_tasks(&vm->tasks);
    free_tasks(&vm->idle);
    close_state(vm);
    lh_gc_deinit(vm);
    lh_processes_deinit(vm);
    lh_list_remove(&vm->ready_link);
    lh_names_deinit(&vm->names);
    lh_handlers_free(vm);
    lh_jobs_free(vm);
    lh_free(vm->spare_input.p);
    lh_free(vm->given_octets.p);
    lh_free(vm->loaded_answer);
    lh_publication_drop(vm->given);
    lh_websocket_free_left(vm);
    lh_free(vm->prefix);
    uncount_vm(vm);
    lh_free(vm);
}

int lh_vm_serve(struct lh_vm *vm, int handler, struct lh_exchange *ex,
                struct lh_str path_info)
{
    struct lh_tally *tally = vm->known[handler].tally;

    if (tally)
        ex->counts = &tally->of_worker[vm->ctx->worker];
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

/* --- other threads -------------------------------------------------------- */

void lh_vm_leave(struct lh_vm *vm)
{
    lh_list_remove(&vm->ready_link);
    uncount_vm(vm);
    lh_processes_leave(vm);
}

void lh_vm_adopt(struct lh_vm *vm, struct lh_context *ctx,
                 struct lh_list *ready)
{
    vm->ctx = ctx;
    vm->ready_list = ready;
    count_vm(vm);
    lh_processes_adopt(vm);
    lh_jobs_begin(vm);
}

void lh_vm_begin(struct lh_vm *vm)
{
    lh_jobs_begin(vm);
}

/* --- a stop --------------------------------------------------------------- */

/* Each looks at its own wait, which knows what a stop means to it. */
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
    vm->stopping = true;
    wake_all(vm, false);
}

void lh_vm_cut(struct lh_vm *vm)
{
    wake_all(vm, true);
}

/* What has left of a response is not taken for the whole. */
void lh_vm_cut_off(struct lh_vm *vm)
{
    for (struct lh_list *l = vm->tasks.next; l != &vm->tasks; l = l->next) {
        struct lh_task *task = LH_OF(l, struct lh_task, link);
        if (!task->ex)
            continue;
        task->cut = true;
        if (task->websocket)
            lh_websocket_leave(task->websocket, false);
        lh_exchange_unlend(task->ex);
        lh_exchange_fail(task->ex, 503);
        if (task->state == LH_TASK_DRAINING)
            lh_task_ready(task);
    }
    wake_all(vm, true);
}
