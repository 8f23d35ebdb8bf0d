/*
 * Frames of HTTP/2 as octets: see h2_frame.h.  Numbers are big-endian; the
 * reserved bit of a stream's number is ignored when it is read and zero when
 * it is written (RFC 9113, 4.1).
 */
#include "h2/h2_frame.h"

#include <string.h>

uint32_t lh_h2_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

void lh_h2_put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

void lh_h2_head_get(struct lh_h2_head *h, const uint8_t p[LH_H2_HEAD_BYTES])
{
    h->length = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    h->type = p[3];
    h->flags = p[4];
    h->stream = lh_h2_u32(p + 5) & LH_H2_STREAM_MAX;
}

void lh_h2_head_put(uint8_t out[LH_H2_HEAD_BYTES], const struct lh_h2_head *h)
{
    out[0] = (uint8_t)(h->length >> 16);
    out[1] = (uint8_t)(h->length >> 8);
    out[2] = (uint8_t)h->length;
    out[3] = h->type;
    out[4] = h->flags;
    lh_h2_put_u32(out + 5, h->stream);
}

/* What each type's head must be like. */
enum about { ABOUT_STREAM, ABOUT_CONNECTION, ABOUT_EITHER };

struct rule {
    enum about about;
    uint32_t least, most; /* of the payload */
    bool stream_only;     /* is a wrong length the stream's error alone? */
    const char *name;
};

#define ANY UINT32_MAX

