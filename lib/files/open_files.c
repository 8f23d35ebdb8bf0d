/*
 * The life of a worker's store of open files: see opened.h.  All of it goes at
 * once, a second after the first was put there: that bounds how old anything is
 * that is found there, without a time for each.
 */
#include "files/conduit.h"

#include "base/num.h"
#include "os/fd.h"

/* So many have all their room: what an ordinary user's pipes may hold together
 * is 64 MiB on Linux, and more workers have a share of it. */
#define PIPES_MAX 64

bool lh_open_files_forget(struct lh_open_files *files)
{
    bool any = files->n || files->conduits_n;

    lh_opened_forget(files);
    lh_conduits_forget(files);
    lh_timer_disarm(&files->timer);
    return any;
}

static void forget_when_due(struct lh_timer *timer)
{
    lh_open_files_forget(LH_OF(timer, struct lh_open_files, timer));
}

/* The upper half of the descriptors is for clients and scripts.  Pipes, which a
 * response can do without, are to leave some of the few that these leave. */
void lh_open_files_init(struct lh_open_files *files, struct lh_context *ctx)
{
    int limit = lh_fd_limit();

    *files = (struct lh_open_files){
        .ctx = ctx,
        .fd_end = limit / 2,
        .pipes_max = lh_min((size_t)limit / 64, PIPES_MAX),
    };
    for (size_t i = 0; i < LH_OPENED_ROWS; i++)
        lh_list_init(&files->rows[i]);
    lh_list_init(&files->conduits);
    lh_timer_init(&files->timer, forget_when_due);
    ctx->open_files = files;
}
