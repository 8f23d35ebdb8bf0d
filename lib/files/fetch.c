/*
 * Operations on what is served: see serving.h.  From its start until it has
 * completed an operation belongs to the kernel.  A request that ends meanwhile
 * leaves its descriptors with it.
 */
#include "files/serving.h"

#include "base/mem.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/pipe.h"

/* A directory that is renamed all the time. */
#define AGAIN_MAX 20

struct lh_fetch {
    struct lh_aio_op aio;
    struct lh_context *ctx;
    struct lh_serving *serving; /* NULL: it has left, with `open` */
    struct lh_served_fds open;
    char octets[]; /* the path, or what is read */
};

void lh_served_close(struct lh_served_fds *open)
{
    int *const fds[] = {&open->root, &open->fd, &open->pipe[0], &open->pipe[1],
                        &open->opened};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            lh_fd_close(*fds[i]);
        *fds[i] = -1;
    }
}

/* What was read stays in the operation's memory, whose start `in` is. */
static void deliver(struct lh_fetch *fetch, struct lh_serving *s)
{
    s->fetch = NULL;
    s->result = fetch->aio.result;
    s->has_result = true;
    if (fetch->aio.kind == LH_AIO_OPEN_BENEATH && s->result >= 0)
        s->open.opened = (int)s->result;
    if (fetch->aio.kind == LH_AIO_READ && s->result > 0) {
        s->in = (char *)fetch;
        s->in_at = offsetof(struct lh_fetch, octets);
        s->in_n = s->in_at + (size_t)s->result;
    } else {
        lh_free(fetch);
    }
    s->wake(s);
}

static void fetched(struct lh_aio_op *aio)
{
    struct lh_fetch *fetch = LH_OF(aio, struct lh_fetch, aio);
    struct lh_context *ctx = fetch->ctx;

    lh_count_sub(&ctx->counters.operations, 1);
    lh_count_add(&ctx->counters.operations_done, 1);
    if (fetch->serving) {
        deliver(fetch, fetch->serving);
        return;
    }
    if (aio->kind == LH_AIO_OPEN_BENEATH && aio->result >= 0)
        lh_fd_close((int)aio->result);
    lh_served_close(&fetch->open);
    lh_free(fetch);
}

/* With room for n octets. */
static struct lh_fetch *fetch_new(struct lh_serving *s, enum lh_aio_kind kind,
                                  size_t n)
{
    struct lh_fetch *fetch = lh_alloc(sizeof(*fetch) + n);

    if (!fetch)
        return NULL;
    *fetch = (struct lh_fetch){
        .aio = {.kind = kind, .fd = s->open.fd, .complete = fetched, .n = n},
        .ctx = s->ex->ctx,
        .serving = s,
        .open = LH_SERVED_NONE,
    };
    return fetch;
}

static int fetch_start(struct lh_serving *s, struct lh_fetch *fetch)
{
    s->fetch = fetch;
    s->has_result = false;
    lh_count_add(&fetch->ctx->counters.operations, 1);
    lh_aio_add(fetch->ctx->aio, &fetch->aio);
    return LH_SERVING_WAITS;
}

static int start_open(struct lh_serving *s, int dir, const char *path,
                      enum lh_beneath_what what)
{
    size_t n = strlen(path) + 1;
    struct lh_fetch *fetch = fetch_new(s, LH_AIO_OPEN_BENEATH, n);

    if (!fetch)
        return LH_SYS_ENOMEM;
    memcpy(fetch->octets, path, n);
    fetch->aio.fd = dir;
    fetch->aio.path = fetch->octets;
    fetch->aio.flags = (int)what;
    return fetch_start(s, fetch);
}

/* Called again once the operation has its result. */
int lh_fetch_open(struct lh_serving *s, int dir, const char *path,
                  enum lh_beneath_what what)
{
    int fd = LH_SYS_EAGAIN;

    if (s->has_result) {
        fd = (int)s->result;
        s->has_result = false;
        s->open.opened = -1;
        if (fd != LH_SYS_EAGAIN || ++s->again > AGAIN_MAX)
            return fd;
    } else if (!s->options->remote) {
        fd = lh_beneath_open_now(dir, path, what);
    }
    return fd == LH_SYS_EAGAIN ? start_open(s, dir, path, what) : fd;
}

int lh_fetch_read(struct lh_serving *s, size_t n)
{
    struct lh_fetch *fetch = fetch_new(s, LH_AIO_READ, n);

    if (!fetch)
        return LH_SYS_ENOMEM;
    fetch->aio.p = fetch->octets;
    fetch->aio.offset = s->at;
    return fetch_start(s, fetch);
}

static int make_pipe(struct lh_serving *s)
{
    ssize_t room;

    if (s->open.pipe[0] >= 0)
        return 0;
    room = lh_pipe_open(s->open.pipe);
    if (room < 0) {
        s->open.pipe[0] = s->open.pipe[1] = -1;
        return (int)room;
    }
    s->pipe_room = (size_t)room;
    return 0;
}

int lh_fetch_splice(struct lh_serving *s, size_t n)
{
    struct lh_fetch *fetch;
    int error = make_pipe(s);

    if (error)
        return error;
    fetch = fetch_new(s, LH_AIO_SPLICE, 0);
    if (!fetch)
        return LH_SYS_ENOMEM;
    fetch->aio.to = s->open.pipe[1];
    fetch->aio.n = n < s->pipe_room ? n : s->pipe_room;
    fetch->aio.offset = s->at;
    return fetch_start(s, fetch);
}

void lh_fetch_leave(struct lh_serving *s)
{
    if (!s->fetch)
        return;
    s->fetch->serving = NULL;
    s->fetch->open = s->open;
    s->fetch = NULL;
    s->open = (struct lh_served_fds)LH_SERVED_NONE;
}
