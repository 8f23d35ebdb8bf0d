/*
 * File operations by helper threads, for kernels and containers without
 * io_uring.  A worker owns its helpers.  Operations go to them through a
 * bounded queue that one thread fills and several empty (each cell carries the
 * turn in which it may be filled or emptied), and come back through a mailbox.
 * Helpers sleep in read() of an eventfd that counts what waits.
 */
#include "os/aio_ways.h"

#include "base/mem.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/signals.h"
#include "os/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define HELPERS 4
#define CELLS   256 /* a power of two */

struct cell {
    _Atomic unsigned turn;
    struct lh_aio_op *op;
};

struct threads {
    struct lh_aio aio; /* aio.fd: an eventfd that completions raise */
    int work_fd;       /* a semaphore: one count an operation */
    struct cell cells[CELLS];
    unsigned put;
    _Atomic unsigned taken;
    struct lh_mailbox finished;
    struct lh_thread helpers[HELPERS];
    unsigned helpers_n;
};

static struct threads *threads_of(struct lh_aio *aio)
{
    return LH_OF(aio, struct threads, aio);
}

/* --- the queue ------------------------------------------------------------ */

static bool queue_put(struct threads *t, struct lh_aio_op *op)
{
    struct cell *cell = &t->cells[t->put % CELLS];

    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != t->put)
        return false;
    cell->op = op;
    atomic_store_explicit(&cell->turn, ++t->put, memory_order_release);
    return true;
}

/* Called once for each count of work_fd: there is a cell for it. */
static struct lh_aio_op *queue_take(struct threads *t)
{
    unsigned at = atomic_fetch_add(&t->taken, 1);
    struct cell *cell = &t->cells[at % CELLS];

    while (atomic_load_explicit(&cell->turn, memory_order_acquire) != at + 1)
        continue; /* it was put before it was counted */
    struct lh_aio_op *op = cell->op;
    atomic_store_explicit(&cell->turn, at + CELLS, memory_order_release);
    return op;
}

/* --- a helper ------------------------------------------------------------- */

/* The semaphore is one for all helpers: each count wakes one of them. */
static bool wait_for_work(int fd)
{
    uint64_t one;
    ssize_t n;

    do
        n = read(fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    return n == sizeof(one);
}

static void raise_count(int fd, uint64_t by)
{
    while (write(fd, &by, sizeof(by)) < 0 && errno == EINTR)
        continue;
}

/* An operation's outcome crosses in its `result`. */
static void *help(void *arg)
{
    struct threads *t = arg;
    struct lh_aio_op *op;

    while (wait_for_work(t->work_fd) && (op = queue_take(t)) != NULL) {
        op->result = lh_aio_perform(op);
        if (lh_mailbox_post(&t->finished, &op->node))
            raise_count(t->aio.fd, 1);
    }
    return NULL;
}

/* --- the worker's side ---------------------------------------------------- */

static bool threads_submit(struct lh_aio *aio)
{
    struct threads *t = threads_of(aio);
    uint64_t n = 0;

    while (!lh_list_empty(&aio->waiting)) {
        struct lh_aio_op *op = LH_OF(aio->waiting.next, struct lh_aio_op, link);
        lh_list_remove(&op->link);
        if (!queue_put(t, op)) {
            lh_list_append(&aio->waiting, &op->link);
            break;
        }
        n++;
    }
    if (n)
        raise_count(t->work_fd, n);
    return true;
}

static void threads_reap(struct lh_aio *aio)
{
    struct threads *t = threads_of(aio);
    uint64_t counts;

    /* First: what is posted from here on raises the count again. */
    while (read(aio->fd, &counts, sizeof(counts)) < 0 && errno == EINTR)
        continue;
    struct lh_mailbox_node *node = lh_mailbox_take(&t->finished);
    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct lh_aio_op *op = LH_OF(node, struct lh_aio_op, node);
        lh_list_init(&op->link);
        lh_aio_finished(aio, op, op->result);
        node = next;
    }
}

static int helpers_launch(struct threads *t)
{
    sigset_t before;
    int r = 0;

    lh_signals_for_helpers(&before);
    while (t->helpers_n < HELPERS && r == 0) {
        r = lh_thread_start(&t->helpers[t->helpers_n], 0, help, t);
        t->helpers_n += r == 0;
    }
    lh_signals_restore(&before);
    return t->helpers_n ? 0 : r; /* fewer will do */
}

/* Each helper gets one empty operation, which ends it. */
static void threads_free(struct lh_aio *aio)
{
    struct threads *t = threads_of(aio);

    for (unsigned i = 0; i < t->helpers_n; i++)
        queue_put(t, NULL); /* the queue is empty */
    raise_count(t->work_fd, t->helpers_n);
    for (unsigned i = 0; i < t->helpers_n; i++)
        lh_thread_join(&t->helpers[i]);
    close(t->work_fd);
    close(aio->fd);
    lh_free(t);
}

static int threads_new(struct lh_aio **aio, struct lh_err *err)
{
    struct threads *t = lh_calloc(1, sizeof(*t));

    if (!t)
        return lh_err_memory(err);
    lh_aio_init(&t->aio, &lh_aio_threads,
                lh_fd_above(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)));
    t->work_fd = lh_fd_above(eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC));
    lh_mailbox_init(&t->finished);
    for (unsigned i = 0; i < CELLS; i++)
        atomic_init(&t->cells[i].turn, i);
    int r = t->aio.fd < 0    ? t->aio.fd
            : t->work_fd < 0 ? t->work_fd
                             : helpers_launch(t);
    if (r == 0) {
        *aio = &t->aio;
        return 0;
    }
    if (t->aio.fd >= 0)
        close(t->aio.fd);
    if (t->work_fd >= 0)
        close(t->work_fd);
    lh_free(t);
    return lh_err_set(err, LHTTPD_ESYSTEM, "file operations: %s",
                      lh_sys_text(r));
}

const struct lh_aio_ways lh_aio_threads = {
    "threads", threads_new, threads_free, threads_submit, threads_reap,
};
