/*
 * Input of an HTTP/2 connection: octets to frames, and what each type of frame
 * does (RFC 9113, 6).  A frame's content is handed on as it comes, DATA and
 * header blocks without a copy; only small contents are collected.
 */
#include "h2/h2_input.h"

#include "base/num.h"
#include "h2/h2_block.h"
#include "h2/h2_early.h"
#include "h2/h2_flow.h"
#include "h2/h2_settings.h"

#include <string.h>

/* --- errors about streams ------------------------------------------------- */

/* Once: what comes after a reset may have been under way.  RFC 9113, 5.1:
 * frames on a closed stream are an error of the stream. */
static void reset_closed(struct lh_h2 *c, uint32_t id, enum lh_h2_error code)
{
    if (lh_h2_streams_past(&c->table, id) != LH_H2_PAST_RESET) {
        lh_h2_streams_remember(&c->table, id, LH_H2_PAST_RESET);
        lh_h2_log_reset(c, id, code, "a frame on a closed stream");
        lh_h2_reset_id(c, id, code);
    }
    lh_h2_charge(c, "frames on closed streams");
}

/* Of PRIORITY alone, which may be about any stream.  Whether that is still
 * there depends on how fast its response was, so the answer does not. */
static void priority_error(struct lh_h2 *c, enum lh_h2_error code,
                           const char *why)
{
    uint32_t id = c->head.stream;
    struct lh_h2_stream *s = lh_h2_streams_find(&c->table, id);

    if (s)
        lh_h2_reset_client(c, s, code, why);
    else if (lh_h2_is_idle(c, id))
        lh_h2_fail(c, code, why);
    else
        reset_closed(c, id, code);
}

/* --- DATA (6.1) ----------------------------------------------------------- */

/* DATA that was under way when we reset the stream is ignored (RFC 9113,
 * 5.1); empty frames are not, for they cost the client nothing. */
static void data_on_closed(struct lh_h2 *c)
{
    uint32_t id = c->head.stream;

    if (c->content_left &&
        lh_h2_streams_past(&c->table, id) == LH_H2_PAST_RESET)
        return;
    reset_closed(c, id, LH_H2_STREAM_CLOSED);
}

/* Flow control counts the whole payload, padding included, and on closed
 * streams too (RFC 9113, 6.9.1), so it comes before all other checks. */
static void data_begin(struct lh_h2 *c)
{
    struct lh_h2_stream *s = lh_h2_streams_find(&c->table, c->head.stream);

    c->data = NULL;
    if (lh_h2_is_idle(c, c->head.stream)) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "DATA on an idle stream");
        return;
    }
    if (!lh_h2_flow_takes(c, s, c->head.length))
        return;
    if (!s) {
        data_on_closed(c);
    } else if (s->state == LH_H2_RESERVED) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "DATA on a promised stream");
    } else if (!lh_h2_stream_receives(s)) {
        lh_h2_reset_client(c, s, LH_H2_STREAM_CLOSED, "DATA after END_STREAM");
    } else {
        c->data = s;
        if (!c->content_left && !(c->head.flags & LH_H2_FLAG_END_STREAM))
            lh_h2_charge(c, "empty DATA frames");
    }
}

/* Past the limit there is a last moment in which the client may see its answer:
 * one that meets the reset first may lose it. */
static void discard_body_octets(struct lh_h2 *c, struct lh_h2_stream *s,
                                size_t n)
{
    uint64_t soon = c->ctx->now_ms + LH_H2_RESET_MS;

    if (n < s->discard_left) {
        s->discard_left -= n;
        return;
    }
    s->discard_left = 0;
    s->discard_due = lh_min64(s->discard_due, soon);
    lh_h2_mark_changed(c, s); /* the frame's end may never come */
}

/* What is over body_bytes fails the body for its handler; the stream goes on,
 * for there may be an answer. */
