/*
 * The body of an answer: see serving.h.
 *
 * It is a row of parts, each a text, which may be none, and octets of the file.
 * What the page cache has is copied into the response as far as that has room;
 * what it has not an operation reads.  Of a long part the response gets a
 * source: on a plain connection the kernel moves its pages into the socket, on
 * another one they are read when they leave.  What is not in memory an
 * operation puts into a pipe for a plain connection.
 */
#include "files/serving.h"

#include "base/mem.h"
#include "base/num.h"
#include "http/request_id.h"
#include "os/error.h"
#include "os/splice.h"

#define COPY_BYTES   ((size_t)16 << 10) /* on the stack */
#define READ_BYTES   ((size_t)64 << 10)
#define SOURCE_BYTES ((size_t)64 << 10) /* shorter parts are copied */

/* What the kernel moves at once.  Each time ends in a packet that is not full,
 * which the client is woken for. */
#define MOVE_BYTES ((size_t)512 << 10)

enum progress { MOVED, STUCK, WAITS };

/* The header may have left by now: then the response is cut, or what is there
 * would look whole. */
static enum progress fail_body(struct lh_serving *s, int error)
{
    if (error == LH_SYS_ENOMEM)
        lh_serving_fail(s, 503);
    else
        lh_serving_error(s, error);
    return MOVED;
}

/* It became shorter since its length was said. */
static enum progress fail_shrunk(struct lh_serving *s)
{
    lh_log_request(s->ex, LH_LOG_FAILURES,
                   "'%s' became shorter while it was sent", s->path);
    lh_serving_fail(s, 500);
    return MOVED;
}

/* Gives the response up to n octets; how many, or < 0. */
static int64_t give(struct lh_serving *s, const char *p, size_t n)
{
    n = lh_min(n, lh_exchange_room(s->ex));
    if (n == 0)
        return 0;
    return lh_exchange_write(s->ex, p, n) < 0 ? -1 : (int64_t)n;
}

static enum progress give_text(struct lh_serving *s)
{
    int64_t n = give(s, s->text.p, s->text.n);

    if (n < 0)
        return fail_body(s, LH_SYS_ENOMEM);
    s->text.p += n;
    s->text.n -= (size_t)n;
    return n ? MOVED : STUCK;
}

/* What an operation has read. */
static enum progress give_read(struct lh_serving *s)
{
    int64_t n = give(s, s->in + s->in_at, s->in_n - s->in_at);

    if (n < 0)
        return fail_body(s, LH_SYS_ENOMEM);
    s->in_at += (size_t)n;
    s->at += (uint64_t)n;
    s->left -= (uint64_t)n;
    if (s->in_at == s->in_n) {
        lh_free(s->in);
        s->in = NULL;
        s->cold = false;
    }
    return n ? MOVED : STUCK;
}

/* The response takes what is in the conduit. */
static enum progress give_filled(struct lh_serving *s)
{
    size_t n = s->conduit->n;

    if (lh_conduit_give(s->conduit, s->ex) < 0)
        return fail_body(s, LH_SYS_EIO);
    s->at += n;
    s->left -= n;
    s->cold = false;
    return MOVED;
}

/* The next n octets have been found in memory. */
static void note_warm(struct lh_serving *s, uint64_t n)
{
    if (s->file->warm == s->at)
        s->file->warm += n;
}

/* An operation has come back.  What cannot be spliced is copied.  What has come
 * so far is in memory, and the next request takes it from there. */
static enum progress take_result(struct lh_serving *s)
{
    bool spliced = s->splices;

    s->has_result = s->splices = false;
    if (s->result == 0)
        return fail_shrunk(s);
    if (s->result < 0 && !spliced)
        return fail_body(s, (int)s->result);
    if (s->result < 0) {
        s->copies = true;
        return MOVED;
    }
    if (spliced)
        s->conduit->n = (size_t)s->result;
    note_warm(s, (uint64_t)s->result);
    return MOVED;
}

/* What is not in memory is read ahead of the room that the response has. */
static enum progress ask_read(struct lh_serving *s)
{
    int r = lh_fetch_read(s, (size_t)lh_min64(s->left, READ_BYTES));

    return r == LH_SERVING_WAITS ? WAITS : fail_body(s, r);
}

/* The response takes the next octets of the file. */
static size_t draw_cached(struct lh_body_source *source, uint8_t *out, size_t n)
{
    struct lh_serving *s = LH_OF(source, struct lh_serving, source);
    ssize_t got = lh_aio_read_cached(s->file->fd, (char *)out, n, s->at);

    if (got <= 0)
        return 0;
    s->at += (uint64_t)got;
    s->left -= (uint64_t)got;
    return (size_t)got;
}

