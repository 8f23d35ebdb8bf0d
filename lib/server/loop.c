/* A server in its program's own loop: see loop.h. */
#include "server/loop.h"

#include "os/clock.h"
#include "os/self.h"
#include "server/over.h"
#include "server/owners.h"
#include "server/reload.h"
#include "server/worker.h"

/* To the next look whether another thread has done with the server. */
#define AGAIN_MS 5

/* Its address is the calling thread's own. */
static _Thread_local const char thread_mark;

bool lh_loop_is_ours(const struct lhttpd_server_t *s)
{
    return s->attached && s->loop_thread == &thread_mark && !s->turns;
}

/* A service manager's watchdog has no other thread that would feed it.  In how
 * many milliseconds it is due; -1: never. */
static int watchdog_ms(const struct lhttpd_server_t *s)
{
    uint64_t every_ms = s->notify.manager.watchdog_ms / 2;

    return every_ms ? lh_wait_ms(lh_clock_ms(), s->fed_ms + every_ms) : -1;
}

static void feed_in_loop(struct lhttpd_server_t *s)
{
    if (watchdog_ms(s) != 0)
        return;
    s->fed_ms = lh_clock_ms();
    lh_notify_alive(&s->notify);
}

int lh_loop_attach(struct lhttpd_server_t *s)
{
    unsigned workers_n = s->workers_n;

    if (workers_n > 1 && !s->own_workers_n)
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "lhttpd_server_attach: there is one worker, not %u",
                          workers_n);
    if (s->settings.script_kill_ms)
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "lhttpd_server_attach: script_kill_ms needs a "
                          "thread that watches, and there is none");
    if (lh_owners_share_out(s, 1) < 0)
        return lh_err_memory(&s->err);
    s->attached = true;
    s->in_loop = lh_loop_is_ours;
    s->loop_thread = &thread_mark;
    int r = lh_server_begin(s);
    if (r < 0) {
        lh_owners_share_out(s, workers_n); /* else it stays with one */
        s->attached = false;
        s->in_loop = NULL;
        return r;
    }
    s->workers[0].ctx.stack_bytes = lh_self_stack_left();
    lh_worker_rest(&s->workers[0], watchdog_ms(s));
    lh_server_tell_start(s);
    return 0;
}

int lh_loop_fd(const struct lhttpd_server_t *s)
{
    return s->workers[0].evq.fd;
}

int lh_loop_next_timeout(const struct lhttpd_server_t *s)
{
    return lh_worker_wait_ms(&s->workers[0], watchdog_ms(s));
}

/* 1: it runs. */
static int end_when_over(struct lhttpd_server_t *s)
{
    struct lh_worker *w = &s->workers[0];

    if (!w->ended && lh_worker_finished(w))
        lh_worker_end(w);
    if (w->ended && lh_server_has_ended(s))
        return lh_server_end(s);
    if (lh_over_patience_ms(s) == 0)
        return lh_server_give_up(s);
    return 1;
}

int lh_loop_run_once(struct lhttpd_server_t *s, int timeout_ms)
{
    struct lh_worker *w = &s->workers[0];

    s->turns = true;
    if (!w->ended)
        lh_worker_turn(w, timeout_ms);
    s->turns = false;
    lh_reload_asked(s);
    feed_in_loop(s);
    int r = end_when_over(s);
    if (r == 1)
        lh_worker_rest(w, w->ended ? AGAIN_MS : watchdog_ms(s));
    return r;
}

int lh_loop_wait(struct lhttpd_server_t *s)
{
    const struct lh_worker *w = &s->workers[0];
    int r;

    while ((r = lh_loop_run_once(s, -1)) == 1) {
        if (w->ended)
            lh_thread_sleep_ms(AGAIN_MS);
    }
    return r;
}
