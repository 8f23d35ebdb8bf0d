/*
 * File operations by POSIX's aio_read() and its like, of which FreeBSD's kernel
 * has threads of its own for: all that a turn reads and writes goes to it in
 * one lio_listio(), and its ends are announced (aio_announce.h).
 *
 * What POSIX has no operation for, as opening, and what the system refuses to
 * do so, as to read a terminal or when too much is under way in all processes,
 * goes to helper threads (aio_threads.c).
 *
 * A slot is free, or has its operation, or is lost: the system has refused it
 * in a way that does not say whether an end will be announced after all.  It is
 * free again once that has come.
 */
#include "os/aio_announce.h"
#include "os/aio_ways.h"

#include "base/mem.h"
#include "os/error.h"

#include <aio.h>
#include <errno.h>
#include <limits.h>

/* Under way at once; more wait.  FreeBSD allows 256 for all of a process. */
#define SLOTS 64

/* One call's; POSIX's least, and FreeBSD's usual one is more. */
#define BATCH 16

#define PART_BYTES ((size_t)1 << 30)

struct slot {
    struct lh_announcement announcement;
    struct aiocb cb;
    struct lh_aio_op *op; /* NULL: free or lost */
};

struct posix {
    struct lh_aio aio; /* aio.fd: the announcer's */
    struct lh_announcer announcer;
    struct lh_aio *rest; /* by helper threads */
    struct slot slots[SLOTS];
    struct slot *free[SLOTS];
    unsigned free_n;
};

static struct posix *posix_of(struct lh_aio *aio)
{
    return LH_OF(aio, struct posix, aio);
}

/* --- to the system -------------------------------------------------------- */

static bool has_operation(const struct lh_aio_op *op)
{
    if (op->kind == LH_AIO_SYNC)
        return true;
    return (op->kind == LH_AIO_READ || op->kind == LH_AIO_WRITE) &&
           op->offset < (uint64_t)INT64_MAX - op->n;
}

static void slot_fill(const struct posix *p, struct slot *slot,
                      struct lh_aio_op *op)
{
    size_t n = op->n - op->done;

    slot->op = op;
    slot->cb = (struct aiocb){.aio_fildes = op->fd};
    slot->cb.aio_lio_opcode = op->kind == LH_AIO_READ ? LIO_READ : LIO_WRITE;
    lh_announce_end(&p->announcer, &slot->cb.aio_sigevent, &slot->announcement);
    if (op->kind == LH_AIO_SYNC)
        return;
    slot->cb.aio_buf = (char *)op->p + op->done;
    slot->cb.aio_nbytes = n < PART_BYTES ? n : PART_BYTES;
    slot->cb.aio_offset = (off_t)(op->offset + op->done);
}

static void give_to_helpers(struct posix *p, struct slot *slot)
{
    lh_list_append(&p->rest->waiting, &slot->op->link);
    slot->op = NULL;
}

static int start_one(struct slot *slot)
{
    switch (slot->op->kind) {
    case LH_AIO_READ:
        return aio_read(&slot->cb);
    case LH_AIO_WRITE:
        return aio_write(&slot->cb);
    default:
        return aio_fsync(O_SYNC, &slot->cb);
    }
}

static void start_alone(struct posix *p, struct slot *slot)
{
    if (start_one(slot) == 0)
        return;
    give_to_helpers(p, slot);
    p->free[p->free_n++] = slot;
}

/* Whoever did not get into the system after all has one of these; the rest of
 * the errors may be those of an operation that has ended already. */
static bool was_not_begun(int error)
{
    return error == EAGAIN || error == EOPNOTSUPP || error == ENOSYS ||
           error == EBADF;
}

/* What has failed so early is done again by a helper, which says the same or
 * does better. */
static void sort_out(struct posix *p, struct slot *slot)
{
    int error = aio_error(&slot->cb);

    if (error == 0 || error == EINPROGRESS)
        return;
    give_to_helpers(p, slot);
    if (was_not_begun(error))
        p->free[p->free_n++] = slot;
}

