/*
 * Priorities of requests that have not come yet (RFC 9218, 7.1): a client may
 * send PRIORITY_UPDATE for a stream before its HEADERS.
 */
#include "h2/h2_early.h"

#include "base/num.h"

struct lh_h2_early *lh_h2_early_of(const struct lh_h2 *c, uint32_t id)
{
    for (unsigned i = 0; i < c->early_n; i++) {
        if (c->early[i].stream == id)
            return &c->early[i];
    }
    return NULL;
}

/* A stream is idle no more once it or a later one was opened. */
static void forget_opened(struct lh_h2 *c)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < c->early_n; i++) {
        if (lh_h2_is_idle(c, c->early[i].stream))
            c->early[kept++] = c->early[i];
    }
    c->early_n = kept;
}

static unsigned active_requests(const struct lh_h2 *c)
{
    unsigned n = 0;

    for (const struct lh_list *l = c->all.next; l != &c->all; l = l->next) {
        const struct lh_h2_stream *s = LH_OF(l, struct lh_h2_stream, all);
        n += !s->pushed && s->state != LH_H2_CLOSED;
    }
    return n;
}

static bool make_early(struct lh_h2 *c)
{
    if (c->early)
        return true;
    c->early_room = (unsigned)lh_min64(c->told_streams, LH_H2_EARLY_MOST);
    c->early = lh_calloc(c->early_room, sizeof(*c->early));
    return c->early != NULL;
}

/* A place for a stream of which nothing was said yet; NULL: what is said is not
 * kept.  Such streams count as if they were open (RFC 9218, 7.1), for a client
 * that knows how many may be: as it was told, for h2_streams may be less now.
 */
static struct lh_h2_early *add_early(struct lh_h2 *c, uint32_t id)
{
    forget_opened(c);
    if (active_requests(c) + c->early_n >= c->told_streams) {
        if (c->settings_acked)
            lh_h2_fail(c, LH_H2_PROTOCOL_ERROR,
                       "priorities of more streams than may be open");
        return NULL;
    }
    if (!make_early(c) || c->early_n == c->early_room)
        return NULL;
    c->early[c->early_n].stream = id;
    return &c->early[c->early_n++];
}

void lh_h2_keep_early(struct lh_h2 *c, uint32_t id, struct lh_str value)
{
    struct lh_h2_early *e = lh_h2_early_of(c, id);

    if (!e)
        e = add_early(c, id);
    if (e)
        lh_h2_priority_parse(value, &e->urgency, &e->incremental);
}
