/*
 * File operations in the worker's own thread, for programs that want no other
 * one: each turn ends with those that it has added, and the next one begins
 * with what came of them.
 */
#include "os/aio_ways.h"

#include "base/mem.h"
#include "os/error.h"
#include "os/fd.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What moved a part only is added to the list again meanwhile. */
static bool inline_submit(struct lh_aio *aio)
{
    struct lh_list *link;
    uint64_t one = 1;

    while ((link = lh_list_take(&aio->waiting)) != NULL) {
        struct lh_aio_op *op = LH_OF(link, struct lh_aio_op, link);
        lh_aio_finished(aio, op, lh_aio_perform(op));
    }
    while (write(aio->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        continue;
    return true;
}

static void inline_reap(struct lh_aio *aio)
{
    uint64_t count;

    while (read(aio->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        continue;
}

static void inline_free(struct lh_aio *aio)
{
    lh_fd_close(aio->fd);
    lh_free(aio);
}

static int inline_new(struct lh_aio **out, struct lh_err *err)
{
    struct lh_aio *aio = lh_alloc(sizeof(*aio));

    if (!aio)
        return lh_err_memory(err);
    int fd = lh_fd_above(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (fd < 0) {
        lh_free(aio);
        return lh_err_set(err, LHTTPD_ESYSTEM, "file operations: %s",
                          lh_sys_text(fd));
    }
    lh_aio_init(aio, &lh_aio_inline, fd);
    *out = aio;
    return 0;
}

const struct lh_aio_ways lh_aio_inline = {
    "inline", inline_new, inline_free, inline_submit, inline_reap,
};
