/* Asynchronous file operations: what all ways share, see aio.h. */
#include "os/aio.h"

#include "os/aio_ways.h"
#include "os/beneath.h"
#include "os/fd.h"
#include "os/nowait.h"
#include "os/splice.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define OWN_WAYS (LH_AIO_WAYS - 1)

int lh_aio_find(const char **named, const char *way, struct lh_err *err)
{
    const struct lh_aio_ways *const *ways = lh_aio_all_ways;

    for (size_t i = 0; i < LH_AIO_WAYS; i++) {
        *named = ways[i]->name;
        if (strcmp(way, *named) == 0)
            return 0;
    }
    return lh_err_set(err, LHTTPD_EINVAL, "not auto, %s, %s or %s",
                      ways[0]->name, ways[1]->name, ways[2]->name);
}

/* A way that was asked for by name is tried alone.  Else a way that the
 * system refuses is no reason to fail while there is another; lack of memory
 * is. */
int lh_aio_new(struct lh_aio **aio, const char *way, struct lh_err *err)
{
    const struct lh_aio_ways *const *ways = lh_aio_all_ways;

    for (size_t i = 0; i < (way ? LH_AIO_WAYS : OWN_WAYS); i++) {
        if (way && strcmp(way, ways[i]->name) != 0)
            continue;
        int r = ways[i]->new (aio, err);
        bool last = way || i + 1 == OWN_WAYS;
        if (r != LHTTPD_ESYSTEM || last)
            return r;
    }
    return lh_err_set(err, LHTTPD_ESYSTEM,
                      "file operations: there is no way '%s'; use %s, %s or %s",
                      way, ways[0]->name, ways[1]->name, ways[2]->name);
}

void lh_aio_free(struct lh_aio *aio)
{
    if (aio)
        aio->ways->free(aio);
}

const char *lh_aio_way(const struct lh_aio *aio)
{
    return aio->ways->name;
}

int lh_aio_fd(const struct lh_aio *aio)
{
    return aio->fd;
}

/* For the ways, which have allocated the struct that this one begins. */
void lh_aio_init(struct lh_aio *aio, const struct lh_aio_ways *of, int fd)
{
    aio->ways = of;
    aio->fd = fd;
    aio->pending = 0;
    aio->refused = false;
    lh_list_init(&aio->waiting);
    lh_list_init(&aio->done);
}

/* Adding costs no system call: all that a turn adds is handed over at once. */
void lh_aio_add(struct lh_aio *aio, struct lh_aio_op *op)
{
    op->done = 0;
    op->refused = false;
    op->result = 0;
    aio->pending++;
    lh_list_append(&aio->waiting, &op->link);
}

/* Once refused, it is tried in every turn until the kernel takes what waits. */
bool lh_aio_submit(struct lh_aio *aio)
{
    if (aio->refused || !lh_list_empty(&aio->waiting))
        aio->refused = !aio->ways->submit(aio);
    return aio->refused;
}

/* The queue is taken as it is: what completes while callbacks run is for the
 * next time. */
void lh_aio_deliver(struct lh_aio *aio)
{
    struct lh_list done, *link;

    aio->ways->reap(aio);
    lh_list_move(&done, &aio->done);
    while ((link = lh_list_take(&done)) != NULL) {
        struct lh_aio_op *op = LH_OF(link, struct lh_aio_op, link);
        aio->pending--;
        op->complete(op);
    }
}

unsigned lh_aio_pending(const struct lh_aio *aio)
{
    return aio->pending;
}

/* More of the same operation, after a short count?  Not where there is no
 * position: what a terminal has is a line. */
static bool goes_on(const struct lh_aio_op *op, int64_t moved)
{
    if (op->kind == LH_AIO_READ && op->offset == LH_AIO_NO_OFFSET)
        return false;
    if (op->kind != LH_AIO_READ && op->kind != LH_AIO_WRITE)
        return false;
    return moved > 0 && op->done < op->n;
}

/* Called by a way for each operation that the kernel has done.  Interrupted
 * ones and such that moved a part go on. */
void lh_aio_finished(struct lh_aio *aio, struct lh_aio_op *op, int64_t moved)
{
    if (moved > 0)
        op->done += (size_t)moved;
    if (moved == -EINTR || goes_on(op, moved)) {
        lh_list_append(&aio->waiting, &op->link);
        return;
    }
    op->result = moved;
    /* An error after a part is told by the next operation. */
    if ((op->kind == LH_AIO_READ || op->kind == LH_AIO_WRITE) &&
        (moved >= 0 || op->done))
        op->result = (int64_t)op->done;
    lh_list_append(&aio->done, &op->link);
}

/* The system call itself, which may wait. */
int64_t lh_aio_perform(struct lh_aio_op *op)
{
    char *p = op->p ? (char *)op->p + op->done : NULL;
    size_t n = op->n - op->done;
    off_t at = (off_t)(op->offset + op->done);
    int flags = op->flags | LH_AIO_OPEN_FLAGS;
    bool plain = op->offset == LH_AIO_NO_OFFSET;
    ssize_t r = -1;

    switch (op->kind) {
    case LH_AIO_READ:
        r = plain ? read(op->fd, p, n) : pread(op->fd, p, n, at);
        break;
    case LH_AIO_WRITE:
        r = plain ? write(op->fd, p, n) : pwrite(op->fd, p, n, at);
        break;
    case LH_AIO_OPEN:
        return lh_fd_above(open(op->path, flags, op->mode));
    case LH_AIO_OPEN_BENEATH:
        return lh_beneath_open(op->fd, op->path,
                               (enum lh_beneath_what)op->flags);
    case LH_AIO_SYNC:
        r = fsync(op->fd);
        break;
    case LH_AIO_SPLICE:
        return lh_splice_in(op->fd, at, op->to, n);
    case LH_AIO_CALL:
        return op->call(op);
    }
    return r < 0 ? -errno : r;
}

ssize_t lh_aio_read_cached(int fd, void *p, size_t room, uint64_t offset)
{
    return lh_nowait_read(fd, p, room, (int64_t)offset);
}
