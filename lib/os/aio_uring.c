/*
 * File operations by io_uring: one io_uring_submit() a turn, and the ring's
 * own descriptor is readable while completions wait.
 *
 * Calls go to helper threads (aio_threads.c), which are there from the first
 * one on.  While some of these are out the ring watches their descriptor.
 */
#include "os/aio_ways.h"

#include "base/mem.h"
#include "os/beneath.h"
#include "os/error.h"
#include "os/fd.h"

#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <poll.h>

/* In the kernel at once; more wait in ours. */
#define ENTRIES 256

struct uring {
    struct lh_aio aio;
    struct io_uring ring;
    unsigned in_kernel;
    struct lh_aio *rest;       /* by helper threads; NULL: none yet */
    bool watched;              /* ... by the ring */
    struct open_how how[2][2]; /* by enum lh_beneath_what; [1]: anywhere */
};

static struct uring *uring_of(struct lh_aio *aio)
{
    return LH_OF(aio, struct uring, aio);
}

/* The ring's descriptor is the library's to open. */
static int ring_init(struct io_uring *ring, unsigned flags)
{
    struct lh_fd_hold hold;

    lh_fd_hold(&hold);
    int r = io_uring_queue_init(ENTRIES, ring, flags);
    lh_fd_release(&hold);
    return r;
}

static int ring_set_up(struct io_uring *ring)
{
    static const int needed[] = {IORING_OP_READ,   IORING_OP_WRITE,
                                 IORING_OP_OPENAT, IORING_OP_OPENAT2,
                                 IORING_OP_FSYNC,  IORING_OP_SPLICE};
    /* Without the flag (Linux 5.18) an entry that the kernel refuses, such as
     * an open of "", leaves those behind it in the ring. */
    int r = ring_init(ring, IORING_SETUP_SUBMIT_ALL);

    if (r == -EINVAL)
        r = ring_init(ring, 0);
    if (r < 0)
        return r;
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && r == 0; i++) {
        if (!probe || !io_uring_opcode_supported(probe, needed[i]))
            r = -ENOSYS;
    }
    io_uring_free_probe(probe);
    if (r < 0)
        io_uring_queue_exit(ring);
    return r;
}

/* A filter may allow to make a ring and not to enter it, which would be found
 * out by the first operation, whose script waits. */
static int ring_try_out(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    struct io_uring_cqe *cqe;

    if (!sqe)
        return -ENOSYS;
    io_uring_prep_nop(sqe);
    int r = io_uring_submit(ring);
    if (r < 0)
        return r;
    r = io_uring_peek_cqe(ring, &cqe);
    if (r < 0)
        return r;
    io_uring_cqe_seen(ring, cqe);
    return 0;
}

static void set_how(struct uring *u)
{
    for (int what = LH_BENEATH_READ; what <= LH_BENEATH_DIRECTORY; what++) {
        struct open_how how = {
            .flags = (unsigned)lh_beneath_flags((enum lh_beneath_what)what)};
        u->how[what][1] = how;
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        u->how[what][0] = how;
    }
}

/* A kernel may know io_uring and refuse it to this process; so it is used
 * once before it is relied on. */
static int uring_new(struct lh_aio **aio, struct lh_err *err)
{
    struct uring *u = lh_calloc(1, sizeof(*u));

    if (!u)
        return lh_err_memory(err);
    int r = ring_set_up(&u->ring);
    if (r == 0) {
        r = ring_try_out(&u->ring);
        if (r < 0)
            io_uring_queue_exit(&u->ring);
    }
    if (r < 0) {
        lh_free(u);
        return lh_err_set(err, LHTTPD_ESYSTEM, "io_uring: %s", lh_sys_text(r));
    }
    set_how(u);
    fcntl(u->ring.ring_fd, F_SETFD, FD_CLOEXEC);
    lh_aio_init(&u->aio, &lh_aio_uring, u->ring.ring_fd);
    *aio = &u->aio;
    return 0;
}

static void uring_free(struct lh_aio *aio)
{
    lh_aio_free(uring_of(aio)->rest);
    io_uring_queue_exit(&uring_of(aio)->ring);
    lh_free(uring_of(aio));
}

/* A count fits the kernel's 32 bits; the rest goes on as after a short one. */
static unsigned uring_part(const struct lh_aio_op *op)
{
    size_t n = op->n - op->done;

    return n > (1u << 30) ? 1u << 30 : (unsigned)n;
}

static uint64_t uring_offset(const struct lh_aio_op *op)
{
    return op->offset == LH_AIO_NO_OFFSET ? op->offset : op->offset + op->done;
}

/* The kernel reads the path and how to open it when the entry is submitted.
 * In a thread of the kernel's: without waiting it was tried before. */
static void prepare_beneath(struct uring *u, struct io_uring_sqe *sqe,
                            const struct lh_aio_op *op)
{
    bool anywhere = op->fd == LH_BENEATH_NOTHING;

    io_uring_prep_openat2(sqe, anywhere ? AT_FDCWD : op->fd, op->path,
                          &u->how[op->flags][anywhere]);
    io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
}

/* What was not to be had without waiting is done in a thread of the kernel's.
 */
static void prepare_move(struct io_uring_sqe *sqe, const struct lh_aio_op *op)
{
    char *p = (char *)op->p + op->done;

    if (op->kind == LH_AIO_READ)
        io_uring_prep_read(sqe, op->fd, p, uring_part(op), uring_offset(op));
    else
        io_uring_prep_write(sqe, op->fd, p, uring_part(op), uring_offset(op));
    if (op->refused)
        io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
}

