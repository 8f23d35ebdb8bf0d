/*
 * Tasks: see task.h.  What is here needs no other file of the folder: a task's
 * states, begin and end, what it keeps alive, its lines in the log.
 *
 * A task is in vm->tasks from its begin until it has ended and lends nothing
 * any more, then in vm->idle.  Its slot is its for good: the key of its
 * coroutine in the table `threads`, and of what it keeps in `anchors`.
 */
#include "lua/spawn.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/trace.h"
#include "http/request_id.h"

#include <assert.h>
#include <stdio.h>

/* The largest input buffer that is kept for the next request. */
#define SPARE_INPUT_BYTES ((size_t)64 << 10)

/* More than the log takes of a line and of a request line, so that it marks the
 * cut. */
#define MESSAGE_BYTES      4200
#define REQUEST_TEXT_BYTES 1100

/* --- how far it is -------------------------------------------------------- */

#define TO(state) (1u << (state))

/* From each state to which others. */
static const unsigned legal_moves[] = {
    [LH_TASK_IDLE] = TO(LH_TASK_NEW),
    [LH_TASK_NEW] = TO(LH_TASK_RUNNING) | TO(LH_TASK_IDLE),
    [LH_TASK_RUNNING] =
        TO(LH_TASK_WAITING) | TO(LH_TASK_DRAINING) | TO(LH_TASK_IDLE),
    [LH_TASK_WAITING] =
        TO(LH_TASK_RUNNING) | TO(LH_TASK_DRAINING) | TO(LH_TASK_IDLE),
    [LH_TASK_DRAINING] = TO(LH_TASK_IDLE),
};

static const char *const state_names[] = {
    [LH_TASK_IDLE] = "IDLE",         [LH_TASK_NEW] = "NEW",
    [LH_TASK_RUNNING] = "RUNNING",   [LH_TASK_WAITING] = "WAITING",
    [LH_TASK_DRAINING] = "DRAINING",
};

bool lh_task_may(enum lh_task_state from, enum lh_task_state to)
{
    return legal_moves[from] & TO(to);
}

void lh_task_set_state(struct lh_task *task, enum lh_task_state to)
{
    assert(lh_task_may(task->state, to));
    lh_trace(task->vm->ctx, task->connection, "task", 0,
             state_names[task->state], state_names[to]);
    if (to == LH_TASK_WAITING)
        lh_count_add(&task->vm->ctx->counters.tasks_waiting, 1);
    else if (task->state == LH_TASK_WAITING)
        lh_count_sub(&task->vm->ctx->counters.tasks_waiting, 1);
    task->state = to;
}

/* --- its begin ------------------------------------------------------------ */

/* The turn looks at the wait, which tells what a time-out means to it. */
static void wait_timed_out(struct lh_timer *timer)
{
    struct lh_task *task = LH_OF(timer, struct lh_task, timer);

    task->timed_out = true;
    lh_task_ready(task);
}

/* The exchange has changed.  A task that runs is told nothing, unless what it
 * has lent has left. */
static void on_news(struct lh_exchange *ex)
{
    struct lh_task *task = ex->handler;

    if (task->state >= LH_TASK_WAITING ||
        (task->anchored && !ex->response.lent))
        lh_task_ready(task);
}

/* An idle task, or a new one.  NULL: no memory. */
static struct lh_task *take_idle(struct lh_vm *vm)
{
    struct lh_list *link;
    struct lh_task *task;

    /* The newest first: those with a coroutine are at the front. */
    if (!lh_list_empty(&vm->idle)) {
        link = vm->idle.next;
        lh_list_remove(link);
        task = LH_OF(link, struct lh_task, link);
        vm->idle_coroutines -= task->co != NULL;
        return task;
    }
    task = lh_calloc(1, sizeof(*task));
    if (!task)
        return NULL;
    task->vm = vm;
    task->slot = ++vm->slots_n;
    lh_list_init(&task->link);
    lh_list_init(&task->ready_link);
    lh_list_init(&task->bound);
    lh_list_init(&task->on.turn_link);
    lh_timer_init(&task->timer, wait_timed_out);
    lh_timer_init(&task->on.late_timer, NULL);
    lh_timer_init(&task->on.pause_timer, NULL);
    return task;
}

/* Takes a task and makes it ready, but for what it serves. */
static struct lh_task *make_new(struct lh_vm *vm, int handler,
                                struct lh_handler *known)
{
    struct lh_task *task = take_idle(vm);

