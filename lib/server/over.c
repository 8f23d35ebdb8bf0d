/* When wait would return: see over.h. */
#include "server/over.h"

#include "base/num.h"
#include "os/clock.h"

/* An orderly stop may need a little longer than its grace. */
#define STUCK_AFTER_MS 1000

static bool reloads(const struct lhttpd_server_t *s)
{
    int state = atomic_load(&s->reloader.state);

    return state == LH_RELOADER_BEGINS || state == LH_RELOADER_RUNS ||
           state == LH_RELOADER_AGAIN;
}

int lh_over_patience_ms(const struct lhttpd_server_t *s)
{
    uint64_t stop_at = atomic_load(&s->stop_at_ms);
    uint64_t run = atomic_load(&s->watch.limit_ms);
    uint64_t now = lh_clock_ms();

    if (stop_at == LH_NEVER)
        return -1;
    /* A handler without a limit is given none by a stop that has cut it. */
    if (run == LHTTPD_UNLIMITED || run < STUCK_AFTER_MS)
        run = STUCK_AFTER_MS;
    /* Twice: once until the handler's next call raises, once for what the
     * cut itself lets a task do. */
    uint64_t until = lh_deadline(lh_deadline(stop_at, run), STUCK_AFTER_MS);
    uint64_t loaded = lh_deadline(atomic_load(&s->done_ms), LH_LOAD_STOP_MS);
    return lh_wait_ms(now, lh_min64(until, loaded));
}

/* Nothing takes the wake away.  While a script loads in a reload, the time that
 * it has yet begins with the last worker's end. */
static void note(struct lhttpd_server_t *s)
{
    if (!atomic_load(&s->has_over))
        return;
    if (atomic_load(&s->workers_done) >= s->workers_n && !reloads(s))
        lh_evq_wake(&s->over);
    else if (atomic_load(&s->stop_at_ms) != LH_NEVER)
        lh_evq_set_timer(&s->over, lh_over_patience_ms(s));
}

void lh_over_note(struct lhttpd_server_t *s)
{
    lh_evq_wake(&s->done);
    note(s);
}

void lh_over_shutdown(struct lhttpd_server_t *s)
{
    lh_over_note(s);
}

/* All may have ended before somebody asks. */
int lh_over_fd(struct lhttpd_server_t *s)
{
    if (atomic_load(&s->has_over))
        return s->over.fd;
    if (lh_evq_init(&s->over) < 0)
        return LHTTPD_ESYSTEM;
    if (lh_evq_add_timer(&s->over) < 0) {
        lh_evq_deinit(&s->over);
        return LHTTPD_ESYSTEM;
    }
    atomic_store(&s->has_over, true);
    note(s);
    return s->over.fd;
}

void lh_over_deinit(struct lhttpd_server_t *s)
{
    if (atomic_exchange(&s->has_over, false))
        lh_evq_deinit(&s->over);
}