static void body_octets(struct lh_h2 *c, struct lh_h2_stream *s,
                        const uint8_t *p, size_t n)
{
    struct lh_exchange *ex = s->ex;

    s->expects_continue = false;
    s->period_bytes += n;
    if (s->received > c->ctx->limits->body_bytes && !ex->upgraded)
        lh_exchange_body_end(ex, LH_BODY_TOO_LARGE);
    if (ex->body_state != LH_BODY_OPEN)
        return;
    if (lh_exchange_body(ex, p, n)) {
        s->held += n;
        c->held += n;
    } else {
        lh_h2_reset(c, s, LH_H2_INTERNAL_ERROR);
    }
}

/* A content-length that is exceeded makes the request malformed (RFC 9113,
 * 8.1.1). */
static void data_octets(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    struct lh_h2_stream *s = c->data;

    if (!s)
        return;
    s->received += n;
    if (s->received > s->ex->request.content_length) {
        lh_exchange_body_end(s->ex, LH_BODY_MALFORMED);
        lh_h2_reset_client(c, s, LH_H2_PROTOCOL_ERROR,
                           "a body longer than its content-length");
    } else if (s->discards) {
        discard_body_octets(c, s, n);
    } else {
        body_octets(c, s, p, n);
    }
}

/* The whole frame has come: its stream is marked once, not for each piece of
 * it. */
static void data_end(struct lh_h2 *c)
{
    struct lh_h2_stream *s = c->data;

    c->data = NULL;
    if (!s)
        return;
    lh_h2_mark_changed(c, s);
    if (!(c->head.flags & LH_H2_FLAG_END_STREAM))
        return;
    if (s->ex->request.content_length != LH_LENGTH_UNKNOWN &&
        s->ex->request.content_length != s->received) {
        lh_exchange_body_end(s->ex, LH_BODY_MALFORMED);
        lh_h2_reset_client(c, s, LH_H2_PROTOCOL_ERROR,
                           "a body shorter than its content-length");
    } else {
        lh_h2_remote_ends(c, s);
    }
}

/* --- PRIORITY (6.3), PRIORITY_UPDATE (RFC 9218, 7.1) ---------------------- */

/* RFC 7540's scheme is not used; only its one error is known. */
static void priority_end(struct lh_h2 *c)
{
    if ((lh_h2_u32(c->small) & LH_H2_STREAM_MAX) == c->head.stream)
        priority_error(c, LH_H2_PROTOCOL_ERROR, "a stream depends on itself");
    else
        lh_h2_spend(c, "PRIORITY frames");
}

static void set_priority(struct lh_h2 *c, struct lh_h2_stream *s,
                         struct lh_str value)
{
    lh_h2_unschedule(c, s);
    lh_h2_priority_parse(value, &s->urgency, &s->incremental);
    lh_h2_mark_changed(c, s);
}

static void priority_update_end(struct lh_h2 *c)
{
    uint32_t id = lh_h2_u32(c->small) & LH_H2_STREAM_MAX;
    struct lh_str value = {(const char *)c->small + 4, c->small_n - 4};
    struct lh_h2_stream *s = lh_h2_streams_find(&c->table, id);

    if (id == 0 || (!(id & 1) && id > c->last_push)) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR,
                   "PRIORITY_UPDATE of no possible stream");
        return;
    }
    if (!lh_h2_spend(c, "PRIORITY_UPDATE frames"))
        return;
    if (s && !s->whole)
        set_priority(c, s, value);
    else if (!s && lh_h2_is_idle(c, id))
        lh_h2_keep_early(c, id, value);
}

/* --- RST_STREAM (6.4), PING (6.7), GOAWAY (6.8) --------------------------- */

/* A client that resets what it has got nothing of pays from its budget: that
 * is how handlers are started for nothing. */
static void rst_end(struct lh_h2 *c)
{
    uint32_t id = c->head.stream;
    struct lh_h2_stream *s = lh_h2_streams_find(&c->table, id);

    if (lh_h2_is_idle(c, id)) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "RST_STREAM on an idle stream");
        return;
    }
    bool was_served = s && s->served_bytes;
    if (s)
        lh_h2_close(c, s, LH_H2_PAST_CANCELLED);
    if (was_served)
        lh_h2_spend(c, "streams that the client resets");
    else
        lh_h2_charge(c, "streams that the client resets");
}

/* An answer to our own PING tells that the client has seen GOAWAY; the others
 * are answered (RFC 9113, 6.7). */
