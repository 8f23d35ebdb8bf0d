/*
 * lhttpd_task_wait_fd: see include/lhttpd.h.  What is watched is a descriptor
 * of our own, so that the program may close its own at any time, and several
 * handlers may wait for one.
 */
#include "lua/native.h"

#include "base/mem.h"
#include "lua/api.h"
#include "os/error.h"
#include "os/evq.h"
#include "os/fd.h"
#include "os/slots.h"

struct watch {
    struct lh_native native;
    struct lh_source source;
    uint64_t tag;
    int fd; /* our own; -1: it is closed */
    unsigned interest;
    bool watched, ready, failed;
    int (*finish)(lua_State *L, int outcome, void *data);
    void *data;
};

static void close_watch(struct watch *watch)
{
    const struct lh_context *ctx = watch->native.task->vm->ctx;

    if (watch->watched) {
        lh_evq_forget(ctx->evq, watch->fd);
        lh_slots_remove(ctx->slots, watch->tag);
        watch->watched = false;
    }
    if (watch->fd >= 0)
        lh_fd_close(watch->fd);
    watch->fd = -1;
}

static int end_watch(lua_State *L, struct watch *watch, int outcome)
{
    struct watch all = *watch;

    close_watch(watch);
    lh_free(watch);
    return all.finish(L, outcome, all.data);
}

static void watch_ends(struct lh_bound *bound)
{
    end_watch(NULL, LH_OF(bound, struct watch, native.bound), LHTTPD_ECLOSED);
}

static void on_watch_event(struct lh_source *source, unsigned ready)
{
    struct watch *watch = LH_OF(source, struct watch, source);

    (void)ready;
    watch->ready = true;
    lh_native_wake(&watch->native);
}

static enum lh_outcome poll_watch(struct lh_task *task, lua_State *L)
{
    const struct watch *watch = LH_OF(task->native, struct watch, native);

    (void)L;
    if (watch->failed)
        return LH_OUTCOME_ERROR;
    return lh_native_poll(task, watch->ready);
}

/* What cannot be watched, as a file, is always ready. */
static void start_watch(struct lh_task *task)
{
    struct watch *watch = LH_OF(task->native, struct watch, native);
    const struct lh_context *ctx = task->vm->ctx;

    lh_native_start(task);
    if (lh_slots_add(ctx->slots, &watch->source, &watch->tag) < 0) {
        watch->failed = true;
        return;
    }
    int r = lh_evq_add(ctx->evq, watch->fd, watch->interest | LH_EV_ONESHOT,
                       watch->tag);
    watch->watched = r == 0;
    watch->ready = r == LH_SYS_EPERM;
    watch->failed = r < 0 && r != LH_SYS_EPERM;
    if (r < 0)
        lh_slots_remove(ctx->slots, watch->tag);
}

static void cancel_watch(struct lh_task *task)
{
    close_watch(LH_OF(task->native, struct watch, native));
}

static const struct lh_wait watch_wait = {
    .poll = poll_watch,
    .start = start_watch,
    .cancel = cancel_watch,
    .native = true,
};

static int outcome_number(enum lh_outcome outcome)
{
    switch (outcome) {
    case LH_OUTCOME_DONE:
        return 0;
    case LH_OUTCOME_TIMEOUT:
        return LHTTPD_ETIMEOUT;
    case LH_OUTCOME_STOPPING:
        return LHTTPD_ESTOPPING;
    case LH_OUTCOME_ERROR:
        return LHTTPD_ESYSTEM;
    default:
        return LHTTPD_ECLOSED;
    }
}

static int finish_watch(lua_State *L, struct lh_native *native,
                        enum lh_outcome outcome)
{
    struct watch *watch = LH_OF(native, struct watch, native);

    return end_watch(L, watch, outcome_number(outcome));
}

static unsigned interest_of(unsigned events)
{
    return (events & LHTTPD_WAIT_READ ? LH_EV_READ : 0) |
           (events & LHTTPD_WAIT_WRITE ? LH_EV_WRITE : 0);
}

/* 0, or why there is no wait. */
static int new_watch(struct watch **out, struct lh_task *task, int fd,
                     unsigned events)
{
    if (!task)
        return LHTTPD_ESTATE;
    if (!events || events & ~(LHTTPD_WAIT_READ | LHTTPD_WAIT_WRITE))
        return LHTTPD_EINVAL;
    int own = lh_fd_duplicate(fd);
    if (own < 0)
        return LHTTPD_ESYSTEM;
    struct watch *watch = lh_alloc(sizeof(*watch));
    if (!watch) {
        lh_fd_close(own);
        return LHTTPD_ENOMEM;
    }
    *watch = (struct watch){.native.finish = finish_watch,
                            .source.on_event = on_watch_event,
                            .fd = own,
                            .interest = interest_of(events)};
    lh_native_bind(&watch->native, task, watch_ends);
    *out = watch;
    return 0;
}

int lhttpd_task_wait_fd(
    struct lua_State *L, int fd, unsigned events, int timeout_ms,
    int (*finish)(struct lua_State *L, int outcome, void *data), void *data)
{
    struct watch *watch;
    int r = new_watch(&watch, lh_native_task(L), fd, events);

    if (r < 0)
        return finish(L, r, data);
    watch->finish = finish;
    watch->data = data;
    return lh_native_suspend(L, &watch->native, &watch_wait, timeout_ms);
}
