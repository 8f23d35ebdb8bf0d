/*
 * Operations on what is served: see serving.h.  From its start until it has
 * completed an operation belongs to the kernel, with a share of what it is
 * about: that stays open though the request may have ended meanwhile.
 */
#include "files/serving.h"

#include "base/mem.h"
#include "files/listing.h"
#include "os/error.h"
#include "os/fd.h"

/* A directory that is renamed all the time. */
#define AGAIN_MAX 20

struct lh_fetch {
    struct lh_aio_op aio;
    struct lh_context *ctx;
    struct lh_serving *serving; /* NULL: it has left */
    struct lh_opened *opened;   /* a share: what it is done with, or beneath */
    struct lh_conduit *conduit; /* a share; NULL: none */
    struct lh_opened *root;     /* a share, where a directory is listed */
    struct lh_listing listing;
    char octets[]; /* the path, or what is read */
};

/* What was read stays in the operation's memory, whose start `in` is. */
static void deliver(struct lh_fetch *fetch, struct lh_serving *s)
{
    s->fetch = NULL;
    s->result = fetch->aio.result;
    s->has_result = true;
    if (fetch->aio.kind == LH_AIO_OPEN_BENEATH && s->result >= 0)
        s->descriptor = (int)s->result;
    s->page = fetch->listing.page;
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
    lh_opened_drop(fetch->opened);
    lh_opened_drop(fetch->root);
    lh_conduit_drop(fetch->conduit);
    if (fetch->serving) {
        deliver(fetch, fetch->serving);
        return;
    }
    if (aio->kind == LH_AIO_OPEN_BENEATH && aio->result >= 0)
        lh_fd_close((int)aio->result);
    lh_free(fetch->listing.page);
    lh_free(fetch);
}

/* With room for n octets. */
static struct lh_fetch *fetch_new(struct lh_serving *s, enum lh_aio_kind kind,
                                  struct lh_opened *opened, size_t n)
{
    struct lh_fetch *fetch = lh_alloc(sizeof(*fetch) + n);

    if (!fetch)
        return NULL;
    *fetch = (struct lh_fetch){
        .aio = {.kind = kind,
                .fd = opened ? opened->fd : LH_BENEATH_NOTHING,
                .complete = fetched,
                .n = n},
        .ctx = s->ex->ctx,
        .serving = s,
        .opened = opened ? lh_opened_hold(opened) : NULL,
    };
    return fetch;
}

/* The worker's count keeps it from ending while something is on its way. */
static int fetch_start(struct lh_serving *s, struct lh_fetch *fetch)
{
    s->fetch = fetch;
    s->has_result = false;
    lh_count_add(&fetch->ctx->counters.operations, 1);
    lh_aio_add(fetch->ctx->aio, &fetch->aio);
    return LH_SERVING_WAITS;
}

/* The path is copied: the request's own may go before the kernel has read it.
 */
static int ask_open(struct lh_serving *s, const char *path,
                    enum lh_beneath_what what)
{
    size_t n = strlen(path) + 1;
    struct lh_fetch *fetch = fetch_new(s, LH_AIO_OPEN_BENEATH, s->root, n);

    if (!fetch)
        return LH_SYS_ENOMEM;
    memcpy(fetch->octets, path, n);
    fetch->aio.path = fetch->octets;
    fetch->aio.flags = (int)what;
    return fetch_start(s, fetch);
}

/* What is open for later gives way to what is wanted now. */
static bool gives_way(const struct lh_serving *s, int fd)
{
    return (fd == LH_SYS_EMFILE || fd == LH_SYS_ENFILE) &&
           s->ex->ctx->open_files &&
           lh_open_files_forget(s->ex->ctx->open_files);
}

static int open_now(const struct lh_serving *s, const char *path,
                    enum lh_beneath_what what)
{
    int dir = s->root ? s->root->fd : LH_BENEATH_NOTHING;
    int fd = lh_beneath_open_now(dir, path, what);

    return gives_way(s, fd) ? lh_beneath_open_now(dir, path, what) : fd;
}

/* Called again once the operation has its result. */
int lh_fetch_open(struct lh_serving *s, const char *path,
                  enum lh_beneath_what what)
{
    int fd = LH_SYS_EAGAIN;

    if (s->has_result) {
        fd = (int)s->result;
        s->has_result = false;
        s->descriptor = -1;
        if ((fd != LH_SYS_EAGAIN && !gives_way(s, fd)) ||
            ++s->again > AGAIN_MAX)
            return fd;
        fd = LH_SYS_EAGAIN;
    } else if (!s->options->remote) {
        fd = open_now(s, path, what);
    }
    return fd == LH_SYS_EAGAIN ? ask_open(s, path, what) : fd;
}

/* Into memory of the operation's, which the request then takes as it is. */
int lh_fetch_read(struct lh_serving *s, size_t n)
{
    struct lh_fetch *fetch = fetch_new(s, LH_AIO_READ, s->file, n);

    if (!fetch)
        return LH_SYS_ENOMEM;
    fetch->aio.p = fetch->octets;
    fetch->aio.offset = s->at;
    return fetch_start(s, fetch);
}

int lh_fetch_splice(struct lh_serving *s, size_t n)
{
    struct lh_fetch *fetch = fetch_new(s, LH_AIO_SPLICE, s->file, 0);

    if (!fetch)
        return LH_SYS_ENOMEM;
    fetch->conduit = lh_conduit_hold(s->conduit);
    lh_conduit_prepare(s->conduit, &fetch->aio, s->at, n);
    return fetch_start(s, fetch);
}

/* In a helper thread. */
static int64_t list_folder(struct lh_aio_op *aio)
{
    return lh_listing_make(&LH_OF(aio, struct lh_fetch, aio)->listing);
}

/* The path of the URL is its title; both are copied, since the request may end
 * meanwhile. */
int lh_fetch_list(struct lh_serving *s)
{
    struct lh_str title = s->ex->request.path;
    struct lh_fetch *fetch =
        fetch_new(s, LH_AIO_CALL, s->file, s->path_n + 1 + title.n + 1);

    if (!fetch)
        return LH_SYS_ENOMEM;
    char *path = fetch->octets, *at = path + s->path_n + 1;
    memcpy(path, s->path, s->path_n);
    path[s->path_n] = '\0';
    memcpy(at, title.p, title.n);
    at[title.n] = '\0';
    fetch->root = s->root ? lh_opened_hold(s->root) : NULL;
    fetch->listing = (struct lh_listing){
        .fd = s->file->fd,
        .root = s->root ? s->root->fd : LH_BENEATH_NOTHING,
        .path = path,
        .title = at,
        .is_top = s->root && s->path_n == 0,
    };
    fetch->aio.call = list_folder;
    return fetch_start(s, fetch);
}

void lh_fetch_leave(struct lh_serving *s)
{
    if (s->fetch)
        s->fetch->serving = NULL;
    s->fetch = NULL;
}
