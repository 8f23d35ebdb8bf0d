/*
 * Child processes of scripts: see process.h.
 *
 * A process is in vm->processes until it was reaped.  Its handle's state and it
 * point at each other as long as both live; once it has no handle it is left:
 * its end alone frees it.  How it ended is known from the reaping on (`ended`),
 * which comes last, since until then nobody else can have its number.
 */
#include "lua/process.h"

#include "base/mem.h"
#include "lua/api.h"
#include "os/error.h"
#include "os/evq.h"
#include "os/fd.h"
#include "os/stdio.h"
#include "os/pipe.h"

/* From SIGTERM to SIGKILL; and for the rest of its group, once it has ended. */
#define TERM_MS 2000
#define REST_MS 100

/* From one search for lost handles to the next. */
#define SWEEP_MS 1000

/* From one question whether it has ended to the next, where the kernel does not
 * report it: soon, and then twice as late each time. */
#define LOOK_FIRST_MS 1
#define LOOK_LAST_MS  64

/* --- its life ------------------------------------------------------------- */

/* Its end is not reported any more. */
static void unwatch_process(struct lh_process *p)
{
    lh_timer_disarm(&p->look_timer);
    if (!p->watched)
        return;
    lh_evq_forget(p->vm->ctx->evq, p->child.ended_fd);
    lh_slots_remove(p->vm->ctx->slots, p->tag);
    p->watched = false;
}

/* Among the worker's children that run, or not any more. */
static void count_process(struct lh_process *p, bool runs)
{
    if (p->counted == runs)
        return;
    p->counted = runs;
    lh_count_add(&p->vm->ctx->counters.processes, runs ? 1 : (uint64_t)-1);
}

/* Nobody points at it. */
static void free_process(struct lh_process *p)
{
    count_process(p, false);
    unwatch_process(p);
    lh_timer_disarm(&p->timer);
    lh_list_remove(&p->link);
    lh_list_remove(&p->bound.link);
    lh_free(p);
}

/* It was told to end, and has; SIGKILL comes for those that it may have started
 * and that have not.  It is not reaped before, so that no other process group
 * gets the number meanwhile. */
static void hurry(struct lh_process *p)
{
    struct lh_context *ctx = p->vm->ctx;
    uint64_t due_ms = lh_deadline(ctx->now_ms, REST_MS);

    if (due_ms < p->timer.deadline_ms)
        lh_timer_arm(&ctx->timers, &p->timer, due_ms);
}

/* One that was told to end is reaped once its whole group has been killed. */
bool lh_process_reap(struct lh_process *p)
{
    if (p->ended)
        return true;
    if (!lh_child_has_ended(&p->child))
        return false;
    count_process(p, false);
    unwatch_process(p);
    if (lh_timer_armed(&p->timer))
        hurry(p);
    else
        p->ended = lh_child_reap(&p->child);
    return p->ended;
}

/* Whoever waits for it looks again; one that was left is freed. */
static void on_process_end(struct lh_source *source, unsigned ready)
{
    struct lh_process *p = LH_OF(source, struct lh_process, source);

    (void)ready;
    if (!lh_process_reap(p))
        return;
    if (p->task)
        lh_task_ready(p->task);
    else if (!p->file)
        free_process(p);
}

/* The kernel does not report ends: one asks, ever less often. */
static void ask_later(struct lh_process *p)
{
    struct lh_context *ctx = p->vm->ctx;

    lh_timer_arm(&ctx->timers, &p->look_timer,
                 lh_deadline(ctx->now_ms, p->look_ms));
    if (p->look_ms < LOOK_LAST_MS)
        p->look_ms *= 2;
}

static void look_for_end(struct lh_timer *timer)
{
    struct lh_process *p = LH_OF(timer, struct lh_process, look_timer);

    if (lh_child_has_ended(&p->child))
        on_process_end(&p->source, 0);
    else
        ask_later(p);
}

/* SIGTERM did not do. */
static void kill_late(struct lh_timer *timer)
{
    struct lh_process *p = LH_OF(timer, struct lh_process, timer);

    lh_child_kill(&p->child);
    on_process_end(&p->source, 0);
}

/* SIGTERM now, SIGKILL when TERM_MS are over. */
static void terminate(struct lh_process *p)
{
    struct lh_context *ctx = p->vm->ctx;

    if (p->ended || lh_timer_armed(&p->timer))
        return;
    lh_child_terminate(&p->child);
    lh_timer_arm(&ctx->timers, &p->timer, lh_deadline(ctx->now_ms, TERM_MS));
}

/* Nobody will ask how it ended. */
void lh_process_leave(struct lh_process *p)
{
    if (p->file)
        p->file->process = NULL;
    p->file = NULL;
    if (p->ended)
        free_process(p);
    else if (p->ends_when_left)
        terminate(p);
}

/* The VM goes: what was not detached is killed, since nobody could wait for it.
 */
