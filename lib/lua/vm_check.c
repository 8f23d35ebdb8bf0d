/*
 * What always holds: see vm_check.h.  A check looks and changes nothing; it has
 * to be quick, since it runs after each run of each VM.
 */
#include "lua/vm_check.h"

#if LHTTPD_CHECKS

#include "lua/file.h"
#include "lua/process.h"

#include <stdio.h>
#include <stdlib.h>

/* A rule that must hold, and the words for where it does not. */
struct rule {
    bool holds;
    const char *otherwise;
};

static const char *first_broken(const struct rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!rules[i].holds)
            return rules[i].otherwise;
    return NULL;
}

#define BROKEN(rules) first_broken(rules, sizeof(rules) / sizeof((rules)[0]))

/* --- input and files ------------------------------------------------------ */

/* 0 <= at <= n <= room. */
const char *lh_check_input(const struct lh_input *in)
{
    const struct rule rules[] = {
        {in->at <= in->n, "an input: more was read than is there"},
        {in->n <= in->room, "an input: more octets than room"},
        {in->p || in->room == 0, "an input: room without a buffer"},
    };

    return BROKEN(rules);
}

/* What belongs to a descriptor that httpd has of a file. */
static const char *check_descriptor(const struct lh_file *file)
{
    const struct lh_descriptor *d = file->descriptor;
    const struct rule rules[] = {
        {!d || d->refs > 0, "a file: a descriptor that nobody holds"},
        {d || !file->ours, "a file: ours without a descriptor"},
        {d || !file->pollable, "a file: events without a descriptor"},
        {!d || !file->dead, "a file: a descriptor after its end"},
        {!file->pollable || !file->seekable,
         "a file: both events and a position"},
    };

    return BROKEN(rules);
}

/* What points at the file, it points at. */
const char *lh_check_file(const struct lh_file *file)
{
    const struct lh_operation *op = file->operation;
    const struct lh_task *task = file->task;
    const struct lh_process *p = file->process;
    const struct rule rules[] = {
        {!op || op->file == file, "a file: its operation is another's"},
        {!op || !file->dead, "a file: an operation after its end"},
        {!task || task->on.file == file, "a file: its task has another one"},
        {!task || task->on.attached, "a file: its task does not know"},
        {!p || p->file == file, "a file: its process is another's"},
    };
    const char *broken = BROKEN(rules);

    if (!broken)
        broken = check_descriptor(file);
    if (!broken)
        broken = lh_check_input(&file->ahead);
    if (!broken)
        broken = lh_check_input(&file->behind);
    return broken;
}

/* --- tasks ---------------------------------------------------------------- */

/* A task that waits has what it waits for, and one that does not has no trace
 * of a wait. */
static const char *check_wait(const struct lh_task *task)
{
    bool waits = task->state == LH_TASK_WAITING;
    const struct lh_wait *wait = task->wait;
    const struct rule rules[] = {
        {waits == (task->wait_step == LH_WAIT_STARTED),
         "a task: it waits and nothing was started, or the reverse"},
        {!waits == !wait, "a task: it waits for nothing, or does not wait"},
        {!waits || task->co, "a task: it waits without a coroutine"},
        {!wait || !(wait->keeps_handle || wait->keeps_data) || task->anchored,
         "a task: what it keeps is not anchored"},
        {waits || !lh_timer_armed(&task->timer),
         "a task: a timer without a wait"},
        {!wait || wait->native == (task->native != NULL),
         "a task: a C function that waits, and none does, or the reverse"},
        {waits || !task->on.attached, "a task: on a file without a wait"},
        {task->on.attached || !lh_timer_armed(&task->on.late_timer),
         "a task: a timer for a file that it does not wait for"},
    };

    return BROKEN(rules);
}

/* Between two runs nobody runs. */
const char *lh_check_task(const struct lh_task *task)
{
    bool idle = task->state == LH_TASK_IDLE;
    const struct rule rules[] = {
        {task->state != LH_TASK_RUNNING, "a task: it runs between two runs"},
        {task->state != LH_TASK_NEW || task->ex || task->spawned || task->job,
         "a task: new and without a request"},
        {task->state != LH_TASK_DRAINING || task->ex,
         "a task: nothing to drain"},
        {!idle || !task->ex, "a task: idle and with a request"},
        {!idle || lh_list_empty(&task->bound),
         "a task: idle, and something has not ended with it"},
        {!idle || !lh_list_linked(&task->ready_link), "a task: idle and ready"},
        {!idle || !task->form, "a task: idle and with a form"},
        {!task->ex || task->ex->handler == task,
         "a task: its request is another's"},
    };
    const char *broken = BROKEN(rules);

    if (!broken)
        broken = check_wait(task);
    if (!broken)
        broken = lh_check_input(&task->input);
    if (!broken && task->on.attached)
        broken = task->on.file->task == task
                     ? lh_check_file(task->on.file)
                     : "a task: its file has another one";
    return broken;
}

/* --- the VM --------------------------------------------------------------- */

/* Checks each task of a list; all are idle, or none is. */
static const char *check_tasks(const struct lh_vm *vm,
                               const struct lh_list *list, bool idle,
                               unsigned *n, unsigned *coroutines)
{
    const char *broken = NULL;

    for (const struct lh_list *l = list->next; l != list && !broken;
         l = l->next) {
        const struct lh_task *task = LH_OF(l, struct lh_task, link);
        ++*n;
        *coroutines += task->co != NULL;
        broken = task->vm == vm ? lh_check_task(task) : "a VM: another's task";
        if (!broken && (task->state == LH_TASK_IDLE) != idle)
            broken = "a VM: a task in the list of another state";
    }
    return broken;
}

/* Handles and processes point at each other. */
static const char *check_processes(const struct lh_vm *vm)
{
    const struct lh_list *list = &vm->processes;

    for (const struct lh_list *l = list->next; l != list; l = l->next) {
        const struct lh_process *p = LH_OF(l, struct lh_process, link);
        if (p->file && p->file->process != p)
            return "a process: its handle is another's";
        if (p->task && p->task->state != LH_TASK_WAITING)
            return "a process: nobody waits for it";
    }
    return NULL;
}

/* Counts agree with lists, and what is ready will be run. */
const char *lh_check_vm(const struct lh_vm *vm)
{
    unsigned tasks = 0, idle = 0, running = 0, coroutines = 0;
    const char *broken = check_tasks(vm, &vm->tasks, false, &tasks, &running);

    if (!broken)
        broken = check_tasks(vm, &vm->idle, true, &idle, &coroutines);
    if (!broken)
        broken = check_processes(vm);
    if (broken)
        return broken;
    const struct rule rules[] = {
        {tasks == vm->tasks_n, "a VM: its count of tasks"},
        {coroutines == vm->idle_coroutines, "a VM: its count of coroutines"},
        {tasks + idle == (unsigned)vm->slots_n, "a VM: its count of slots"},
        {!vm->current, "a VM: a task that runs between two runs"},
        {lh_list_empty(&vm->batch), "a VM: a batch between two runs"},
        {lh_list_empty(&vm->ready) || lh_list_linked(&vm->ready_link),
         "a VM: ready tasks that nobody will run"},
        {!vm->collects && vm->finalizers == 0,
         "a VM: a collection between two runs"},
    };
    return BROKEN(rules);
}

void lh_vm_check(const struct lh_vm *vm)
{
    const char *broken = lh_check_vm(vm);

    if (!broken)
        return;
    fprintf(stderr, "lhttpd: %s\n", broken);
    abort();
}

#endif
