/*
 * Hand-over to running workers: see news.h.
 *
 * What is given is one pointer a kind and worker, exchanged atomically: who
 * puts a newer one there frees the older one, if it was not taken.  So nobody
 * waits, and a worker that is busy finds the newest only.
 */
#include "server/news.h"

#include "base/mem.h"
#include "server/worker.h"

/* --- the giver ------------------------------------------------------------ */

static void tell_of_news(struct lh_worker *w)
{
    atomic_store(&w->news.any, true);
    lh_evq_wake(&w->evq);
}

static void free_copies(lhttpd_limits_t **copies, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lh_free(copies[i]);
    lh_free(copies);
}

/* One a worker, all of them before the first is given: either every worker gets
 * the new limits or none does. */
static lhttpd_limits_t **make_copies(const lhttpd_limits_t *limits, unsigned n)
{
    lhttpd_limits_t **copies = lh_calloc(n, sizeof(lhttpd_limits_t *));

    for (unsigned i = 0; copies && i < n; i++) {
        copies[i] = lh_memdup(limits, sizeof(*limits));
        if (!copies[i]) {
            free_copies(copies, i);
            return NULL;
        }
    }
    return copies;
}

int lh_news_give_limits(struct lhttpd_server_t *s,
                        const lhttpd_limits_t *limits)
{
    lhttpd_limits_t **copies = make_copies(limits, s->workers_n);

    if (!copies)
        return LHTTPD_ENOMEM;
    for (unsigned i = 0; i < s->workers_n; i++) {
        struct lh_worker *w = &s->workers[i];
        lh_free(atomic_exchange(&w->news.limits, copies[i]));
        tell_of_news(w);
    }
    lh_free(copies);
    return 0;
}

/* Handshakes that are under way keep the certificates that they began with. */
void lh_news_give_creds(struct lhttpd_server_t *s, struct lh_creds *creds)
{
    for (unsigned i = 0; s->tls && i < s->workers_n; i++) {
        lh_tls_worker_give(s->workers[i].pools.tls, creds);
        tell_of_news(&s->workers[i]); /* so that idle ones let go of the old */
    }
    lh_creds_free(s->creds);
    s->creds = creds;
}

/* A set that was never used goes with what replaces it. */
void lh_news_give_vms(struct lhttpd_server_t *s, struct lh_vms **sets)
{
    for (unsigned i = 0; i < s->workers_n; i++) {
        struct lh_worker *w = &s->workers[i];
        lh_vms_free(atomic_exchange(&w->news.vms, sets[i]));
        tell_of_news(w);
    }
}

/* --- the worker ----------------------------------------------------------- */

static void adopt_limits(struct lh_worker *w)
{
    lhttpd_limits_t *limits = atomic_exchange(&w->news.limits, NULL);

    if (!limits)
        return;
    w->limits = *limits;
    lh_free(limits);
    lh_worker_share(w);
}

static void take_vms(struct lh_worker *w)
{
    struct lh_vms *vms = atomic_exchange(&w->news.vms, NULL);

    if (!vms)
        return;
    lh_vms_adopt(w, vms);
    lh_open_files_forget(&w->open_files); /* what it has found is to count */
}

/* What is given meanwhile raises `any` again. */
void lh_news_take(struct lh_worker *w)
{
    atomic_store(&w->news.any, false);
    adopt_limits(w);
    take_vms(w);
    if (!w->pools.tls)
        return;
    lh_expiry_look(w);
    lh_tls_worker_take(w->pools.tls);
    lh_expiry_look(w);
}

void lh_news_deinit(struct lh_news *news)
{
    lh_free(atomic_exchange(&news->limits, NULL));
    lh_vms_free(atomic_exchange(&news->vms, NULL));
}
