/*
 * Frames of HTTP/2 as octets (RFC 9113, 4 and 6; RFC 9218, 7): a pure codec
 * that knows no connection.  A frame is
 *
 *      length 24 | type 8 | flags 8 | reserved 1, stream 31 | payload
 */
#ifndef LH_H2_FRAME_H
#define LH_H2_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_H2_PREFACE       "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define LH_H2_PREFACE_BYTES 24

#define LH_H2_HEAD_BYTES 9
#define LH_H2_FRAME_BYTES                                                      \
    16384 /* the smallest and usual SETTINGS_MAX_FRAME_SIZE */
#define LH_H2_WINDOW_BYTES 65535 /* of each stream and connection at first */
#define LH_H2_WINDOW_MAX   0x7fffffff
#define LH_H2_STREAM_MAX   0x7fffffff

enum lh_h2_type {
    LH_H2_DATA = 0,
    LH_H2_HEADERS = 1,
    LH_H2_PRIORITY = 2,
    LH_H2_RST_STREAM = 3,
    LH_H2_SETTINGS = 4,
    LH_H2_PUSH_PROMISE = 5,
    LH_H2_PING = 6,
    LH_H2_GOAWAY = 7,
    LH_H2_WINDOW_UPDATE = 8,
    LH_H2_CONTINUATION = 9,
    LH_H2_PRIORITY_UPDATE = 16,
};

enum {
    LH_H2_FLAG_ACK = 0x1,        /* SETTINGS, PING */
    LH_H2_FLAG_END_STREAM = 0x1, /* DATA, HEADERS */
    LH_H2_FLAG_END_HEADERS = 0x4,
    LH_H2_FLAG_PADDED = 0x8,
    LH_H2_FLAG_PRIORITY = 0x20,
};

enum lh_h2_error {
    LH_H2_NO_ERROR = 0x0,
    LH_H2_PROTOCOL_ERROR = 0x1,
    LH_H2_INTERNAL_ERROR = 0x2,
    LH_H2_FLOW_CONTROL_ERROR = 0x3,
    LH_H2_SETTINGS_TIMEOUT = 0x4,
    LH_H2_STREAM_CLOSED = 0x5,
    LH_H2_FRAME_SIZE_ERROR = 0x6,
    LH_H2_REFUSED_STREAM = 0x7,
    LH_H2_CANCEL = 0x8,
    LH_H2_COMPRESSION_ERROR = 0x9,
    LH_H2_CONNECT_ERROR = 0xa,
    LH_H2_ENHANCE_YOUR_CALM = 0xb,
    LH_H2_INADEQUATE_SECURITY = 0xc,
    LH_H2_HTTP_1_1_REQUIRED = 0xd,
};

enum {
    LH_H2_SET_HEADER_TABLE_SIZE = 0x1,
    LH_H2_SET_ENABLE_PUSH = 0x2,
    LH_H2_SET_MAX_CONCURRENT_STREAMS = 0x3,
    LH_H2_SET_INITIAL_WINDOW_SIZE = 0x4,
    LH_H2_SET_MAX_FRAME_SIZE = 0x5,
    LH_H2_SET_MAX_HEADER_LIST_SIZE = 0x6,
    LH_H2_SET_ENABLE_CONNECT_PROTOCOL = 0x8, /* RFC 8441, 3 */
    LH_H2_SET_NO_RFC7540_PRIORITIES = 0x9,
};

struct lh_h2_head {
    uint32_t length;
    uint8_t type; /* enum lh_h2_type, or one that is unknown */
    uint8_t flags;
    uint32_t stream;
};

struct lh_h2_setting {
    uint16_t id;
    uint32_t value;
};

uint32_t lh_h2_u32(const uint8_t *p);
void lh_h2_put_u32(uint8_t *out, uint32_t value);

void lh_h2_head_get(struct lh_h2_head *h, const uint8_t p[LH_H2_HEAD_BYTES]);
void lh_h2_head_put(uint8_t out[LH_H2_HEAD_BYTES], const struct lh_h2_head *h);

/* What the head alone tells to be wrong: the frame is longer than `max`, the
 * length is not one of its type, it is (not) about a stream.  *stream_only:
 * the error is the stream's, not the connection's. */
enum lh_h2_error lh_h2_head_check(const struct lh_h2_head *h, uint32_t max,
                                  bool *stream_only);

/* How many octets stand in front of the content of DATA and HEADERS: the pad
 * length and the old priority.  Their payload has them (lh_h2_head_check). */
size_t lh_h2_prefix_bytes(const struct lh_h2_head *h);

/* The content's and the padding's length; false: the padding is too long
 * (RFC 9113, 6.1).  `prefix` are the octets of lh_h2_prefix_bytes(). */
bool lh_h2_unpad(const struct lh_h2_head *h, const uint8_t *prefix,
                 uint32_t *content, uint32_t *padding);

void lh_h2_setting_get(struct lh_h2_setting *s, const uint8_t p[6]);

/* Whole frames; each returns its length. */
#define LH_H2_RST_BYTES    (LH_H2_HEAD_BYTES + 4)
#define LH_H2_UPDATE_BYTES (LH_H2_HEAD_BYTES + 4)
#define LH_H2_PING_BYTES   (LH_H2_HEAD_BYTES + 8)
#define LH_H2_GOAWAY_BYTES (LH_H2_HEAD_BYTES + 8)

size_t lh_h2_put_rst(uint8_t out[LH_H2_RST_BYTES], uint32_t stream,
                     enum lh_h2_error code);
size_t lh_h2_put_update(uint8_t out[LH_H2_UPDATE_BYTES], uint32_t stream,
                        uint32_t increment);
size_t lh_h2_put_ping(uint8_t out[LH_H2_PING_BYTES], uint8_t flags,
                      const uint8_t opaque[8]);
size_t lh_h2_put_goaway(uint8_t out[LH_H2_GOAWAY_BYTES], uint32_t last,
                        enum lh_h2_error code);
/* `out` has room for LH_H2_HEAD_BYTES + 6 * n; n 0 with ack. */
size_t lh_h2_put_settings(uint8_t *out, const struct lh_h2_setting *s, size_t n,
                          bool ack);

/* "FLOW_CONTROL_ERROR", "PING"; for log and traces. */
const char *lh_h2_error_name(uint32_t code);
const char *lh_h2_type_name(uint8_t type);

#endif