/* A buffer and its descriptor stay as they are until the completion has come.
 */
static void uring_prepare(struct uring *u, struct io_uring_sqe *sqe,
                          struct lh_aio_op *op)
{
    switch (op->kind) {
    case LH_AIO_READ:
    case LH_AIO_WRITE:
        prepare_move(sqe, op);
        break;
    case LH_AIO_OPEN:
        /* What open() of the C library adds where off_t has 64 bits. */
        io_uring_prep_openat(sqe, AT_FDCWD, op->path,
                             op->flags | LH_AIO_OPEN_FLAGS | O_LARGEFILE,
                             op->mode);
        break;
    case LH_AIO_OPEN_BENEATH:
        prepare_beneath(u, sqe, op);
        break;
    case LH_AIO_SYNC:
        io_uring_prep_fsync(sqe, op->fd, 0);
        break;
    case LH_AIO_CALL: /* there is no helper: it fails in uring_reap() */
        io_uring_prep_nop(sqe);
        break;
    case LH_AIO_SPLICE:
        io_uring_prep_splice(sqe, op->fd, (int64_t)op->offset, op->to, -1,
                             uring_part(op), SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        break;
    }
    io_uring_sqe_set_data(sqe, op);
}

/* The ring tells when a helper has done something.  Its entry has no operation.
 */
static void watch_rest(struct uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

    if (!sqe)
        return;
    io_uring_prep_poll_add(sqe, u->rest->fd, POLLIN);
    io_uring_sqe_set_data(sqe, NULL);
    u->watched = true;
}

/* False: there is no helper to be had. */
static bool give_to_rest(struct uring *u, struct lh_aio_op *op)
{
    struct lh_err err;

    if (!u->rest && lh_aio_threads.new(&u->rest, &err) < 0)
        return false;
    lh_aio_add(u->rest, op);
    return true;
}

/* No more than the completion queue holds, so that it never overflows. */
static void fill_ring(struct uring *u, struct lh_list *waiting)
{
    while (!lh_list_empty(waiting) && u->in_kernel < ENTRIES &&
           io_uring_sq_space_left(&u->ring) > 1) {
        struct lh_aio_op *op =
            LH_OF(lh_list_take(waiting), struct lh_aio_op, link);
        if (op->kind == LH_AIO_CALL && give_to_rest(u, op))
            continue;
        uring_prepare(u, io_uring_get_sqe(&u->ring), op);
        u->in_kernel++;
    }
    if (!u->rest)
        return;
    lh_aio_submit(u->rest);
    if (lh_aio_pending(u->rest) && !u->watched)
        watch_rest(u);
}

/* False: entries are left in the ring.  A submission that succeeds may take a
 * part of them: those up to a refused one, where there is no such flag, or as
 * many as there was memory for. */
static bool empty_ring(struct uring *u)
{
    for (int i = 0; i < ENTRIES && io_uring_sq_ready(&u->ring); i++)
        if (io_uring_submit(&u->ring) <= 0)
            break;
    return io_uring_sq_ready(&u->ring) == 0;
}

static bool uring_submit(struct lh_aio *aio)
{
    struct uring *u = uring_of(aio);

    fill_ring(u, &aio->waiting);
    return empty_ring(u);
}

/* What has come back; the ring watches on for what has not. */
static void reap_rest(struct uring *u)
{
    struct lh_list *link;

    u->watched = false;
    u->rest->ways->reap(u->rest);
    while ((link = lh_list_take(&u->rest->waiting)) != NULL) {
        u->rest->pending--;
        lh_list_append(&u->aio.waiting, link);
    }
    while ((link = lh_list_take(&u->rest->done)) != NULL) {
        u->rest->pending--;
        lh_list_append(&u->aio.done, link);
    }
    if (!lh_aio_pending(u->rest))
        return;
    watch_rest(u);
    u->aio.refused = !u->watched || !empty_ring(u);
}

/* Of a file that is open with O_NONBLOCK, as each is that might be a FIFO, some
 * kernels (Linux 6.1) say EAGAIN where its block device always waits, as that
 * of an encrypted disk does: nothing of it would ever be read or written. */
static bool goes_on_waiting(struct uring *u, struct lh_aio_op *op, int moved)
{
    if (moved != -EAGAIN || op->refused ||
        (op->kind != LH_AIO_READ && op->kind != LH_AIO_WRITE))
        return false;
    op->refused = true;
    lh_list_append(&u->aio.waiting, &op->link);
    return true;
}

static void end_operation(struct uring *u, struct lh_aio_op *op, int moved)
{
    u->in_kernel--;
    lh_list_init(&op->link);
    if (goes_on_waiting(u, op, moved))
        return;
    if (op->kind == LH_AIO_CALL)
        moved = -EAGAIN; /* there was no helper for it */
    if ((op->kind == LH_AIO_OPEN || op->kind == LH_AIO_OPEN_BENEATH) &&
        moved >= 0)
        moved = lh_fd_above(moved);
    lh_aio_finished(&u->aio, op, moved);
}

static void uring_reap(struct lh_aio *aio)
{
    struct uring *u = uring_of(aio);
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
        struct lh_aio_op *op = io_uring_cqe_get_data(cqe);
        int moved = cqe->res;
        io_uring_cqe_seen(&u->ring, cqe);
        if (op)
            end_operation(u, op, moved);
        else
            reap_rest(u);
    }
}

const struct lh_aio_ways lh_aio_uring = {
    "uring", uring_new, uring_free, uring_submit, uring_reap,
};