static void ping_end(struct lh_h2 *c)
{
    uint8_t frame[LH_H2_PING_BYTES];

    if (c->head.flags & LH_H2_FLAG_ACK) {
        if (c->life == LH_H2_DRAINING)
            lh_h2_drain_ends(c);
        else
            lh_h2_charge(c, "answers to no PING");
        return;
    }
    if (lh_h2_spend(c, "PING frames"))
        lh_h2_queue_frame(c, frame,
                          lh_h2_put_ping(frame, LH_H2_FLAG_ACK, c->small));
}

/* The client promises to open no further stream; what it asked for is
 * answered. */
static void goaway_end(struct lh_h2 *c)
{
    c->goaway_got = true;
    lh_h2_charge(c, "GOAWAY frames");
}

static void push_promise_begin(struct lh_h2 *c)
{
    lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "PUSH_PROMISE by a client");
}

/* --- the table ------------------------------------------------------------ */

static void ignore_octets(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    (void)c;
    (void)p;
    (void)n;
}

static void unknown_begin(struct lh_h2 *c)
{
    lh_h2_spend(c, "frames of unknown types");
}

static const struct lh_h2_handler data = {data_begin, data_octets, data_end};
static const struct lh_h2_handler priority = {NULL, NULL, priority_end};
static const struct lh_h2_handler rst = {NULL, NULL, rst_end};
static const struct lh_h2_handler push_promise = {push_promise_begin,
                                                  ignore_octets, NULL};
static const struct lh_h2_handler ping = {NULL, NULL, ping_end};
static const struct lh_h2_handler goaway = {NULL, NULL, goaway_end};
static const struct lh_h2_handler priority_update = {NULL, NULL,
                                                     priority_update_end};
static const struct lh_h2_handler unknown = {unknown_begin, ignore_octets,
                                             NULL};
static const struct lh_h2_handler skipped = {NULL, ignore_octets, NULL};

static const struct lh_h2_handler *const handlers[] = {
    [LH_H2_DATA] = &data,
    [LH_H2_HEADERS] = &lh_h2_headers,
    [LH_H2_PRIORITY] = &priority,
    [LH_H2_RST_STREAM] = &rst,
    [LH_H2_SETTINGS] = &lh_h2_settings,
    [LH_H2_PUSH_PROMISE] = &push_promise,
    [LH_H2_PING] = &ping,
    [LH_H2_GOAWAY] = &goaway,
    [LH_H2_WINDOW_UPDATE] = &lh_h2_window_update,
    [LH_H2_CONTINUATION] = &lh_h2_continuation,
    [LH_H2_PRIORITY_UPDATE] = &priority_update,
};

/* Frames of unknown types are skipped (RFC 9113, 4.1). */
static const struct lh_h2_handler *handler_of(uint8_t type)
{
    if (type < sizeof(handlers) / sizeof(handlers[0]) && handlers[type])
        return handlers[type];
    return &unknown;
}

/* --- octets to frames ----------------------------------------------------- */

/* A client that provokes answers and does not take them is not read from
 * meanwhile. */
bool lh_h2_may_read(const struct lh_h2 *c)
{
    return c->life != LH_H2_ENDED &&
           c->control.n < c->ctx->limits->h2_queued_reply_bytes;
}

/* Up to `want` octets of `small`; returns how many of p it took. */
static size_t collect_small(struct lh_h2 *c, const uint8_t *p, size_t n,
                            size_t want)
{
    size_t k = lh_min(want - c->small_n, n);

    memcpy(c->small + c->small_n, p, k);
    c->small_n += k;
    return k;
}

/* Compared as it comes, so that another protocol is found at its first wrong
 * octet. */
static size_t take_preface(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    size_t k = collect_small(c, p, n, LH_H2_PREFACE_BYTES);

    if (memcmp(c->small, LH_H2_PREFACE, c->small_n) != 0) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "no connection preface");
    } else if (c->small_n == LH_H2_PREFACE_BYTES) {
        c->small_n = 0;
        c->phase = LH_H2_AT_HEAD;
    }
    return k;
}

