/*
 * From a client's octets to its messages (RFC 6455, 5 to 8).  Frames and
 * fragments are put together, unmasked, and text is checked as it comes.
 * Messages wait in a queue until they are taken, whole or in pieces; the last
 * of them may still be coming.  No I/O, no clock.
 */
#ifndef LH_WS_WS_READER_H
#define LH_WS_WS_READER_H

#include "base/str.h"
#include "base/utf8.h"
#include "ws/ws_frame.h"

/* What was found; `used` tells up to where. */
enum lh_ws_event {
    LH_WS_MORE,   /* all of the input was used */
    LH_WS_FULL,   /* the queue holds enough: a further octet of data waits */
    LH_WS_PINGED, /* a ping; `control` is what its pong has to carry; it may be
                     taken, NULL left in its place */
    LH_WS_PONGED, /* a pong */
    LH_WS_CLOSED, /* a close frame: see `code` and `control` */
    LH_WS_FAULTY, /* the client has broken a rule: see `code` and `why` */
};

/* A message, or as much of it as has come. */
struct lh_ws_message {
    struct lh_ws_message *next;
    uint8_t *p;
    size_t at, n, room; /* p[at] to p[n - 1] wait */
    bool text, whole;
};

/* All zeroes before the first octet. */
struct lh_ws_reader {
    struct lh_ws_message *first, *last;
    size_t
        held; /* octets that wait, and LH_WS_MESSAGE_BYTES for each message */

    uint8_t small[LH_WS_HEAD_BYTES]; /* of a head that is not whole */
    uint8_t small_n;
    uint8_t control_n;
    bool in_frame; /* the head is whole, `left` octets of its frame are not */
    bool open;     /* fragments of the last message are still to come */
    bool over;     /* CLOSED or FAULTY was told: what comes is dropped */
    struct lh_utf8 utf8;
    uint16_t code; /* of the close: LH_WS_NO_CODE where it had none */
    struct lh_ws_head head;
    uint64_t left;
    uint8_t *control; /* what the last control frame carried, control_n octets;
                         a close frame's: its reason */
    const char *why;
};

/* What a message counts besides its octets. */
#define LH_WS_MESSAGE_BYTES 64

/*
 * Reads until the first event.  Data is taken while less than `most` octets are
 * held; control frames behind data that waits come after it.  `limit` is how
 * many octets a message may have, not counting those of it that were taken:
 * more is a fault as soon as a frame's head announces it.
 */
enum lh_ws_event lh_ws_read(struct lh_ws_reader *r, const uint8_t *p, size_t n,
                            size_t most, size_t limit, size_t *used);

/* Takes n octets of the first message's, which goes once it is whole and all of
 * it was taken. */
void lh_ws_take(struct lh_ws_reader *r, size_t n);

/* Drops what waits. */
void lh_ws_reader_deinit(struct lh_ws_reader *r);

#endif
