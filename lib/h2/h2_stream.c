/* One HTTP/2 stream: see h2_stream.h. */
#include "h2/h2_stream.h"

#include "base/trace.h"

#include <assert.h>

void lh_h2_stream_init(struct lh_h2_stream *s, uint32_t id)
{
    *s = (struct lh_h2_stream){
        .id = id,
        .state = LH_H2_IDLE,
        .urgency = 3,
        .body_due = LH_NEVER,
        .waits_since = LH_NEVER,
        .shut_due = LH_NEVER,
        .discard_due = LH_NEVER,
    };
    lh_list_init(&s->all);
    lh_list_init(&s->changed);
    lh_list_init(&s->turn);
}

/* --- the state machine ---------------------------------------------------- */

#define TO(state) (1u << (state))

/* RFC 9113, figure 2, as far as a server goes it: a bit for each state that
 * may follow. */
static const unsigned legal[] = {
    [LH_H2_IDLE] = TO(LH_H2_OPEN) | TO(LH_H2_RESERVED),
    [LH_H2_RESERVED] = TO(LH_H2_HALF_REMOTE) | TO(LH_H2_CLOSED),
    [LH_H2_OPEN] =
        TO(LH_H2_HALF_LOCAL) | TO(LH_H2_HALF_REMOTE) | TO(LH_H2_CLOSED),
    [LH_H2_HALF_LOCAL] = TO(LH_H2_CLOSED),
    [LH_H2_HALF_REMOTE] = TO(LH_H2_CLOSED),
    [LH_H2_CLOSED] = 0,
};

/* For traces, which a release does not have. */
static const char *const state_names[] = {
    [LH_H2_IDLE] = "IDLE",
    [LH_H2_RESERVED] = "RESERVED",
    [LH_H2_OPEN] = "OPEN",
    [LH_H2_HALF_LOCAL] = "HALF_LOCAL",
    [LH_H2_HALF_REMOTE] = "HALF_REMOTE",
    [LH_H2_CLOSED] = "CLOSED",
};

bool lh_h2_stream_may(enum lh_h2_state from, enum lh_h2_state to)
{
    return legal[from] & TO(to);
}

void lh_h2_stream_set(struct lh_h2_stream *s, enum lh_h2_state to)
{
    assert(lh_h2_stream_may(s->state, to));
    if (s->ex)
        lh_trace(s->ex->ctx, s->ex->peer->number, "h2", s->id,
                 state_names[s->state], state_names[to]);
    s->state = to;
}

/* --- which streams there are ---------------------------------------------- */

/* Odd numbers are the client's, even ones ours: half of each bucket's distance
 * is in the lowest bit. */
static unsigned bucket_of(uint32_t id)
{
    return (id >> 1) % LH_H2_BUCKETS;
}

void lh_h2_streams_add(struct lh_h2_streams *t, struct lh_h2_stream *s)
{
    struct lh_h2_stream **bucket = &t->buckets[bucket_of(s->id)];

    s->chain = *bucket;
    *bucket = s;
}

struct lh_h2_stream *lh_h2_streams_find(const struct lh_h2_streams *t,
                                        uint32_t id)
{
    struct lh_h2_stream *s = t->buckets[bucket_of(id)];

    while (s && s->id != id)
        s = s->chain;
    return s;
}

void lh_h2_streams_remove(struct lh_h2_streams *t, struct lh_h2_stream *s)
{
    struct lh_h2_stream **at = &t->buckets[bucket_of(s->id)];

    while (*at != s)
        at = &(*at)->chain;
    *at = s->chain;
    s->chain = NULL;
}

/* The oldest is forgotten; a frame on a stream that is not remembered is
 * taken for a connection error, where RFC 9113, 5.1 allows it. */
void lh_h2_streams_remember(struct lh_h2_streams *t, uint32_t id,
                            enum lh_h2_past past)
{
    t->past_ids[t->past_next] = id;
    t->pasts[t->past_next] = (uint8_t)past;
    t->past_next = (t->past_next + 1) % LH_H2_PASTS;
}

enum lh_h2_past lh_h2_streams_past(const struct lh_h2_streams *t, uint32_t id)
{
    /* From the newest, since a stream may be there twice (its late frames
     * change what further ones are worth). */
    for (unsigned i = 1; i <= LH_H2_PASTS; i++) {
        unsigned at = (t->past_next + LH_H2_PASTS - i) % LH_H2_PASTS;
        if (t->past_ids[at] == id)
            return (enum lh_h2_past)t->pasts[at];
    }
    return LH_H2_PAST_UNKNOWN;
}
