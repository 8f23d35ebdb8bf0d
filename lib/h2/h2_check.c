/*
 * What always holds of an HTTP/2 connection: see h2_check.h.  The sums that it
 * keeps, so as not to walk its streams, equal what the streams hold; and each
 * stream is in those lists, and in no other, that its state says.
 */
#include "h2/h2_check.h"

#if LHTTPD_CHECKS

#include <assert.h>

/* What all streams have together. */
struct sums {
    unsigned requests, pushes, handlers, waiting;
    size_t held, growth, queued, header_bytes;
};

static void check_stream(const struct lh_h2 *c, const struct lh_h2_stream *s)
{
    bool closed = s->state == LH_H2_CLOSED;
    const struct lh_h2_stream *found = lh_h2_streams_find(&c->table, s->id);

    assert(s->conn == c && s->state != LH_H2_IDLE);
    assert(found == (closed ? NULL : s));
    assert(closed || c->life != LH_H2_ENDED);
    assert(s->recv_window >= 0);
    assert(closed || s->send_window <= LH_H2_WINDOW_MAX);
    assert(s->recv_size >= LH_H2_RECV_BYTES &&
           s->recv_size <= LH_H2_RECV_MAX_BYTES);
    assert(s->held >= s->ex->body.n);
    assert(!s->waits || (!closed && !s->served && s->ex->accepted));
    assert(!s->runs || s->served);
    /* The connection looks at no stream before the earliest of their times. */
    assert(closed || c->streams_due <= lh_h2_stream_due(s));
    lh_exchange_check(s->ex);
}

static void sum_stream(struct sums *sums, const struct lh_h2_stream *s)
{
    sums->requests += !s->pushed;
    sums->pushes += s->pushed;
    sums->handlers += s->runs;
    sums->waiting += s->waits;
    sums->held += s->held;
    sums->growth += s->recv_size - LH_H2_RECV_BYTES;
    sums->queued += s->ex->response.bytes.n + s->header_bytes;
    sums->header_bytes += s->header_bytes;
}

static void check_sums(const struct lh_h2 *c)
{
    struct sums sums = {.requests = 0};

    for (const struct lh_list *l = c->all.next; l != &c->all; l = l->next) {
        const struct lh_h2_stream *s = LH_OF(l, struct lh_h2_stream, all);
        check_stream(c, s);
        sum_stream(&sums, s);
    }
    assert(sums.requests == c->requests_now && sums.pushes == c->pushes_now);
    assert(sums.handlers == c->handlers && sums.waiting == c->waiting);
    assert(sums.held == c->held && sums.growth == c->growth);
    assert(sums.queued == c->queued && sums.header_bytes == c->header_bytes);
}

/* A stream's link `turn` is in one of three kinds of lists: among those that
 * have frames or DATA to send, or, once all is pulled, among those that are
 * told when it has left.  Returns how many are in this one. */
static unsigned check_turns(const struct lh_list *list, bool whole)
{
    unsigned n = 0;

    for (const struct lh_list *l = list->next; l != list; l = l->next, n++) {
        const struct lh_h2_stream *s = LH_OF(l, struct lh_h2_stream, turn);
        assert(s->whole == whole);
        assert(whole || lh_h2_stream_sends(s));
    }
    return n;
}

static void check_lists(const struct lh_h2 *c)
{
    unsigned listed = check_turns(&c->heads, false), linked = 0;

    listed += check_turns(&c->unsent, true);
    for (unsigned i = 0; i < LH_H2_URGENCIES; i++) {
        unsigned n = check_turns(&c->send.levels[i], false);
        assert((n > 0) == (c->send.waiting >> i & 1));
        listed += n;
    }
    for (const struct lh_list *l = c->all.next; l != &c->all; l = l->next)
        linked += lh_list_linked(&LH_OF(l, struct lh_h2_stream, all)->turn);
    assert(listed == linked);
}

void lh_h2_check(const struct lh_h2 *c)
{
    check_sums(c);
    check_lists(c);
    assert(c->recv_window >= 0 && c->send_window >= 0);
    assert(!c->data || c->data->state != LH_H2_CLOSED);
    assert(!c->block.s || c->block.s->state != LH_H2_CLOSED);
    assert(c->life != LH_H2_DRAINED || !lh_list_empty(&c->all));
    assert(lh_list_empty(&c->all) || c->idle_due == LH_NEVER);
    assert(c->early_n <= c->early_room);
}

#endif
