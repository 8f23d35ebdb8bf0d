/* When wait would return: see over.h. */
#include "server/over.h"

static bool reloads(const struct lhttpd_server_t *s)
{
    int state = atomic_load(&s->reloader.state);

    return state == LH_RELOADER_BEGINS || state == LH_RELOADER_RUNS ||
           state == LH_RELOADER_AGAIN;
}

static void wake_when_over(struct lhttpd_server_t *s)
{
    if (atomic_load(&s->has_over) &&
        atomic_load(&s->workers_done) >= s->workers_n && !reloads(s))
        lh_evq_wake(&s->over);
}

void lh_over_note(struct lhttpd_server_t *s)
{
    lh_evq_wake(&s->done);
    wake_when_over(s);
}

void lh_over_shutdown(struct lhttpd_server_t *s, int patience_ms)
{
    lh_evq_wake(&s->done);
    if (atomic_load(&s->has_over))
        lh_evq_set_timer(&s->over, patience_ms);
}

/* All may have ended before somebody asks.  Nothing takes the wake away. */
int lh_over_fd(struct lhttpd_server_t *s, int patience_ms)
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
    if (atomic_load(&s->stop_at_ms) != LH_NEVER)
        lh_evq_set_timer(&s->over, patience_ms);
    wake_when_over(s);
    return s->over.fd;
}

void lh_over_deinit(struct lhttpd_server_t *s)
{
    if (atomic_exchange(&s->has_over, false))
        lh_evq_deinit(&s->over);
}
