/*
 * Helper threads of a worker: see crew.h.  Jobs go to them through a bounded
 * queue that one thread fills and several empty (each cell carries the turn in
 * which it may be filled or emptied), and come back through a mailbox.  Helpers
 * sleep in read() of an eventfd that counts what waits.
 */
#include "os/crew.h"

#include "base/list.h"
#include "base/mem.h"
#include "os/fd.h"
#include "os/signals.h"
#include "os/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CELLS LH_CREW_JOBS_MAX /* a power of two */

struct cell {
    _Atomic unsigned turn;
    struct lh_crew_job *job;
};

struct lh_crew {
    int done_fd; /* an eventfd that jobs raise which are done */
    int work_fd; /* a semaphore: one count a job */
    struct cell cells[CELLS];
    unsigned put, called; /* jobs in all: in the queue, and counted */
    _Atomic unsigned taken;
    struct lh_mailbox done;
    struct lh_thread helpers[LH_CREW_HELPERS_MAX];
    unsigned helpers_n;
};

/* --- the queue ------------------------------------------------------------ */

static bool queue_put(struct lh_crew *crew, struct lh_crew_job *job)
{
    struct cell *cell = &crew->cells[crew->put % CELLS];

    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != crew->put)
        return false;
    cell->job = job;
    atomic_store_explicit(&cell->turn, ++crew->put, memory_order_release);
    return true;
}

/* Called once for each count of work_fd: there is a cell for it. */
static struct lh_crew_job *queue_take(struct lh_crew *crew)
{
    unsigned at = atomic_fetch_add(&crew->taken, 1);
    struct cell *cell = &crew->cells[at % CELLS];

    while (atomic_load_explicit(&cell->turn, memory_order_acquire) != at + 1)
        continue; /* it was put before it was counted */
    struct lh_crew_job *job = cell->job;
    atomic_store_explicit(&cell->turn, at + CELLS, memory_order_release);
    return job;
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

/* No job is the end. */
static void *help(void *arg)
{
    struct lh_crew *crew = arg;
    struct lh_crew_job *job;

    while (wait_for_work(crew->work_fd) && (job = queue_take(crew)) != NULL) {
        job->run(job);
        if (lh_mailbox_post(&crew->done, &job->node))
            raise_count(crew->done_fd, 1);
    }
    return NULL;
}

/* --- the worker's side ---------------------------------------------------- */

bool lh_crew_give(struct lh_crew *crew, struct lh_crew_job *job)
{
    return queue_put(crew, job);
}

void lh_crew_call(struct lh_crew *crew)
{
    if (crew->put != crew->called)
        raise_count(crew->work_fd, crew->put - crew->called);
    crew->called = crew->put;
}

struct lh_mailbox_node *lh_crew_take(struct lh_crew *crew)
{
    uint64_t counts;

    /* First: what is posted from here on raises the count again. */
    while (read(crew->done_fd, &counts, sizeof(counts)) < 0 && errno == EINTR)
        continue;
    return lh_mailbox_take(&crew->done);
}

int lh_crew_fd(const struct lh_crew *crew)
{
    return crew->done_fd;
}

unsigned lh_crew_helpers(const struct lh_crew *crew)
{
    return crew->helpers_n;
}

/* --- beginning and end ---------------------------------------------------- */

static int helpers_launch(struct lh_crew *crew, unsigned n)
{
    sigset_t before;
    int r = 0;

    lh_signals_for_helpers(&before);
    while (crew->helpers_n < n && r == 0) {
        r = lh_thread_start(&crew->helpers[crew->helpers_n], 0, help, crew);
        crew->helpers_n += r == 0;
    }
    lh_signals_restore(&before);
    return crew->helpers_n ? 0 : r; /* fewer will do */
}

static void crew_discard(struct lh_crew *crew)
{
    if (crew->done_fd >= 0)
        close(crew->done_fd);
    if (crew->work_fd >= 0)
        close(crew->work_fd);
    lh_free(crew);
}

int lh_crew_new(struct lh_crew **out, unsigned helpers)
{
    struct lh_crew *crew = lh_calloc(1, sizeof(*crew));

    if (!crew)
        return -ENOMEM;
    crew->done_fd = lh_fd_above(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    crew->work_fd = lh_fd_above(eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC));
    lh_mailbox_init(&crew->done);
    for (unsigned i = 0; i < CELLS; i++)
        atomic_init(&crew->cells[i].turn, i);
    int r = crew->done_fd < 0   ? crew->done_fd
            : crew->work_fd < 0 ? crew->work_fd
                                : helpers_launch(crew, helpers);
    if (r < 0)
        crew_discard(crew);
    else
        *out = crew;
    return r;
}

/* Each helper gets one empty job, behind all others; where the queue is full
 * there is room for it soon. */
struct lh_mailbox_node *lh_crew_free(struct lh_crew *crew)
{
    if (!crew)
        return NULL;
    for (unsigned i = 0; i < crew->helpers_n; i++) {
        while (!queue_put(crew, NULL)) {
            lh_crew_call(crew);
            lh_thread_sleep_ms(1);
        }
    }
    lh_crew_call(crew);
    for (unsigned i = 0; i < crew->helpers_n; i++)
        lh_thread_join(&crew->helpers[i]);
    struct lh_mailbox_node *rest = lh_mailbox_take(&crew->done);
    crew_discard(crew);
    return rest;
}
