/*
 * The life of a worker's store of open files: see opened.h.  All of it goes at
 * once, a second after the first was put there: that bounds how old anything is
 * that is found there, without a time for each.
 */
#include "files/conduit.h"
#include "os/fd.h"

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

/* The upper half of the descriptors is for clients and scripts. */
void lh_open_files_init(struct lh_open_files *files, struct lh_context *ctx)
{
    *files = (struct lh_open_files){.ctx = ctx, .fd_end = lh_fd_limit() / 2};
    for (size_t i = 0; i < LH_OPENED_ROWS; i++)
        lh_list_init(&files->rows[i]);
    lh_list_init(&files->conduits);
    lh_timer_init(&files->timer, forget_when_due);
    ctx->open_files = files;
}