void lh_processes_deinit(struct lh_vm *vm)
{
    while (!lh_list_empty(&vm->processes)) {
        struct lh_process *p =
            LH_OF(vm->processes.next, struct lh_process, link);
        unwatch_process(p);
        if (!p->detached)
            lh_child_end(&p->child);
        else if (!lh_child_reap(&p->child))
            lh_child_leave(&p->child);
        free_process(p);
    }
    lh_timer_disarm(&vm->sweep_timer);
}

/* The VM's next run begins with a collection. */
static void sweep_now(struct lh_vm *vm)
{
    vm->sweep = true;
    if (!lh_list_linked(&vm->ready_link))
        lh_list_append(vm->ready_list, &vm->ready_link);
}

static void sweep_due(struct lh_timer *timer)
{
    sweep_now(LH_OF(timer, struct lh_vm, sweep_timer));
}

void lh_process_sweep_soon(struct lh_vm *vm)
{
    struct lh_context *ctx = vm->ctx;
    uint64_t due_ms = lh_deadline(vm->swept_ms, SWEEP_MS);

    if (vm->sweep || lh_timer_armed(&vm->sweep_timer))
        return;
    if (vm->swept_ms == 0 || due_ms <= ctx->now_ms)
        sweep_now(vm);
    else
        lh_timer_arm(&ctx->timers, &vm->sweep_timer, due_ms);
}

/* Its handle may be left behind. */
static void on_task_end(struct lh_bound *bound)
{
    struct lh_process *p = LH_OF(bound, struct lh_process, bound);

    if (p->ends_with_task)
        terminate(p);
    if (p->file)
        lh_process_sweep_soon(p->vm);
}

/* --- starting ------------------------------------------------------------- */

/* Its end is reported by the event queue, or looked for. 0 or an error. */
static int watch_process(struct lh_process *p)
{
    struct lh_context *ctx = p->vm->ctx;

    if (!ctx->evq)
        return 0; /* a VM that is thrown away */
    if (p->child.ended_fd < 0) {
        ask_later(p);
        return 0;
    }
    if (lh_slots_add(ctx->slots, &p->source, &p->tag) < 0)
        return LH_SYS_ENOMEM;
    int r = lh_evq_add(ctx->evq, p->child.ended_fd, LH_EV_READ, p->tag);
    if (r < 0) {
        lh_slots_remove(ctx->slots, p->tag);
        return r;
    }
    p->watched = true;
    return 0;
}

/* The child with its end of the pipe.  0, or an error with words. */
static int start_child(struct lh_process *p, struct lh_process_start *start,
                       int theirs, struct lh_err *err)
{
    struct lh_child_start *child = &start->child;

    if (start->reads)
        child->out = theirs;
    else
        child->in = theirs;
    if (start->merge)
        child->error = child->out;
    int r = lh_child_spawn(&p->child, child, err);
    if (r < 0)
        return r;
    r = watch_process(p);
    if (r < 0) {
        lh_err_set(err, LHTTPD_ESYSTEM, "%s: %s", child->argv[0],
                   lh_sys_text(r));
        lh_child_end(&p->child);
    }
    return r;
}

/* Starts it with a pipe whose other end is *fp.  0, or an error with words. */
static int open_pipe(struct lh_process *p, struct lh_process_start *start,
                     FILE **fp, struct lh_err *err)
{
    bool reads = start->reads;
    int fds[2], error = lh_child_pipe(fds);

    if (error < 0) {
        lh_err_set(err, LHTTPD_ESYSTEM, "a pipe: %s", lh_sys_text(error));
        return error;
    }
    error = lh_stdio_open(fds[!reads], reads ? "r" : "w", fp);
    if (error < 0) {
        lh_err_memory(err);
    } else {
        error = start_child(p, start, fds[reads], err);
        if (error < 0)
            fclose(*fp);
    }
    lh_fd_close(fds[reads]);
    return error;
}

/* As open_pipe(), with the text that the child reads, if there is one. */
static int open_ends(struct lh_process *p, struct lh_process_start *start,
                     FILE **fp, struct lh_err *err)
{
    int fd, error;

    if (!start->text)
        return open_pipe(p, start, fp, err);
    fd = lh_pipe_text(start->text, start->text_n);
    if (fd < 0) {
        lh_err_set(err, LHTTPD_ESYSTEM, "%s", lh_sys_text(fd));
        return fd;
    }
    start->child.in = fd;
    error = open_pipe(p, start, fp, err);
    lh_fd_close(fd);
    return error;
}

/* It ends with the task whose handler starts it, if it is to.  NULL: no memory.
 */
