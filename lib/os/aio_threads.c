/*
 * File operations by helper threads, for kernels and containers without
 * io_uring.  A worker owns its helpers, and operations are their jobs.
 */
#include "os/aio_ways.h"

#include "base/mem.h"
#include "os/crew.h"
#include "os/error.h"

#include <assert.h>

#define HELPERS 4

struct threads {
    struct lh_aio aio; /* aio.fd: the crew's */
    struct lh_crew *crew;
};

static struct threads *threads_of(struct lh_aio *aio)
{
    return LH_OF(aio, struct threads, aio);
}

/* In a helper: an operation's outcome crosses in its `result`. */
static void run_operation(struct lh_crew_job *job)
{
    struct lh_aio_op *op = LH_OF(job, struct lh_aio_op, job);

    op->result = lh_aio_perform(op);
}

static bool threads_submit(struct lh_aio *aio)
{
    struct threads *t = threads_of(aio);

    while (!lh_list_empty(&aio->waiting)) {
        struct lh_aio_op *op = LH_OF(aio->waiting.next, struct lh_aio_op, link);
        lh_list_remove(&op->link);
        op->job.run = run_operation;
        if (!lh_crew_give(t->crew, &op->job)) {
            lh_list_append(&aio->waiting, &op->link);
            break;
        }
    }
    lh_crew_call(t->crew);
    return true;
}

static void threads_reap(struct lh_aio *aio)
{
    struct lh_mailbox_node *node = lh_crew_take(threads_of(aio)->crew);

    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct lh_aio_op *op = LH_OF(node, struct lh_aio_op, job.node);
        lh_list_init(&op->link);
        lh_aio_finished(aio, op, op->result);
        node = next;
    }
}

static void threads_free(struct lh_aio *aio)
{
    struct threads *t = threads_of(aio);
    struct lh_mailbox_node *rest = lh_crew_free(t->crew);

    assert(!rest);
    (void)rest;
    lh_free(t);
}

static int threads_new(struct lh_aio **aio, struct lh_err *err)
{
    struct threads *t = lh_calloc(1, sizeof(*t));

    if (!t)
        return lh_err_memory(err);
    int r = lh_crew_new(&t->crew, HELPERS);
    if (r == 0) {
        lh_aio_init(&t->aio, &lh_aio_threads, lh_crew_fd(t->crew));
        *aio = &t->aio;
        return 0;
    }
    lh_free(t);
    if (r == LH_SYS_ENOMEM)
        return lh_err_memory(err);
    return lh_err_set(err, LHTTPD_ESYSTEM, "file operations: %s",
                      lh_sys_text(r));
}

const struct lh_aio_ways lh_aio_threads = {
    "threads", threads_new, threads_free, threads_submit, threads_reap,
};
