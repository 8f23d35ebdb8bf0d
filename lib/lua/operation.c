/*
 * Operations on files and what they own: see file.h.
 *
 * From its start until it is delivered an operation belongs to the kernel, with
 * its buffer, its share of the descriptor and of the pipe: these live as long,
 * whoever has left meanwhile.
 */
#include "lua/file.h"

#include "base/mem.h"
#include "os/fd.h"

void lh_descriptor_drop(struct lh_descriptor *d)
{
    if (!d || --d->refs)
        return;
    lh_fd_close(d->fd);
    lh_free(d);
}

void lh_operation_free(struct lh_operation *op)
{
    if (!op)
        return;
    lh_descriptor_drop(op->descriptor);
    lh_conduit_drop(op->conduit);
    lh_free(op->aio.p);
    lh_free(op);
}

void lh_file_tell(const struct lh_file *file)
{
    if (file->task)
        lh_task_ready(file->task);
    else if (!lh_list_empty(&file->queue))
        lh_task_ready(LH_OF(file->queue.next, struct lh_task, on.turn_link));
}

/* The file learns how it came out, if it has not left; then its task looks. */
static void complete(struct lh_aio_op *aio)
{
    struct lh_operation *op = LH_OF(aio, struct lh_operation, aio);
    struct lh_file *file = op->file;

    lh_count_sub(&op->ctx->counters.operations, 1);
    lh_count_add(&op->ctx->counters.operations_done, 1);
    if (file) {
        file->operation = NULL;
        op->deliver(op, file);
        lh_file_tell(file);
    } else if (aio->kind == LH_AIO_OPEN && aio->result >= 0) {
        lh_fd_close((int)aio->result); /* nobody wants what it has opened */
    }
    lh_operation_free(op);
}

struct lh_operation *lh_operation_new(struct lh_context *ctx,
                                      enum lh_aio_kind kind,
                                      struct lh_descriptor *descriptor,
                                      size_t n)
{
    struct lh_operation *op = lh_calloc(1, sizeof(*op));

    if (!op)
        return NULL;
    op->ctx = ctx;
    op->aio.kind = kind;
    op->aio.complete = complete;
    op->aio.fd = -1;
    op->aio.n = n;
    op->aio.p = n ? lh_alloc(n) : NULL;
    if (n && !op->aio.p) {
        lh_free(op);
        return NULL;
    }
    if (descriptor) {
        op->descriptor = descriptor;
        op->aio.fd = descriptor->fd;
        descriptor->refs++;
    }
    return op;
}

/* The worker's count lets a stop wait for what is on its way. */
void lh_operation_start(struct lh_operation *op)
{
    lh_count_add(&op->ctx->counters.operations, 1);
    lh_aio_add(op->ctx->aio, &op->aio);
}
