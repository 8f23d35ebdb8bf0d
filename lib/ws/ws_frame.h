/*
 * WebSocket frames (RFC 6455, 5): heads, masks, close codes.  A server's side:
 * what comes is masked, what is sent is not.  No memory, no I/O.
 */
#ifndef LH_WS_WS_FRAME_H
#define LH_WS_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 6455, 11.8. */
enum lh_ws_opcode {
    LH_WS_CONTINUATION = 0x0,
    LH_WS_TEXT = 0x1,
    LH_WS_BINARY = 0x2,
    LH_WS_CLOSE = 0x8,
    LH_WS_PING = 0x9,
    LH_WS_PONG = 0xa,
};

/* RFC 6455, 7.4.1. */
enum lh_ws_code {
    LH_WS_NORMAL = 1000,
    LH_WS_GOING_AWAY = 1001,
    LH_WS_PROTOCOL_ERROR = 1002,
    LH_WS_NO_CODE = 1005,  /* never sent: the close frame had none */
    LH_WS_ABNORMAL = 1006, /* never sent: there was no close frame */
    LH_WS_NOT_TEXT = 1007,
    LH_WS_TOO_LARGE = 1009,
    LH_WS_OUR_ERROR = 1011,
};

/* Octets of the longest head, as a client and as we send it. */
#define LH_WS_HEAD_BYTES     14
#define LH_WS_OUR_HEAD_BYTES 10

/* What a control frame may carry, and of that a close frame's reason. */
#define LH_WS_CONTROL_BYTES 125
#define LH_WS_REASON_BYTES  123

struct lh_ws_head {
    uint64_t length;
    uint8_t mask[4];
    uint8_t opcode;
    bool fin;
};

static inline bool lh_ws_is_control(uint8_t opcode)
{
    return opcode & 0x8;
}

/* From the first n octets of a client's frame, at most LH_WS_HEAD_BYTES of
 * them: how many its head has, 0 if these are not all of them yet, or -1 if no
 * frame begins so (*why tells); the earliest octet that is wrong decides. */
int lh_ws_head_get(struct lh_ws_head *head, const uint8_t *p, size_t n,
                   const char **why);

/* Writes the head of a frame of ours, which is whole (FIN); returns its octets.
 */
size_t lh_ws_head_put(uint8_t out[LH_WS_OUR_HEAD_BYTES], uint8_t opcode,
                      uint64_t length);

/* Copies n octets and takes the mask off; the first of them is the frame's
 * octet number `at`.  In place where out is p. */
void lh_ws_unmask(uint8_t *out, const uint8_t *p, size_t n,
                  const uint8_t mask[4], uint64_t at);

/* May a close frame have this code (RFC 6455, 7.4, and IANA's registry)? */
bool lh_ws_code_valid(unsigned code);

#endif