/* What a request has found in memory within the last second is there still. */
static bool is_warm(const struct lh_serving *s, size_t n)
{
    return lh_list_linked(&s->file->link) && s->at + n <= s->file->warm;
}

static size_t locate_cached(struct lh_body_source *source,
                            struct lh_place *place, size_t n)
{
    struct lh_serving *s = LH_OF(source, struct lh_serving, source);

    n = lh_min(n, MOVE_BYTES);
    s->cold =
        !is_warm(s, n) && !lh_splice_is_ready(s->file->fd, (off_t)s->at, n);
    *place = (struct lh_place){s->file->fd, (int64_t)s->at};
    return s->cold ? 0 : n;
}

static void moved_cached(struct lh_body_source *source, size_t n)
{
    struct lh_serving *s = LH_OF(source, struct lh_serving, source);

    note_warm(s, n);
    s->cold = n == 0;
    s->at += n;
    s->left -= n;
}

static const struct lh_body_source cached = {
    .draw = draw_cached,
    .locate = locate_cached,
    .moved = moved_cached,
};

/* The response is sent from the file itself.  So it costs no memory until it
 * leaves, and is not read long before.  What is not in memory after all is
 * asked for by the next step. */
static enum progress offer(struct lh_serving *s, uint64_t n)
{
    s->source = cached;
    if (lh_exchange_draw_from(s->ex, &s->source,
                              (size_t)lh_min64(n, SIZE_MAX / 2)))
        return fail_body(s, LH_SYS_EIO);
    return MOVED;
}

/* Straight from the page cache, as much as the response takes. */
static enum progress give_cached(struct lh_serving *s)
{
    char octets[COPY_BYTES];
    size_t n = lh_min((size_t)lh_min64(s->left, sizeof(octets)),
                      lh_exchange_room(s->ex));

    if (n == 0)
        return STUCK;
    ssize_t got = lh_aio_read_cached(s->file->fd, octets, n, s->at);
    if (got == 0)
        return fail_shrunk(s);
    if (got < 0)
        return ask_read(s);
    if (lh_exchange_write(s->ex, octets, (size_t)got) < 0)
        return fail_body(s, LH_SYS_ENOMEM);
    s->at += (uint64_t)got;
    s->left -= (uint64_t)got;
    return s->left >= SOURCE_BYTES && !s->ex->moves
               ? offer(s, s->left - COPY_BYTES)
               : MOVED;
}

/* An operation puts it into a pipe.  Where there is none it is read. */
static enum progress ask_splice(struct lh_serving *s)
{
    size_t n = (size_t)lh_min64(s->left, SIZE_MAX);

    if (!s->conduit)
        s->conduit = lh_conduit_new(s->ex->ctx);
    s->splices = s->conduit && lh_fetch_splice(s, n) == LH_SERVING_WAITS;
    return s->splices ? WAITS : ask_read(s);
}

static enum progress give_file(struct lh_serving *s)
{
    if (s->has_result)
        return take_result(s);
    if (s->conduit && s->conduit->n)
        return give_filled(s);
    if (s->in)
        return give_read(s);
    if (!s->ex->moves || s->copies || s->left < SOURCE_BYTES)
        return give_cached(s);
    if (s->cold || s->options->remote)
        return ask_splice(s);
    return offer(s, s->left);
}

/* The next part of several; false: there is none. */
static bool begin_part(struct lh_serving *s)
{
    const struct lh_ranges *ranges = s->ranges;

    if (!ranges || s->part > ranges->n)
        return false;
    const struct lh_range *range =
        s->part < ranges->n ? &ranges->v[s->part] : NULL;
    s->part++;
    s->at = range ? range->from : 0;
    s->left = range ? range->n : 0;
    s->text = lh_range_delimiter(&s->ex->arena, s->boundary, s->type, range,
                                 s->file->found.size);
    if (!s->text.p)
        lh_serving_fail(s, 503);
    return true;
}

/* What was said is what was given, or the exchange cuts it. */
static void end_body(struct lh_serving *s)
{
    lh_exchange_end(s->ex);
    s->state = LH_SERVING_ENDED;
}

static enum progress move(struct lh_serving *s)
{
    if (s->ex->gone || s->ex->response.no_body) {
        end_body(s);
        return MOVED;
    }
    if (s->fetch || s->ex->response.source)
        return WAITS;
    if (s->text.n)
        return give_text(s);
    if (s->left)
        return give_file(s);
    if (!begin_part(s))
        end_body(s);
    return MOVED;
}

/* What has no room leaves, by which room comes. */
bool lh_body_step(struct lh_serving *s)
{
    enum progress progress = move(s);

    if (progress != MOVED)
        lh_exchange_release(s->ex);
    return progress == MOVED;
}