static struct lh_process *new_process(struct lh_vm *vm)
{
    struct lh_process *p = lh_calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->vm = vm;
    p->source.on_event = on_process_end;
    lh_list_init(&p->bound.link);
    p->bound.on_task_end = on_task_end;
    if (vm->current)
        lh_list_append(&vm->current->bound, &p->bound.link);
    p->child.pid = p->child.ended_fd = -1;
    lh_timer_init(&p->timer, kill_late);
    lh_timer_init(&p->look_timer, look_for_end);
    p->look_ms = LOOK_FIRST_MS;
    lh_list_init(&p->link);
    return p;
}

/* Notes whose child it is where a lost handle leaves no trace. */
static int remember_handle(lua_State *L, struct lh_vm *vm)
{
    int id = ++vm->popens_n;

    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->popens);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, id);
    lua_pop(L, 1);
    return id;
}

/* Pushes nil, the words and the number, as io does. */
static struct lh_process *push_refusal(lua_State *L, const char *text,
                                       int error)
{
    lua_pushnil(L);
    lua_pushstring(L, text);
    lua_pushinteger(L, -error);
    return NULL;
}

struct lh_process *lh_process_start(lua_State *L, struct lh_vm *vm,
                                    struct lh_process_start *start)
{
    struct lh_process *p;
    struct lh_err err = {""};
    FILE *fp;
    int error = 0, id;

    /* First all that may raise: nothing is open yet. */
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    struct lh_file *file = lh_file_push_handle(L, vm, &error);
    if (!file) {
        lh_api_note_error(vm, error);
        return push_refusal(L, lh_sys_text(error), error);
    }
    id = remember_handle(L, vm);
    p = new_process(vm);
    if (!p)
        return push_refusal(L, lh_sys_text(LH_SYS_ENOMEM), LH_SYS_ENOMEM);
    error = open_ends(p, start, &fp, &err);
    if (error < 0) {
        lh_list_remove(&p->bound.link);
        lh_free(p);
        lh_api_note_error(vm, error);
        return push_refusal(L, err.text, error);
    }
    lh_file_open_handle(file, lua_touserdata(L, -1), fp);
    p->id = id;
    p->file = file;
    file->process = p;
    lh_list_append(&vm->processes, &p->link);
    count_process(p, true);
    return p;
}

/* --- on the way to a worker ----------------------------------------------- */

void lh_processes_leave(struct lh_vm *vm)
{
    for (struct lh_list *l = vm->processes.next; l != &vm->processes;
         l = l->next) {
        struct lh_process *p = LH_OF(l, struct lh_process, link);
        count_process(p, false);
        p->kill_ms = p->timer.deadline_ms;
        lh_timer_disarm(&p->timer);
    }
    vm->sweep |= lh_timer_armed(&vm->sweep_timer);
    lh_timer_disarm(&vm->sweep_timer);
}

/* One whose end cannot be reported is asked now and then. */
void lh_processes_adopt(struct lh_vm *vm)
{
    for (struct lh_list *l = vm->processes.next; l != &vm->processes;
         l = l->next) {
        struct lh_process *p = LH_OF(l, struct lh_process, link);
        if (p->ended)
            continue;
        count_process(p, true);
        if (watch_process(p) < 0)
            ask_later(p);
        lh_timer_arm(&vm->ctx->timers, &p->timer, p->kill_ms);
    }
    if (vm->sweep)
        sweep_now(vm);
}

/* --- lost handles --------------------------------------------------------- */

/* A handle that is not in the weak table any more was collected. */
void lh_process_sweep(lua_State *L, struct lh_vm *vm)
{
    struct lh_list *l, *next;

    vm->sweep = false;
    vm->swept_ms = vm->ctx->now_ms;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->popens);
    for (l = vm->processes.next; l != &vm->processes; l = next) {
        struct lh_process *p = LH_OF(l, struct lh_process, link);
        next = l->next;
        lua_rawgeti(L, -1, p->id);
        bool lost = p->file && lua_isnil(L, -1);
        lua_pop(L, 1);
        if (!lost)
            continue;
        lh_file_forget(p->file);
        lh_process_leave(p);
    }
    lua_pop(L, 1);
}

void lh_processes_init(struct lh_vm *vm)
{
    lh_list_init(&vm->processes);
    lh_timer_init(&vm->sweep_timer, sweep_due);
}

/* --- how it has ended ----------------------------------------------------- */

/* A program that waits for all children has taken the answer. */
static int push_unknown(lua_State *L)
{
    lua_pushnil(L);
    lua_pushliteral(L, "how it ended is not known: the program around the "
                       "server ignores SIGCHLD or waits for all its children");
    lua_pushinteger(L, -LH_SYS_ECHILD);
    return 3;
}

int lh_process_push_end(lua_State *L, const struct lh_child *child)
{
    bool exited = child->fate == LH_CHILD_EXITED;

    if (child->fate == LH_CHILD_UNKNOWN)
        return push_unknown(L);
    if (exited && child->code == 0)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_pushstring(L, exited ? "exit" : "signal");
    lua_pushinteger(L, child->code);
    return 3;
}