static const struct rule rules[] = {
    [LH_H2_DATA] = {ABOUT_STREAM, 0, ANY, false, "DATA"},
    [LH_H2_HEADERS] = {ABOUT_STREAM, 0, ANY, false, "HEADERS"},
    [LH_H2_PRIORITY] = {ABOUT_STREAM, 5, 5, true, "PRIORITY"},
    [LH_H2_RST_STREAM] = {ABOUT_STREAM, 4, 4, false, "RST_STREAM"},
    [LH_H2_SETTINGS] = {ABOUT_CONNECTION, 0, ANY, false, "SETTINGS"},
    [LH_H2_PUSH_PROMISE] = {ABOUT_STREAM, 4, ANY, false, "PUSH_PROMISE"},
    [LH_H2_PING] = {ABOUT_CONNECTION, 8, 8, false, "PING"},
    [LH_H2_GOAWAY] = {ABOUT_CONNECTION, 8, ANY, false, "GOAWAY"},
    [LH_H2_WINDOW_UPDATE] = {ABOUT_EITHER, 4, 4, false, "WINDOW_UPDATE"},
    [LH_H2_CONTINUATION] = {ABOUT_STREAM, 0, ANY, false, "CONTINUATION"},
    [LH_H2_PRIORITY_UPDATE] = {ABOUT_CONNECTION, 4, ANY, false,
                               "PRIORITY_UPDATE"},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

static const struct rule *rule_of(uint8_t type)
{
    return type < RULES && rules[type].name ? &rules[type] : NULL;
}

static bool settings_length_valid(const struct lh_h2_head *h)
{
    return h->flags & LH_H2_FLAG_ACK ? h->length == 0 : h->length % 6 == 0;
}

/* In the order of RFC 9113, 4.2 and 6: too long for us, about the wrong
 * thing, a length that the type does not have. */
enum lh_h2_error lh_h2_head_check(const struct lh_h2_head *h, uint32_t max,
                                  bool *stream_only)
{
    const struct rule *rule = rule_of(h->type);

    *stream_only = false;
    if (h->length > max)
        return LH_H2_FRAME_SIZE_ERROR;
    if (!rule)
        return LH_H2_NO_ERROR;
    if ((rule->about == ABOUT_STREAM && h->stream == 0) ||
        (rule->about == ABOUT_CONNECTION && h->stream != 0))
        return LH_H2_PROTOCOL_ERROR;
    if (h->length < rule->least || h->length > rule->most) {
        *stream_only = rule->stream_only;
        return LH_H2_FRAME_SIZE_ERROR;
    }
    if (h->length < lh_h2_prefix_bytes(h))
        return LH_H2_FRAME_SIZE_ERROR;
    if (h->type == LH_H2_SETTINGS && !settings_length_valid(h))
        return LH_H2_FRAME_SIZE_ERROR;
    return LH_H2_NO_ERROR;
}

/* Only DATA and HEADERS can be padded, apart from PUSH_PROMISE, which a
 * server does not get. */
size_t lh_h2_prefix_bytes(const struct lh_h2_head *h)
{
    size_t n = 0;

    if (h->type != LH_H2_DATA && h->type != LH_H2_HEADERS)
        return 0;
    if (h->flags & LH_H2_FLAG_PADDED)
        n = 1;
    if (h->type == LH_H2_HEADERS && h->flags & LH_H2_FLAG_PRIORITY)
        n += 5;
    return n;
}

/* Padding that is as long as the payload or longer is an error of the
 * connection (RFC 9113, 6.1). */
bool lh_h2_unpad(const struct lh_h2_head *h, const uint8_t *prefix,
                 uint32_t *content, uint32_t *padding)
{
    uint32_t rest = h->length - (uint32_t)lh_h2_prefix_bytes(h);

    *padding = 0;
    if (h->type <= LH_H2_HEADERS && h->flags & LH_H2_FLAG_PADDED)
        *padding = prefix[0];
    *content = rest - *padding;
    return *padding <= rest;
}

void lh_h2_setting_get(struct lh_h2_setting *s, const uint8_t p[6])
{
    s->id = (uint16_t)(p[0] << 8 | p[1]);
    s->value = lh_h2_u32(p + 2);
}

/* The payload was written behind the head's place before. */
static size_t write_frame(uint8_t *out, size_t length, enum lh_h2_type type,
                          uint8_t flags, uint32_t stream)
{
    struct lh_h2_head h = {(uint32_t)length, (uint8_t)type, flags, stream};

    lh_h2_head_put(out, &h);
    return LH_H2_HEAD_BYTES + length;
}

size_t lh_h2_put_rst(uint8_t out[LH_H2_RST_BYTES], uint32_t stream,
                     enum lh_h2_error code)
{
    lh_h2_put_u32(out + LH_H2_HEAD_BYTES, code);
    return write_frame(out, 4, LH_H2_RST_STREAM, 0, stream);
}

size_t lh_h2_put_update(uint8_t out[LH_H2_UPDATE_BYTES], uint32_t stream,
                        uint32_t increment)
{
    lh_h2_put_u32(out + LH_H2_HEAD_BYTES, increment);
    return write_frame(out, 4, LH_H2_WINDOW_UPDATE, 0, stream);
}

size_t lh_h2_put_ping(uint8_t out[LH_H2_PING_BYTES], uint8_t flags,
                      const uint8_t opaque[8])
{
    memcpy(out + LH_H2_HEAD_BYTES, opaque, 8);
    return write_frame(out, 8, LH_H2_PING, flags, 0);
}

size_t lh_h2_put_goaway(uint8_t out[LH_H2_GOAWAY_BYTES], uint32_t last,
                        enum lh_h2_error code)
{
    lh_h2_put_u32(out + LH_H2_HEAD_BYTES, last);
    lh_h2_put_u32(out + LH_H2_HEAD_BYTES + 4, code);
    return write_frame(out, 8, LH_H2_GOAWAY, 0, 0);
}

size_t lh_h2_put_settings(uint8_t *out, const struct lh_h2_setting *s, size_t n,
                          bool ack)
{
    uint8_t *at = out + LH_H2_HEAD_BYTES;

    for (size_t i = 0; i < n; i++, at += 6) {
        at[0] = (uint8_t)(s[i].id >> 8);
        at[1] = (uint8_t)s[i].id;
        lh_h2_put_u32(at + 2, s[i].value);
    }
    return write_frame(out, 6 * n, LH_H2_SETTINGS, ack ? LH_H2_FLAG_ACK : 0, 0);
}

const char *lh_h2_error_name(uint32_t code)
{
    static const char *const names[] = {
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    };

    return code < sizeof(names) / sizeof(names[0]) ? names[code] : "unknown";
}

const char *lh_h2_type_name(uint8_t type)
{
    const struct rule *rule = rule_of(type);

    return rule ? rule->name : "unknown";
}
