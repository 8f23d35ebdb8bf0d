/* WebSocket frames: see ws_frame.h.  Numbers in brackets are sections of RFC
 * 6455. */
#include "ws/ws_frame.h"

#include <string.h>

/* The first octet of a head and the second (5.2). */
#define FIN      0x80
#define RESERVED 0x70
#define OPCODE   0x0f
#define MASKED   0x80
#define LENGTH   0x7f

/* Lengths that say how long the length is. */
#define LENGTH_16 126
#define LENGTH_64 127

/* No extension is ever agreed on, so the reserved bits mean nothing. */
static const char *first_fault(uint8_t c)
{
    uint8_t opcode = c & OPCODE;

    if (c & RESERVED)
        return "a reserved bit is set";
    /* 3 to 7 and 11 to 15 stand for frames that nobody has defined. */
    if (opcode > LH_WS_PONG || (opcode > LH_WS_BINARY && opcode < LH_WS_CLOSE))
        return "an unknown opcode";
    if (lh_ws_is_control(opcode) && !(c & FIN))
        return "a control frame in fragments";
    return NULL;
}

/* A client masks all that it sends, so that a page cannot have it send octets
 * which a proxy takes for a request (5.1, 10.3). */
static const char *second_fault(uint8_t first, uint8_t c)
{
    if (!(c & MASKED))
        return "a frame without a mask";
    if (lh_ws_is_control(first & OPCODE) && (c & LENGTH) > LH_WS_CONTROL_BYTES)
        return "a control frame of more than 125 octets";
    return NULL;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

/* The length is as short as it can be said, and has 63 bits (5.2). */
static const char *length_fault(uint64_t length, size_t octets)
{
    if (octets == 8 && length >> 63)
        return "a length of more than 63 bits";
    if ((octets == 2 && length < LENGTH_16) ||
        (octets == 8 && length <= UINT16_MAX))
        return "a length that is not said in the shortest way";
    return NULL;
}

static int fault(const char **why, const char *words)
{
    *why = words;
    return -1;
}

int lh_ws_head_get(struct lh_ws_head *head, const uint8_t *p, size_t n,
                   const char **why)
{
    const char *words = n > 0 ? first_fault(p[0]) : NULL;

    if (words)
        return fault(why, words);
    if (n < 2)
        return 0;
    words = second_fault(p[0], p[1]);
    if (words)
        return fault(why, words);
    uint8_t brief = p[1] & LENGTH;
    size_t more = brief == LENGTH_16 ? 2 : brief == LENGTH_64 ? 8 : 0;
    if (n < 2 + more)
        return 0;
    head->length = more ? big_endian(p + 2, more) : brief;
    words = length_fault(head->length, more);
    if (words)
        return fault(why, words);
    if (n < 2 + more + sizeof(head->mask))
        return 0;
    head->opcode = p[0] & OPCODE;
    head->fin = p[0] & FIN;
    memcpy(head->mask, p + 2 + more, sizeof(head->mask));
    return (int)(2 + more + sizeof(head->mask));
}

size_t lh_ws_head_put(uint8_t out[LH_WS_OUR_HEAD_BYTES], uint8_t opcode,
                      uint64_t length)
{
    size_t more = length < LENGTH_16 ? 0 : length <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)(FIN | opcode);
    out[1] = more == 0 ? (uint8_t)length : more == 2 ? LENGTH_16 : LENGTH_64;
    for (size_t i = 0; i < more; i++)
        out[2 + i] = (uint8_t)(length >> 8 * (more - 1 - i));
    return 2 + more;
}

/* Octet number i of a payload has octet i mod 4 of the mask (5.3), and p begins
 * with number `at`.  A word at a time, whatever the order of its octets: the
 * mask is laid out as they are. */
void lh_ws_unmask(uint8_t *out, const uint8_t *p, size_t n,
                  const uint8_t mask[4], uint64_t at)
{
    uint8_t turned[8];
    uint64_t pattern, word;
    size_t i = 0;

    for (size_t k = 0; k < sizeof(turned); k++)
        turned[k] = mask[(at + k) & 3];
    memcpy(&pattern, turned, sizeof(pattern));
    for (; n - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        word ^= pattern;
        memcpy(out + i, &word, sizeof(word));
    }
    for (; i < n; i++)
        out[i] = p[i] ^ turned[i & 7];
}

/* 1004 to 1006 and 1015 are for what no frame says (7.4.1); 1012 to 1014 were
 * registered later; libraries and programs have their own from 3000 on (7.4.2).
 */
bool lh_ws_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
