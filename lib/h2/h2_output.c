/*
 * Output of an HTTP/2 connection.  Frames that need no window are encoded once
 * into the control buffer and copied out from there; a DATA frame is written
 * where it will be sent from, and only when the control buffer is empty.
 */
#include "h2/h2_output.h"

#include "base/num.h"
#include "h2/h2_answer.h"

#include <string.h>

/* DATA frames shorter than that are not worth their head, but to end a body. */
#define DATA_LEAST 1024

/* --- what a stream has to send -------------------------------------------- */

enum next { NOTHING, FRAMES, DATA };

static enum next next_of(const struct lh_h2_stream *s)
{
    const struct lh_exchange *ex = s->ex;
    const struct lh_response *r = &ex->response;

    if (r->state == LH_RESPONSE_ABORTED || r->interim)
        return FRAMES;
    if (!r->head_left)
        return lh_exchange_head_ready(ex) ? FRAMES : NOTHING;
    if (lh_exchange_out_waits(ex))
        return DATA;
    return lh_exchange_complete(ex) ? FRAMES : NOTHING;
}

/* Called whenever something of the stream has changed; a stream that keeps
 * its place in `send` is not moved, so that nobody gains turns by it. */
void lh_h2_schedule(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (s->whole || !lh_h2_stream_sends(s))
        return;
    switch (next_of(s)) {
    case FRAMES:
        lh_h2_unschedule(c, s);
        lh_list_append(&c->heads, &s->turn);
        return;
    case DATA:
        if (s->send_window > 0) {
            lh_h2_send_join(&c->send, s);
            return;
        }
        break;
    case NOTHING:
        break;
    }
    lh_h2_unschedule(c, s);
}

/* --- frames --------------------------------------------------------------- */

/* The next of a stream's frames that need no window.  In this order: an abort
 * spoils all else, informational responses and promises stand before the
 * final head. */
static void encode_frames_of(struct lh_h2 *c, struct lh_h2_stream *s)
{
    struct lh_exchange *ex = s->ex;
    struct lh_interim *interim;

    if (ex->response.state == LH_RESPONSE_ABORTED) {
        lh_h2_reset(c, s, LH_H2_INTERNAL_ERROR);
    } else if ((interim = lh_exchange_take_interim(ex)) != NULL) {
        lh_h2_send_interim(c, s, interim);
    } else if (!ex->response.head_left) {
        lh_h2_send_head(c, s);
    } else {
        lh_h2_send_end(c, s);
    }
}

/* How much body may go into a frame now.  As much as waits, as a frame may
 * have, and as both windows let through. */
static size_t data_size(const struct lh_h2 *c, const struct lh_h2_stream *s)
{
    size_t n = lh_min(lh_exchange_out_bytes(s->ex), LH_H2_FRAME_BYTES);
    int64_t window =
        s->send_window < c->send_window ? s->send_window : c->send_window;

    return (int64_t)n < window ? n : (size_t)window;
}

/* Writes a DATA frame with at most n octets of body.  0: there are none now. */
static size_t write_data(struct lh_h2 *c, struct lh_h2_stream *s, uint8_t *out,
                         size_t n)
{
    struct lh_exchange *ex = s->ex;
    struct lh_h2_head h = {0, LH_H2_DATA, 0, s->id};

    lh_h2_mark_changed(c, s);
    n = lh_exchange_out_take(ex, out + LH_H2_HEAD_BYTES, n);
    if (n == 0)
        return 0;
    h.length = (uint32_t)n;
    s->send_window -= (int64_t)n;
    c->send_window -= (int64_t)n;
    s->served_bytes += n;
    c->served_bytes += n;
    lh_h2_credit(c, n);
    if (s->served_bytes - s->shut_from >= LH_H2_PROGRESS_BYTES)
        s->shut_due = LH_NEVER;
    bool last = lh_exchange_complete(ex) && !lh_exchange_out_bytes(ex) &&
                !ex->response.trailers.n;
    if (last)
        h.flags = LH_H2_FLAG_END_STREAM;
    lh_h2_head_put(out, &h);
    lh_h2_send_served(&c->send, s, n);
    if (last)
        lh_h2_local_ends(c, s);
    return LH_H2_HEAD_BYTES + n;
}

/* Into a room that is too small a frame goes through the control buffer. */
static void data_through_control(struct lh_h2 *c, struct lh_h2_stream *s)
{
    uint8_t frame[LH_H2_HEAD_BYTES + DATA_LEAST];
    size_t n = write_data(c, s, frame, lh_min(data_size(c, s), DATA_LEAST));

    if (n)
        lh_h2_queue_frame(c, frame, n);
}

size_t lh_h2_write_data(struct lh_h2 *c, uint8_t *out, size_t room, bool first)
{
    struct lh_h2_stream *s = lh_h2_send_next(&c->send);
    size_t n = data_size(c, s);

    if (n == 0) {
        lh_h2_unschedule(c, s); /* what it had was taken back */
        return 0;
    }
    if (room >= LH_H2_HEAD_BYTES + lh_min(n, DATA_LEAST))
        return write_data(c, s, out, lh_min(n, room - LH_H2_HEAD_BYTES));
    if (first)
        data_through_control(c, s);
    return 0;
}

bool lh_h2_encode_next(struct lh_h2 *c)
{
    if (c->control.n >= LH_H2_CONTROL_BYTES)
        return false;
    struct lh_h2_stream *s =
        LH_OF(lh_list_take(&c->heads), struct lh_h2_stream, turn);
    encode_frames_of(c, s);
    lh_h2_mark_changed(c, s);
    return true;
}