static void submit_list(struct posix *p, struct slot *const *slots, unsigned n)
{
    struct aiocb *list[BATCH];

    if (n == 1) {
        start_alone(p, slots[0]);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        list[i] = &slots[i]->cb;
    if (n == 0 || lio_listio(LIO_NOWAIT, list, (int)n, NULL) == 0)
        return;
    for (unsigned i = 0; i < n; i++)
        sort_out(p, slots[i]);
}

/* A list has no opcode for a sync. */
static bool posix_submit(struct lh_aio *aio)
{
    struct posix *p = posix_of(aio);
    struct slot *batch[BATCH];
    unsigned n = 0;

    while (!lh_list_empty(&aio->waiting)) {
        struct lh_aio_op *op = LH_OF(aio->waiting.next, struct lh_aio_op, link);
        if (has_operation(op) && p->free_n == 0)
            break;
        lh_list_remove(&op->link);
        if (!has_operation(op)) {
            lh_list_append(&p->rest->waiting, &op->link);
            continue;
        }
        struct slot *slot = p->free[--p->free_n];
        slot_fill(p, slot, op);
        if (op->kind == LH_AIO_SYNC)
            start_alone(p, slot);
        else
            batch[n++] = slot;
        if (n == BATCH) {
            submit_list(p, batch, n);
            n = 0;
        }
    }
    submit_list(p, batch, n);
    return lh_aio_threads.submit(p->rest);
}

/* --- from it -------------------------------------------------------------- */

/* The system keeps an operation until its outcome was asked for. */
static void slot_end(struct posix *p, struct slot *slot)
{
    struct lh_aio_op *op = slot->op;
    int error = aio_error(&slot->cb);
    ssize_t moved = aio_return(&slot->cb);

    slot->op = NULL;
    p->free[p->free_n++] = slot;
    if (!op)
        return;
    lh_list_init(&op->link);
    lh_aio_finished(&p->aio, op, error ? -error : moved);
}

static void take_all(struct lh_list *to, struct lh_list *from)
{
    struct lh_list *link;

    while ((link = lh_list_take(from)) != NULL)
        lh_list_append(to, link);
}

static void posix_reap(struct lh_aio *aio)
{
    struct posix *p = posix_of(aio);
    struct lh_announcement *ended[SLOTS];
    unsigned n = lh_announced(&p->announcer, ended, SLOTS);

    for (unsigned i = 0; i < n; i++)
        slot_end(p, LH_OF(ended[i], struct slot, announcement));
    lh_aio_threads.reap(p->rest);
    take_all(&aio->done, &p->rest->done);
    take_all(&aio->waiting, &p->rest->waiting);
}

/* --- its life ------------------------------------------------------------- */

static void posix_free(struct lh_aio *aio)
{
    struct posix *p = posix_of(aio);

    lh_announcer_deinit(&p->announcer);
    lh_aio_threads.free(p->rest);
    lh_free(p);
}

static int posix_new(struct lh_aio **aio, struct lh_err *err)
{
    struct posix *p = lh_calloc(1, sizeof(*p));

    if (!p)
        return lh_err_memory(err);
    int r = lh_aio_threads.new(&p->rest, err);
    if (r < 0) {
        lh_free(p);
        return r;
    }
    int error = lh_announcer_init(&p->announcer, p->rest->fd);
    if (error < 0) {
        lh_aio_threads.free(p->rest);
        lh_free(p);
        return lh_err_set(err, LHTTPD_ESYSTEM, "file operations: %s",
                          lh_sys_text(error));
    }
    for (unsigned i = 0; i < SLOTS; i++)
        p->free[p->free_n++] = &p->slots[i];
    lh_aio_init(&p->aio, &lh_aio_posix, p->announcer.fd);
    *aio = &p->aio;
    return 0;
}

const struct lh_aio_ways lh_aio_posix = {
    "posix", posix_new, posix_free, posix_submit, posix_reap,
};