static void end_frame(struct lh_h2 *c)
{
    if (c->handler->end)
        c->handler->end(c);
    c->small_n = 0;
    c->phase = LH_H2_AT_HEAD;
}

/* The prefix of the frame is still in `small` while the handler's `begin`
 * runs. */
static void begin_content(struct lh_h2 *c)
{
    if (!lh_h2_unpad(&c->head, c->small, &c->content_left, &c->padding_left)) {
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "more padding than payload");
        return;
    }
    c->phase = LH_H2_AT_CONTENT;
    if (c->handler->begin)
        c->handler->begin(c);
    c->small_n = 0;
    if (c->life != LH_H2_ENDED && !c->content_left && !c->padding_left)
        end_frame(c);
}

/* Which frames may come now, whatever is in them. */
static bool in_order(struct lh_h2 *c)
{
    const struct lh_h2_head *h = &c->head;

    if (!c->settings_seen &&
        (h->type != LH_H2_SETTINGS || h->flags & LH_H2_FLAG_ACK))
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "a preface without SETTINGS");
    else if (c->block.stream &&
             (h->type != LH_H2_CONTINUATION || h->stream != c->block.stream))
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "a frame in a header block");
    else if (!c->block.stream && h->type == LH_H2_CONTINUATION)
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "CONTINUATION of nothing");
    else
        return true;
    return false;
}

/* What the head alone tells to be wrong is not waited for.  A wrong PRIORITY
 * is its stream's error alone, so the rest of the frame is skipped. */
static void begin_frame(struct lh_h2 *c)
{
    bool stream_only;

    lh_h2_head_get(&c->head, c->small);
    if (!in_order(c))
        return;
    enum lh_h2_error error =
        lh_h2_head_check(&c->head, LH_H2_FRAME_BYTES, &stream_only);
    c->handler = handler_of(c->head.type);
    c->small_n = 0;
    if (error != LH_H2_NO_ERROR) {
        if (!stream_only) {
            lh_h2_fail(c, error, lh_h2_type_name(c->head.type));
            return;
        }
        priority_error(c, error, lh_h2_type_name(c->head.type));
        c->handler = &skipped;
    }
    if (lh_h2_prefix_bytes(&c->head))
        c->phase = LH_H2_AT_PREFIX;
    else
        begin_content(c);
}

static size_t take_head(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    size_t k = collect_small(c, p, n, LH_H2_HEAD_BYTES);

    if (c->small_n == LH_H2_HEAD_BYTES)
        begin_frame(c);
    return k;
}

static size_t take_prefix(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    size_t want = lh_h2_prefix_bytes(&c->head),
           k = collect_small(c, p, n, want);

    if (c->small_n == want)
        begin_content(c);
    return k;
}

/* Of contents that are collected, what does not fit is dropped. */
static size_t take_content(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    size_t k = lh_min(c->content_left, n);

    c->content_left -= (uint32_t)k;
    if (c->handler->octets)
        c->handler->octets(c, p, k);
    else
        collect_small(c, p, k, sizeof(c->small));
    if (c->content_left == 0) {
        c->phase = LH_H2_AT_PADDING;
        if (c->padding_left == 0 && c->life != LH_H2_ENDED)
            end_frame(c);
    }
    return k;
}

static size_t take_padding(struct lh_h2 *c, size_t n)
{
    size_t k = lh_min(c->padding_left, n);

    c->padding_left -= (uint32_t)k;
    if (c->padding_left == 0)
        end_frame(c);
    return k;
}

static size_t read_some(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    switch (c->phase) {
    case LH_H2_AT_PREFACE:
        return take_preface(c, p, n);
    case LH_H2_AT_HEAD:
        return take_head(c, p, n);
    case LH_H2_AT_PREFIX:
        return take_prefix(c, p, n);
    case LH_H2_AT_CONTENT:
        if (c->content_left)
            return take_content(c, p, n);
        return take_padding(c, n);
    case LH_H2_AT_PADDING:
        return take_padding(c, n);
    }
    return n;
}

size_t lh_h2_read_frames(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    size_t used = 0;

    while (used < n && lh_h2_may_read(c))
        used += read_some(c, p + used, n - used);
    return used;
}
