/*
 * Pipes between files and sockets: see conduit.h.
 *
 * What always holds: one that is kept has nothing in it.  The kernel is asked,
 * since a response that was cut has left octets behind that nobody counts, and
 * an operation may have put some in after its request had gone.
 */
#include "files/conduit.h"

#include "base/num.h"
#include "os/fd.h"
#include "os/splice.h"

/* For so many responses at once no pipe is made anew. */
#define KEPT_MAX 16

static void conduit_close(struct lh_conduit *conduit)
{
    if (conduit->files)
        conduit->files->pipes_n--;
    lh_fd_close(conduit->fds[0]);
    lh_fd_close(conduit->fds[1]);
    lh_free(conduit);
}

static struct lh_conduit *take_kept(struct lh_open_files *files)
{
    struct lh_list *link = files ? lh_list_take(&files->conduits) : NULL;

    if (!link)
        return NULL;
    files->conduits_n--;
    return LH_OF(link, struct lh_conduit, link);
}

static size_t draw_piped(struct lh_body_source *source, uint8_t *out, size_t n)
{
    struct lh_conduit *conduit = LH_OF(source, struct lh_conduit, source);
    ssize_t got = lh_pipe_read(conduit->fds[0], out, n);

    return got > 0 ? (size_t)got : 0;
}

static size_t locate_piped(struct lh_body_source *source,
                           struct lh_place *place, size_t n)
{
    struct lh_conduit *conduit = LH_OF(source, struct lh_conduit, source);

    *place = (struct lh_place){conduit->fds[0], LH_PLACE_PIPE};
    return n;
}

/* The pipe itself knows what it has left.  Where the system fills it and does
 * not empty it, as with a filter that refuses splice(2) and cannot see what
 * io_uring does, it is read from now on. */
static void moved_piped(struct lh_body_source *source, size_t n)
{
    if (n == 0)
        source->locate = NULL;
}

static const struct lh_body_source piped = {
    .draw = draw_piped,
    .locate = locate_piped,
    .moved = moved_piped,
};

/* To make one and to close it are four system calls, which are spared. */
struct lh_conduit *lh_conduit_new(struct lh_context *ctx)
{
    struct lh_open_files *files = ctx->open_files;
    struct lh_conduit *conduit = take_kept(files);

    if (conduit) {
        conduit->refs = 1;
        return conduit;
    }
    if (files && files->pipes_n >= files->pipes_max)
        return NULL;
    conduit = lh_alloc(sizeof(*conduit));
    if (!conduit)
        return NULL;
    *conduit = (struct lh_conduit){.files = files, .source = piped, .refs = 1};
    ssize_t room = lh_pipe_open(conduit->fds);
    if (room < 0) {
        lh_free(conduit);
        return NULL;
    }
    conduit->room = (size_t)room;
    if (files)
        files->pipes_n++;
    return conduit;
}

struct lh_conduit *lh_conduit_hold(struct lh_conduit *conduit)
{
    conduit->refs++;
    return conduit;
}

/* The next response must not get what is left in it. */
static bool may_be_kept(const struct lh_conduit *conduit)
{
    const struct lh_open_files *files = conduit->files;

    return files && files->conduits_n < KEPT_MAX &&
           conduit->fds[1] < files->fd_end && lh_pipe_is_empty(conduit->fds[0]);
}

/* The last share: it waits for the next response, as long as files do. */
void lh_conduit_drop(struct lh_conduit *conduit)
{
    if (!conduit || --conduit->refs)
        return;
    if (!may_be_kept(conduit)) {
        conduit_close(conduit);
        return;
    }
    conduit->n = 0;
    conduit->files->conduits_n++;
    lh_list_append(&conduit->files->conduits, &conduit->link);
    lh_open_files_forget_later(conduit->files);
}

void lh_conduits_forget(struct lh_open_files *files)
{
    struct lh_conduit *conduit;

    while ((conduit = take_kept(files)) != NULL)
        conduit_close(conduit);
}

ssize_t lh_conduit_fill_now(struct lh_conduit *conduit, int file, uint64_t at,
                            size_t n)
{
    ssize_t r = lh_splice_in_now(file, (off_t)at, conduit->fds[1],
                                 lh_min(n, conduit->room));

    if (r > 0)
        conduit->n = (size_t)r;
    return r;
}

/* No more than it holds, and it is empty: so nobody waits for room in it. */
void lh_conduit_prepare(struct lh_conduit *conduit, struct lh_aio_op *op,
                        uint64_t at, size_t n)
{
    op->to = conduit->fds[1];
    op->n = lh_min(n, conduit->room);
    op->offset = at;
}

/* They are the response's, which tells when they have left. */
int lh_conduit_give(struct lh_conduit *conduit, struct lh_exchange *ex)
{
    int error = lh_exchange_draw_from(ex, &conduit->source, conduit->n);

    if (error == 0)
        conduit->n = 0;
    return error;
}
