/*
 * One HTTP/2 stream: its state (RFC 9113, 5.1), its windows, what it waits for,
 * and the tables a connection finds it in.  Rules of frames are the
 * connection's; this knows none.
 */
#ifndef LH_H2_STREAM_H
#define LH_H2_STREAM_H

#include "base/num.h"
#include "http/exchange.h"

/* RFC 9113, 5.1, from a server's view.  A stream is made when its first HEADERS
 * or PUSH_PROMISE is met, so idle is only a moment; a client cannot promise, so
 * "reserved (remote)" does not exist. */
enum lh_h2_state {
    LH_H2_IDLE,
    LH_H2_RESERVED,    /* reserved (local): promised, no HEADERS yet */
    LH_H2_OPEN,        /* both sides send */
    LH_H2_HALF_LOCAL,  /* our side has ended, the client's has not */
    LH_H2_HALF_REMOTE, /* the client's side has ended */
    LH_H2_CLOSED,
};

/* What a closed stream's late frames are worth (RFC 9113, 5.1, "closed"). */
enum lh_h2_past {
    LH_H2_PAST_UNKNOWN,   /* never opened, or closed long ago */
    LH_H2_PAST_ENDED,     /* both sides ended */
    LH_H2_PAST_RESET,     /* by us: what was under way is ignored */
    LH_H2_PAST_CANCELLED, /* by the client */
};

struct lh_h2;

struct lh_h2_stream {
    struct lh_h2 *conn;
    uint32_t id;
    enum lh_h2_state state;
    struct lh_h2_stream *chain; /* the next in its bucket */
    struct lh_list all;         /* of the connection's streams */
    struct lh_list changed;     /* something may have changed */
    struct lh_list turn;        /* waits to send, or to be told that it has */
    struct lh_exchange *ex;

    int64_t send_window; /* negative after a lower SETTINGS value */
    int64_t recv_window; /* what the client may still send */
    uint32_t recv_size;  /* the window's full size; it grows */
    uint8_t urgency;     /* RFC 9218 */
    bool incremental;
    bool slow;           /* the client did not take what it was sent */
    size_t held;         /* octets received that the handler has not read */
    uint64_t received;   /* octets of body */
    size_t header_bytes; /* what of its decoded sections counts, see h2_block */

    uint64_t served_bytes; /* octets of body that left in DATA frames */

    size_t turn_bytes; /* sent since it was put behind its equals */

    bool pushed;
    bool waits;            /* the request is whole, and not begun yet */
    bool served;           /* it was handed to its handler, */
    bool runs;             /* ... which has not ended */
    bool refused;          /* ... but by us: its answer earns nothing */
    bool whole;            /* the last octet of the response was pulled */
    bool expects_continue; /* expect: 100-continue, not answered yet */
    bool discards;         /* nobody reads the rest of the body */
    size_t discard_left;

    /* Times, LH_NEVER or when something is too late. */
    uint64_t body_due;    /* the handler waits for the body */
    uint64_t waits_since; /* ... since then; LH_NEVER: it does not */
    uint64_t waited_ms;   /* ... and before, of this period */
    uint64_t period_bytes;
    uint64_t shut_due;  /* the client keeps the window shut */
    uint64_t shut_from; /* ... served_bytes when that began, */
    uint64_t shut_at;   /* ... and the connection's */
    uint64_t discard_due;
};

/* Idle; the windows are to be set. */
void lh_h2_stream_init(struct lh_h2_stream *s, uint32_t id);

/* The one place where a state changes; asserts that the move is legal. */
void lh_h2_stream_set(struct lh_h2_stream *s, enum lh_h2_state to);
bool lh_h2_stream_may(enum lh_h2_state from, enum lh_h2_state to);

/* May the client still send HEADERS and DATA? */
static inline bool lh_h2_stream_receives(const struct lh_h2_stream *s)
{
    return s->state == LH_H2_OPEN || s->state == LH_H2_HALF_LOCAL;
}

/* May we? */
static inline bool lh_h2_stream_sends(const struct lh_h2_stream *s)
{
    return s->state == LH_H2_OPEN || s->state == LH_H2_HALF_REMOTE ||
           s->state == LH_H2_RESERVED;
}

/* The earliest of its times. */
static inline uint64_t lh_h2_stream_due(const struct lh_h2_stream *s)
{
    return lh_min64(s->body_due, lh_min64(s->shut_due, s->discard_due));
}

/* --- which streams there are ---------------------------------------------- */

#define LH_H2_BUCKETS 16
/* As many as there are streams by default: all may be reset at once, and what
 * was under way for each is no error. */
#define LH_H2_PASTS 128

struct lh_h2_streams {
    struct lh_h2_stream *buckets[LH_H2_BUCKETS]; /* all but closed ones */
    uint32_t past_ids[LH_H2_PASTS]; /* a ring of those closed last */
    uint8_t pasts[LH_H2_PASTS];
    unsigned past_next;
};

void lh_h2_streams_add(struct lh_h2_streams *t, struct lh_h2_stream *s);
struct lh_h2_stream *lh_h2_streams_find(const struct lh_h2_streams *t,
                                        uint32_t id);
void lh_h2_streams_remove(struct lh_h2_streams *t, struct lh_h2_stream *s);

void lh_h2_streams_remember(struct lh_h2_streams *t, uint32_t id,
                            enum lh_h2_past past);
enum lh_h2_past lh_h2_streams_past(const struct lh_h2_streams *t, uint32_t id);

#endif