    if (!task)
        return NULL;
    task->handler = handler;
    task->known = known;
    task->path_info = (struct lh_str){.p = NULL};
    task->ex = NULL;
    task->job = NULL;
    task->spawned = false;
    task->env = NULL;
    task->connection = 0;
    lh_task_set_state(task, LH_TASK_NEW);
    task->wait = NULL;
    task->wait_step = LH_WAIT_NONE;
    task->native = NULL;
    task->header_line = 0;
    task->dead_ends = task->idle_yields = 0;
    task->serial = 0;
    task->exposed = false;
    task->on.moved_bytes = 0;
    task->on.turn = NULL;
    task->timed_out = task->overran = task->cut = task->told = false;
    task->begun_again = false;
    task->resumed_ms = vm->ctx->now_ms;
    task->input = vm->spare_input;
    vm->spare_input = (struct lh_input){.p = NULL};
    lh_list_append(&vm->tasks, &task->link);
    vm->tasks_n++;
    lh_count_add(&vm->ctx->counters.tasks, 1);
    lh_task_ready(task);
    return task;
}

struct lh_task *lh_task_new(struct lh_vm *vm, int handler,
                            struct lh_exchange *ex, struct lh_str path_info)
{
    struct lh_task *task = make_new(vm, handler, &vm->known[handler]);

    if (!task)
        return NULL;
    task->path_info = path_info;
    task->ex = ex;
    task->connection = ex->peer->number;
    ex->handler = task;
    ex->on_news = on_news;
    return task;
}

struct lh_task *lh_task_spawn(struct lh_vm *vm, int handler,
                              struct lh_handler *known)
{
    return make_new(vm, handler, known);
}

/* Twice is once: a task that is in a list already stays there. */
void lh_task_ready(struct lh_task *task)
{
    struct lh_vm *vm = task->vm;

    if (!lh_list_linked(&task->ready_link))
        lh_list_append(&vm->ready, &task->ready_link);
    if (!lh_list_linked(&vm->ready_link))
        lh_list_append(vm->ready_list, &vm->ready_link);
}

/* A tunnel's client does not go in the middle of a response: its side ends, or
 * ours has. */
static bool tunnel_is_over(const struct lh_exchange *ex)
{
    return ex->upgraded && (ex->body_state != LH_BODY_OPEN ||
                            ex->response.state != LH_RESPONSE_STARTED);
}

/* `fin`: the client has closed its side, which a reader of pipes takes for
 * going. */
bool lh_task_is_closed(const struct lh_task *task)
{
    return !task->ex || task->cut || task->ex->gone || task->ex->fin ||
           tunnel_is_over(task->ex);
}

/* 0, or as lh_exchange_start(). */
int lh_task_start_response(struct lh_task *task)
{
    struct lh_fields none = {.n = 0};
    unsigned usual = task->ex->usual_status ? task->ex->usual_status : 200;
    unsigned status = task->handler == task->vm->not_found ? 404 : usual;

    if (task->ex->response.state != LH_RESPONSE_NONE)
        return 0;
    return lh_exchange_start(task->ex, status, &none);
}

/* The client may wait for "100 Continue", or for what was written before. */
void lh_task_start_body(struct lh_task *task)
{
    lh_exchange_release(task->ex);
    lh_exchange_want_body(task->ex, true);
}

/* The time limit of a body counts while somebody waits for it. */
void lh_task_stop_body(struct lh_task *task)
{
    if (task->ex)
        lh_exchange_want_body(task->ex, false);
}

/* --- the anchors table ---------------------------------------------------- */

/* A task's lent string is at its slot's odd key, the waiting one after it, the
 * handle that it waits for at the slot's negative. */
void lh_task_anchor(struct lh_task *task, lua_State *L, int index, bool waiting)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, task->slot * 2 - !waiting);
    lua_pop(L, 1);
    task->anchored = true;
}

/* The handle is the first argument of every call on files. */
void lh_task_anchor_file(struct lh_task *task, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    lua_pushvalue(L, 1);
    lua_rawseti(L, -2, -task->slot);
    lua_pop(L, 1);
    task->anchored = true;
}

void lh_task_push_file(const struct lh_task *task, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    lua_rawgeti(L, -1, -task->slot);
    lua_remove(L, -2);
}

/* Assigning nil to a key that is not there could allocate. */
static void clear_key(lua_State *L, int key)
{
    lua_rawgeti(L, -1, key);
    bool there = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!there)
        return;
    lua_pushnil(L);
    lua_rawseti(L, -2, key);
}

/* Nothing is released while the response has a lent string, or a wait keeps
 * something: the table is looked at once, when all of it can go. */
