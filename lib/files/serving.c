/*
 * Requests that are answered with files: see serving.h.
 *
 * What always holds: what is open has a share for each who needs it, the
 * serving and the operation that is on its way; and while the response has
 * octets in the conduit the serving has not ended.
 */
#include "files/serving.h"

#include "base/mem.h"
#include "os/fd.h"

/* --- paths ---------------------------------------------------------------- */

/* Names that begin with a dot are nobody's business, but for the one directory
 * that is made for clients (RFC 8615). */
static bool has_dot_name(struct lh_str path)
{
    const struct lh_str known = LH_STR(".well-known");
    char before = '/';

    while (path.n && path.p[0] == '/') {
        path.p++;
        path.n--;
    }
    size_t at = 0;
    if (path.n >= known.n && memcmp(path.p, known.p, known.n) == 0 &&
        (path.n == known.n || path.p[known.n] == '/'))
        before = path.p[at++];
    for (; at < path.n; at++) {
        if (path.p[at] == '.' && before == '/')
            return true;
        before = path.p[at];
    }
    return false;
}

/* As a string that openat() takes, relative where there is a directory. */
static bool copy_path(struct lh_serving *s, struct lh_str path)
{
    const char *index = s->options->index;
    size_t room = path.n + (index ? strlen(index) : 0) + sizeof("/.gz");

    if (s->options->directory) {
        while (path.n && path.p[0] == '/') {
            path.p++;
            path.n--;
        }
    }
    s->path = lh_arena_alloc(&s->ex->arena, room);
    if (!s->path)
        return false;
    if (path.n)
        memcpy(s->path, path.p, path.n);
    s->path[path.n] = '\0';
    s->path_n = path.n;
    return true;
}

/* --- its life ------------------------------------------------------------- */

struct lh_serving *lh_serving_new(struct lh_exchange *ex,
                                  const struct lh_files_options *options,
                                  struct lh_str path,
                                  void (*wake)(struct lh_serving *s),
                                  void *owner)
{
    struct lh_serving *s = lh_arena_alloc(&ex->arena, sizeof(*s));
    const struct lh_request *request = &ex->request;

    if (!s)
        return NULL;
    *s = (struct lh_serving){.ex = ex,
                             .options = options,
                             .wake = wake,
                             .owner = owner,
                             .descriptor = -1};
    if (!copy_path(s, path))
        return NULL;
    if (!request->head && !lh_str_equal(request->method, LH_STR("GET")))
        lh_answer_method(s);
    else if (strlen(s->path) != s->path_n ||
             (options->directory && has_dot_name(path)))
        lh_serving_fail(s, 404);
    else
        lh_find_begin(s);
    return s;
}

void *lh_serving_owner(const struct lh_serving *s)
{
    return s->owner;
}

static void give_up(struct lh_serving *s)
{
    if (s->ex)
        lh_exchange_unlend(s->ex);
    lh_fetch_leave(s);
    lh_opened_drop(s->root);
    lh_opened_drop(s->file);
    lh_conduit_drop(s->conduit);
    if (s->descriptor >= 0)
        lh_fd_close(s->descriptor);
    lh_free(s->page);
    lh_free(s->in);
    s->page = NULL;
    s->root = s->file = NULL;
    s->conduit = NULL;
    s->descriptor = -1;
    s->in = NULL;
    s->state = LH_SERVING_ENDED;
}

/* Nothing moves while an operation is on its way, but for the end of a client
 * that has gone: that one is not waited for. */
bool lh_serving_step(struct lh_serving *s)
{
    bool moved = !s->fetch || (s->ex && s->ex->gone);

    while (moved && s->state != LH_SERVING_ENDED) {
        if (s->ex->gone) {
            lh_exchange_end(s->ex);
            s->state = LH_SERVING_ENDED;
        } else if (s->state == LH_SERVING_BODY) {
            moved = lh_body_step(s);
        } else if (s->state == LH_SERVING_LIST) {
            moved = lh_list_step(s);
        } else {
            moved = lh_find_step(s);
        }
    }
    if (s->state != LH_SERVING_ENDED)
        return false;
    give_up(s);
    return true;
}

void lh_serving_cancel(struct lh_serving *s)
{
    bool ended = s->state == LH_SERVING_ENDED;

    give_up(s);
    if (!ended)
        lh_exchange_fail(s->ex, 503);
}
