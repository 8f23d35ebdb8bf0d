/*
 * Flow control (RFC 9113, 5.2 and 6.9).
 *
 * What a client may send follows what has been read: of a stream its window
 * and what its handler has not read make up the window's full size, and so
 * they do of the connection with what all handlers have not read.  A window
 * whose handler keeps up with it doubles, within what the connection has for
 * that, and the connection's grows with it.  What we may send is decreased in
 * h2_output.
 */
#include "h2/h2_flow.h"

#include "base/num.h"

static void put_update(struct lh_h2 *c, uint32_t stream, int64_t increment)
{
    uint8_t frame[LH_H2_UPDATE_BYTES];

    lh_h2_queue_frame(c, frame,
                      lh_h2_put_update(frame, stream, (uint32_t)increment));
}

/* --- receiving ------------------------------------------------------------ */

bool lh_h2_flow_takes(struct lh_h2 *c, struct lh_h2_stream *s, uint32_t n)
{
    if (n > c->recv_window) {
        lh_h2_fail(c, LH_H2_FLOW_CONTROL_ERROR,
                   "more DATA than the connection's window");
        return false;
    }
    c->recv_window -= n;
    if (!s || !lh_h2_stream_receives(s))
        return true;
    if (n > s->recv_window) {
        lh_h2_reset_client(c, s, LH_H2_FLOW_CONTROL_ERROR,
                           "more DATA than its window");
        return false;
    }
    s->recv_window -= n;
    return true;
}

/* Doubles, while both the stream and its connection have something left to
 * grow by. */
static void grow_window(struct lh_h2 *c, struct lh_h2_stream *s)
{
    uint32_t more = s->recv_size;

    if (s->recv_size >= LH_H2_RECV_MAX_BYTES ||
        more > LH_H2_RECV_GROWTH_BYTES - c->growth)
        return;
    s->recv_size += more;
    c->growth += more;
    c->recv_size += more;
}

void lh_h2_flow_shrink(struct lh_h2 *c, struct lh_h2_stream *s)
{
    uint32_t grown = s->recv_size - LH_H2_RECV_BYTES;

    c->growth -= grown;
    c->recv_size -= grown;
}

/* Not for each octet that was read: an update is worth a frame when half of
 * the window is free. */
static void open_stream(struct lh_h2 *c, struct lh_h2_stream *s)
{
    int64_t missing = s->recv_size - s->recv_window - (int64_t)s->held;

    if (missing < s->recv_size / 2)
        return;
    if (s->held == 0) {
        uint32_t before = s->recv_size;
        grow_window(c, s);
        missing += s->recv_size - before;
    }
    s->recv_window += missing;
    put_update(c, s->id, missing);
}

/* A body that is discarded may come as far as that goes: a client that sees
 * its window shut may not look at its answer before the stream is reset. */
static void open_discarded(struct lh_h2 *c, struct lh_h2_stream *s)
{
    int64_t most = (int64_t)lh_min64(s->recv_size, s->discard_left),
            missing = most - s->recv_window;

    if (missing <= 0 || missing < most / 2)
        return;
    s->recv_window += missing;
    put_update(c, s->id, missing);
}

void lh_h2_flow_read(struct lh_h2 *c, struct lh_h2_stream *s)
{
    c->held -= s->held - s->ex->body.n;
    s->held = s->ex->body.n;
    if (!lh_h2_stream_receives(s))
        return;
    if (s->discards)
        open_discarded(c, s);
    else if (s->ex->body_state == LH_BODY_OPEN)
        open_stream(c, s);
}

void lh_h2_flow_release(struct lh_h2 *c, struct lh_h2_stream *s)
{
    c->held -= s->held;
    s->held = 0;
}

static bool waits_for_body(const struct lh_h2_stream *s)
{
    return lh_h2_stream_receives(s) && s->ex->body_wanted && s->ex->body.n == 0;
}

/* Bodies that nobody reads have taken the window.  They are not to hold back
 * one whose handler waits for it: the window grows then, at most until it has
 * as much as all streams together. */
static void grow_for_waiting(struct lh_h2 *c)
{
    uint64_t most = LH_H2_RECV_BYTES * (uint64_t)(c->requests_now + 1);
    int64_t size = c->recv_size - c->growth;

    if ((uint64_t)size >= most ||
        size > LH_H2_WINDOW_MAX - (int64_t)LH_H2_RECV_GROWTH_BYTES * 2)
        return;
    for (struct lh_list *l = c->all.next; l != &c->all; l = l->next) {
        if (waits_for_body(LH_OF(l, struct lh_h2_stream, all))) {
            c->recv_size += LH_H2_RECV_BYTES;
            return;
        }
    }
}

/* When a quarter is free, or there is hardly any window left. */
void lh_h2_flow_connection(struct lh_h2 *c)
{
    if (c->held && c->recv_window < LH_H2_FRAME_BYTES)
        grow_for_waiting(c);
    int64_t missing = c->recv_size - c->recv_window - (int64_t)c->held;

    if (c->life == LH_H2_ENDED || missing <= 0)
        return;
    if (missing < c->recv_size / 4 &&
        (missing < LH_H2_FRAME_BYTES || c->recv_window > LH_H2_RECV_BYTES))
        return;
    c->recv_window += missing;
    put_update(c, 0, missing);
}

/* --- the client's window updates ------------------------------------------ */

static void update_connection(struct lh_h2 *c, uint32_t increment)
{
    if (increment == 0) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "a window update of nothing");
    } else if (c->send_window + increment > LH_H2_WINDOW_MAX) {
        lh_h2_fail(c, LH_H2_FLOW_CONTROL_ERROR, "the window overflows");
    } else {
        c->send_window += increment;
    }
}

/* RFC 9113, 6.9 and 6.9.1: an increment of nothing and a window over 2^31 - 1
 * are errors of the stream. */
static void update_stream(struct lh_h2 *c, uint32_t id, uint32_t increment)
{
    struct lh_h2_stream *s = lh_h2_streams_find(&c->table, id);

    if (lh_h2_is_idle(c, id)) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream");
    } else if (!s) {
        return; /* closed: it may have been under way */
    } else if (increment == 0) {
        lh_h2_reset_client(c, s, LH_H2_PROTOCOL_ERROR,
                           "a window update of nothing");
    } else if (s->send_window + increment > LH_H2_WINDOW_MAX) {
        lh_h2_reset_client(c, s, LH_H2_FLOW_CONTROL_ERROR,
                           "its window overflows");
    } else {
        s->send_window += increment;
        lh_h2_mark_changed(c, s);
    }
}

static void window_update_end(struct lh_h2 *c)
{
    uint32_t increment = lh_h2_u32(c->small) & LH_H2_WINDOW_MAX;

    if (!lh_h2_spend(c, "window updates of little use"))
        return;
    if (c->head.stream)
        update_stream(c, c->head.stream, increment);
    else
        update_connection(c, increment);
}

const struct lh_h2_handler lh_h2_window_update = {NULL, NULL,
                                                  window_update_end};