void lh_task_release_anchors(struct lh_task *task, lua_State *L)
{
    if (!task->anchored || (task->ex && lh_exchange_borrows(task->ex)) ||
        (task->wait && (task->wait->keeps_handle || task->wait->keeps_data)))
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->anchors);
    clear_key(L, task->slot * 2 - 1);
    clear_key(L, task->slot * 2);
    clear_key(L, -task->slot);
    lua_pop(L, 1);
    task->anchored = false;
}

/* --- the end of a task ---------------------------------------------------- */

/* One that ends may take others with it, so the first is taken until none is
 * left. */
static void end_bound(struct lh_task *task)
{
    struct lh_list *link;

    while ((link = lh_list_take(&task->bound)) != NULL) {
        struct lh_bound *bound = LH_OF(link, struct lh_bound, link);
        bound->on_task_end(bound);
    }
}

/* Nobody calls back for the exchange from here on. */
void lh_task_let_go(struct lh_task *task)
{
    struct lh_exchange *ex = task->ex;

    task->ex = NULL;
    lh_exchange_let_go_handler(ex);
}

/* The buffer of the body is the next task's, if it is not too large to keep. */
static void keep_input(struct lh_task *task)
{
    struct lh_vm *vm = task->vm;
    struct lh_input in = task->input;

    task->input = (struct lh_input){.p = NULL};
    if (vm->spare_input.p || in.room > SPARE_INPUT_BYTES) {
        lh_free(in.p);
        return;
    }
    in.at = in.n = 0;
    vm->spare_input = in;
}

void lh_task_note_wait(struct lh_task *task, const struct lh_wait *wait,
                       uint64_t timeout_ms)
{
    task->serial = ++task->vm->waits_n;
    task->wait = wait;
    task->wait_step = LH_WAIT_BEGUN;
    task->timeout_ms = timeout_ms;
}

/* Only what was started is cancelled: a call whose tag never reached the worker
 * has done nothing. */
void lh_task_cancel_wait(struct lh_task *task)
{
    if (task->wait_step != LH_WAIT_STARTED)
        return;
    lh_timer_disarm(&task->timer);
    task->wait_step = LH_WAIT_OVER;
    if (task->wait->cancel)
        task->wait->cancel(task);
}

void lh_task_end_wait(struct lh_task *task)
{
    lh_task_cancel_wait(task);
    task->wait = NULL;
    task->native = NULL;
    task->wait_step = LH_WAIT_NONE;
}

/* The task becomes idle.  Those with a coroutine are first in the list, since
 * they save making one. */
static void retire(struct lh_task *task)
{
    struct lh_vm *vm = task->vm;

    lh_task_end_wait(task);
    end_bound(task);
    if (task->ex)
        lh_task_let_go(task);
    if (task->job)
        task->job->runs = false;
    vm->spawned_n -= task->spawned;
    keep_input(task);
    lh_list_remove(&task->link);
    lh_list_remove(&task->ready_link);
    lh_task_set_state(task, LH_TASK_IDLE);
    vm->tasks_n--;
    lh_count_sub(&vm->ctx->counters.tasks, 1);
    vm->idle_coroutines += task->co != NULL;
    /* Before the first, or after the last. */
    lh_list_append(task->co ? vm->idle.next : &vm->idle, &task->link);
}

/* That which it was spawned for. */
static void forget_function(const struct lh_task *task, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->threads);
    clear_key(L, -task->slot);
    lua_pop(L, 1);
}

/* It is called once more for each news while something is still lent. */
void lh_task_end(struct lh_task *task, lua_State *L)
{
    lh_task_end_wait(task);
    end_bound(task);
    if (task->ex && lh_exchange_borrows(task->ex) && !task->ex->gone) {
        if (task->state != LH_TASK_DRAINING)
            lh_task_set_state(task, LH_TASK_DRAINING);
        return;
    }
    if (task->ex)
        lh_task_let_go(task);
    lh_task_release_anchors(task, L);
    if (task->spawned)
        forget_function(task, L);
    retire(task);
}

/* The collector frees it once no script knows it. */
void lh_task_drop_coroutine(struct lh_task *task, lua_State *L)
{
    if (!task->co)
        return;
    task->co = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->vm->threads);
    clear_key(L, task->slot);
    lua_pop(L, 1);
}

/* An error for lack of memory is told with the limit that was met, of which Lua
 * says nothing. */
static void log_failure(const struct lh_task *task, lhttpd_log_level_t level,
                        struct lh_str message)
{
    const struct lh_vm *vm = task->vm;
    bool met = vm->over_limit && strstr(message.p, "not enough memory");
    char *text = met ? lh_alloc(MESSAGE_BYTES) : NULL;

