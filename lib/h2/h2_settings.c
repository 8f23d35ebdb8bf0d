/* SETTINGS, the client's and ours (RFC 9113, 6.5). */
#include "h2/h2_settings.h"

#include "base/num.h"
#include "h2/h2_flow.h"

#include <string.h>

#define OUR_SETTINGS 7

/* They leave first of all.  The connection's window has no setting: it is
 * opened by a WINDOW_UPDATE behind them. */
bool lh_h2_send_settings(struct lh_h2 *c)
{
    const lhttpd_limits_t *limits = c->ctx->limits;
    const struct lh_h2_setting all[OUR_SETTINGS] = {
        {LH_H2_SET_HEADER_TABLE_SIZE, lh_to_u32(limits->hpack_table_bytes)},
        {LH_H2_SET_MAX_CONCURRENT_STREAMS, c->told_streams},
        {LH_H2_SET_INITIAL_WINDOW_SIZE, LH_H2_RECV_BYTES},
        {LH_H2_SET_MAX_HEADER_LIST_SIZE, lh_to_u32(limits->header_bytes)},
        {LH_H2_SET_ENABLE_CONNECT_PROTOCOL, 1},
        {LH_H2_SET_NO_RFC7540_PRIORITIES, 1},
    };
    size_t skip = all[0].value == LH_H2_HPACK_TABLE_BYTES;
    uint8_t frame[LH_H2_HEAD_BYTES + 6 * OUR_SETTINGS];

    if (!lh_h2_queue_frame(c, frame,
                           lh_h2_put_settings(frame, all + skip,
                                              OUR_SETTINGS - 1 - skip, false)))
        return false;
    lh_h2_flow_connection(c);
    return c->life == LH_H2_SERVING;
}

/* --- the client's --------------------------------------------------------- */

/* The windows of all streams move with it, below zero too (6.9.2). */
static void set_initial_window(struct lh_h2 *c, uint32_t value)
{
    int64_t delta = (int64_t)value - c->peer_window;

    if (value > LH_H2_WINDOW_MAX) {
        lh_h2_fail(c, LH_H2_FLOW_CONTROL_ERROR, "a window that is too large");
        return;
    }
    c->peer_window = value;
    for (struct lh_list *l = c->all.next; l != &c->all; l = l->next) {
        struct lh_h2_stream *s = LH_OF(l, struct lh_h2_stream, all);
        s->send_window += delta;
        if (s->state != LH_H2_CLOSED && s->send_window > LH_H2_WINDOW_MAX) {
            lh_h2_fail(c, LH_H2_FLOW_CONTROL_ERROR, "a window overflows");
            return;
        }
        lh_h2_mark_changed(c, s);
    }
}

/* A client may allow more than we want to keep for it. */
static void set_header_table(struct lh_h2 *c, uint32_t value)
{
    uint64_t most = c->ctx->limits->hpack_table_bytes;

    if (lh_h2_hpack_set_out_table(
            &c->hpack, value < most ? value : (size_t)most) != LH_H2_HPACK_OK)
        lh_h2_fail(c, LH_H2_INTERNAL_ERROR, "out of memory");
}

/* Between 16,384 and 2^24 - 1 (RFC 9113, 6.5.2).  We never send longer frames
 * than the least. */
static void set_frame_size(struct lh_h2 *c, uint32_t value)
{
    if (value < LH_H2_FRAME_BYTES || value > 0xffffff)
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "a frame size out of range");
    else
        c->peer_frame = value;
}

static void set_push(struct lh_h2 *c, uint32_t value)
{
    if (value > 1)
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1");
    else
        c->peer_push = value;
}

/* We do without those priorities, whatever the client says (RFC 9218, 2.1). */
static void check_no_priorities(struct lh_h2 *c, uint32_t value)
{
    if (value > 1)
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR,
                   "NO_RFC7540_PRIORITIES is neither 0 nor 1");
}

static void apply_setting(struct lh_h2 *c, const struct lh_h2_setting *s)
{
    switch (s->id) {
    case LH_H2_SET_HEADER_TABLE_SIZE:
        set_header_table(c, s->value);
        break;
    case LH_H2_SET_ENABLE_PUSH:
        set_push(c, s->value);
        break;
    case LH_H2_SET_MAX_CONCURRENT_STREAMS:
        c->peer_streams = s->value;
        break;
    case LH_H2_SET_INITIAL_WINDOW_SIZE:
        set_initial_window(c, s->value);
        break;
    case LH_H2_SET_MAX_FRAME_SIZE:
        set_frame_size(c, s->value);
        break;
    case LH_H2_SET_MAX_HEADER_LIST_SIZE:
        c->peer_list_bytes = s->value;
        break;
    case LH_H2_SET_NO_RFC7540_PRIORITIES:
        check_no_priorities(c, s->value);
        break;
    default: /* unknown: ignored (6.5.2) */
        break;
    }
}

/* Its first answer is to our settings, of which only this one waits for it:
 * until then blocks may use the table as it was. */
static void take_ack(struct lh_h2 *c)
{
    if (c->settings_acked) {
        lh_h2_charge(c, "answers to no SETTINGS");
        return;
    }
    c->settings_acked = true;
    if (lh_h2_hpack_set_in_table(
            &c->hpack, lh_to_u32(c->ctx->limits->hpack_table_bytes)) !=
        LH_H2_HPACK_OK)
        lh_h2_fail(c, LH_H2_INTERNAL_ERROR, "out of memory");
}

static void settings_begin(struct lh_h2 *c)
{
    if (c->head.length / 6 > c->ctx->limits->h2_settings)
        lh_h2_fail(c, LH_H2_ENHANCE_YOUR_CALM, "too many SETTINGS in a frame");
}

/* Entry by entry, in their order (6.5.3). */
static void settings_octets(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    struct lh_h2_setting s;

    for (size_t i = 0; i < n && c->life != LH_H2_ENDED; i++) {
        c->small[c->small_n++] = p[i];
        if (c->small_n < 6)
            continue;
        c->small_n = 0;
        lh_h2_setting_get(&s, c->small);
        apply_setting(c, &s);
    }
}

/* Settings are in force when they are acknowledged (RFC 9113, 6.5.3); those
 * of the preface are free. */
static void settings_end(struct lh_h2 *c)
{
    uint8_t frame[LH_H2_HEAD_BYTES];

    if (c->life == LH_H2_ENDED)
        return;
    if (c->head.flags & LH_H2_FLAG_ACK) {
        take_ack(c);
        return;
    }
    if (c->settings_seen && !lh_h2_spend(c, "SETTINGS frames"))
        return;
    c->settings_seen = true;
    c->preface_due = LH_NEVER;
    lh_h2_queue_frame(c, frame, lh_h2_put_settings(frame, NULL, 0, true));
}

const struct lh_h2_handler lh_h2_settings = {settings_begin, settings_octets,
                                             settings_end};
