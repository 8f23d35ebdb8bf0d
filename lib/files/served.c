/*
 * Requests whose handler is a directory: see files.h.  One that has news is
 * queued until the worker's turn looks; most are over at once.
 */
#include "files/serving.h"

/* The exchange's handler. */
struct request {
    struct lh_list link;
    struct lh_served *served;
    struct lh_serving *serving;
};

static void queue(struct request *r)
{
    if (!lh_list_linked(&r->link))
        lh_list_append(&r->served->ready, &r->link);
}

static void wake(struct lh_serving *s)
{
    queue(lh_serving_owner(s));
}

static void on_serving_news(struct lh_exchange *ex)
{
    queue(ex->handler);
}

/* Another handler may have taken over. */
static void step_request(struct request *r)
{
    struct lh_exchange *ex = r->serving->ex;

    if (!lh_serving_step(r->serving))
        return;
    lh_list_remove(&r->link);
    if (r->serving->ex)
        lh_exchange_let_go_handler(ex);
}

void lh_served_begin(struct lh_served *served, struct lh_exchange *ex,
                     const struct lh_files_options *options, struct lh_str path)
{
    struct request *r = lh_arena_alloc(&ex->arena, sizeof(*r));

    if (r) {
        lh_list_init(&r->link);
        r->served = served;
        r->serving = lh_serving_new(ex, options, path, wake, r);
    }
    if (!r || !r->serving) {
        lh_exchange_fail(ex, 503);
        lh_exchange_let_go_handler(ex);
        return;
    }
    ex->handler = r;
    ex->on_news = on_serving_news;
    step_request(r);
}

/* What is queued meanwhile waits for the next time. */
void lh_served_run(struct lh_served *served)
{
    struct lh_list ready, *link;

    lh_list_move(&ready, &served->ready);
    while ((link = lh_list_take(&ready)) != NULL)
        step_request(LH_OF(link, struct request, link));
}