    if (text) {
        snprintf(text, MESSAGE_BYTES, "vm_memory_bytes=%llu is met: %s",
                 (unsigned long long)vm->bytes_max, message.p);
        message = lh_str_of(text);
    }
    lh_task_log(vm, task, level, message);
    lh_free(text);
}

/* The wait ends before the response is cut, since it may put into that what a
 * pipe still holds.  A client's body that the handler could not use is no error
 * of the script. */
void lh_task_fail(struct lh_task *task, struct lh_str message)
{
    struct lh_context *ctx = task->vm->ctx;
    lua_State *L = task->vm->L;

    bool blamed = task->ex && task->ex->blamed;

    if (lh_log_rates_allow(&ctx->log_rates,
                           blamed ? LH_LOG_REFUSED : LH_LOG_FAILURES,
                           ctx->now_ms))
        log_failure(task, blamed ? LHTTPD_LOG_INFO : LHTTPD_LOG_ERROR, message);
    lh_task_drop_coroutine(task, L);
    lh_task_end_wait(task);
    if (task->ex)
        lh_exchange_fail(task->ex, 500);
    lh_task_end(task, L);
}

/* Without such a line nobody would learn why the client has no answer of the
 * handler's, or half of one: no call has failed. */
static void log_end(const struct lh_task *task, enum lh_log_kind kind,
                    const char *text)
{
    struct lh_context *ctx = task->vm->ctx;

    if (lh_log_rates_allow(&ctx->log_rates, kind, ctx->now_ms))
        lh_task_log(task->vm, task, lh_log_kind_level(kind), lh_str_of(text));
}

static void log_short_end(const struct lh_task *task, uint64_t written,
                          uint64_t length)
{
    char text[120];

    snprintf(text, sizeof(text),
             "the handler has ended with %llu of the %llu octets that its "
             "content-length says",
             (unsigned long long)written, (unsigned long long)length);
    log_end(task, LH_LOG_FAILURES, text);
}

void lh_task_end_response(struct lh_task *task)
{
    struct lh_exchange *ex = task->ex;
    const struct lh_response *r = &ex->response;
    bool silent = r->state == LH_RESPONSE_NONE && ex->blamed && !ex->gone;
    bool open = r->state < LH_RESPONSE_ENDED;
    uint64_t written = r->written, length = r->content_length;

    lh_exchange_end(ex);
    if (silent)
        log_end(task, LH_LOG_REFUSED,
                "the handler has no answer to a body that it could not read");
    else if (open && r->state == LH_RESPONSE_ABORTED)
        log_short_end(task, written, length);
}

/* The state is closed afterwards: its tables are not looked at any more. */
void lh_task_free(struct lh_task *task)
{
    if (task->state != LH_TASK_IDLE) {
        if (task->ex)
            lh_exchange_unlend(task->ex);
        task->co = NULL;
        retire(task);
    }
    lh_list_remove(&task->link);
    lh_free(task->input.p);
    lh_free(task->several);
    lh_free(task);
}

/* --- the log -------------------------------------------------------------- */

static const char *version_text(enum lh_http_version version)
{
    switch (version) {
    case LH_HTTP_1_0:
        return "HTTP/1.0";
    case LH_HTTP_1_1:
        return "HTTP/1.1";
    case LH_HTTP_2:
        break;
    }
    return "HTTP/2";
}

/* "GET /path HTTP/1.1", cut where it is too long for the log. */
static struct lh_str request_line(const struct lh_request *r,
                                  char to[REQUEST_TEXT_BYTES])
{
    const struct lh_str parts[] = {r->method, LH_STR(" "), r->target,
                                   LH_STR(" "),
                                   lh_str_of(version_text(r->version))};
    size_t n = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t room = REQUEST_TEXT_BYTES - n;
        size_t part = lh_min(parts[i].n, room);
        if (part)
            memcpy(to + n, parts[i].p, part);
        n += part;
    }
    return (struct lh_str){to, n};
}

void lh_task_log(const struct lh_vm *vm, const struct lh_task *task,
                 lhttpd_log_level_t level, struct lh_str message)
{
    struct lh_log_about about = {.script = vm->name};
    char line[REQUEST_TEXT_BYTES];

    if (task && task->ex) {
        about.request = request_line(&task->ex->request, line);
        about.client = task->ex->peer->client_addr;
        about.id = lh_request_id(task->ex);
    }
    lh_log_text(vm->ctx->log, level, &about, message);
}
