/*
 * Who sends next: streams that have body to send and a window for it, by the
 * urgency of RFC 9218 (0 first, 7 last).  Among equals incremental ones take
 * turns frame by frame; one that is not incremental keeps its turn for a
 * megabyte.  So that nobody starves, each 16th turn is for the least urgent.
 */
#ifndef LH_H2_SEND_H
#define LH_H2_SEND_H

#include "h2/h2_stream.h"

#define LH_H2_URGENCIES  8
#define LH_H2_TURN_BYTES ((size_t)1 << 20)

struct lh_h2_send {
    struct lh_list levels[LH_H2_URGENCIES]; /* of lh_h2_stream.turn */
    unsigned waiting;                       /* a bit a level: not empty */
    unsigned turns;
};

void lh_h2_send_init(struct lh_h2_send *q);

static inline bool lh_h2_send_empty(const struct lh_h2_send *q)
{
    return q->waiting == 0;
}

/* Behind its equals; a stream that waits already keeps its place. */
void lh_h2_send_join(struct lh_h2_send *q, struct lh_h2_stream *s);
/* Allowed when it does not wait. */
void lh_h2_send_leave(struct lh_h2_send *q, struct lh_h2_stream *s);

/* Whose turn it is; NULL: nobody waits.  It stays where it is. */
struct lh_h2_stream *lh_h2_send_next(struct lh_h2_send *q);

/* It has sent n octets: behind its equals, if its turn is over. */
void lh_h2_send_served(struct lh_h2_send *q, struct lh_h2_stream *s, size_t n);

/* A priority field's value (RFC 9218, 4): "u=0..7" and "i"; what is missing,
 * unknown or wrong leaves the defaults, 3 and false. */
void lh_h2_priority_parse(struct lh_str value, uint8_t *urgency,
                          bool *incremental);

#endif
