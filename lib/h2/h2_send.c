/* Who sends next: see h2_send.h. */
#include "h2/h2_send.h"

#define TURNS_UNTIL_THE_LAST 16

void lh_h2_send_init(struct lh_h2_send *q)
{
    q->waiting = 0;
    q->turns = 0;
    for (unsigned i = 0; i < LH_H2_URGENCIES; i++)
        lh_list_init(&q->levels[i]);
}

/* Its turn begins anew, at the end of its level. */
void lh_h2_send_join(struct lh_h2_send *q, struct lh_h2_stream *s)
{
    if (lh_list_linked(&s->turn))
        return;
    s->turn_bytes = 0;
    lh_list_append(&q->levels[s->urgency], &s->turn);
    q->waiting |= 1u << s->urgency;
}

void lh_h2_send_leave(struct lh_h2_send *q, struct lh_h2_stream *s)
{
    lh_list_remove(&s->turn);
    if (lh_list_empty(&q->levels[s->urgency]))
        q->waiting &= ~(1u << s->urgency);
}

/* There is one: a bit of `waiting` is set. */
static unsigned first_level(const struct lh_h2_send *q)
{
    unsigned level = 0;

    while (!(q->waiting >> level & 1))
        level++;
    return level;
}

static unsigned last_level(const struct lh_h2_send *q)
{
    unsigned level = LH_H2_URGENCIES - 1;

    while (!(q->waiting >> level & 1))
        level--;
    return level;
}

struct lh_h2_stream *lh_h2_send_next(struct lh_h2_send *q)
{
    if (!q->waiting)
        return NULL;
    unsigned level =
        ++q->turns % TURNS_UNTIL_THE_LAST ? first_level(q) : last_level(q);
    return LH_OF(q->levels[level].next, struct lh_h2_stream, turn);
}

/* An incremental stream gives its place away after each frame, another one
 * after a megabyte. */
void lh_h2_send_served(struct lh_h2_send *q, struct lh_h2_stream *s, size_t n)
{
    s->turn_bytes += n;
    if (!s->incremental && s->turn_bytes < LH_H2_TURN_BYTES)
        return;
    lh_h2_send_leave(q, s);
    lh_h2_send_join(q, s);
}

/* --- the priority field, a dictionary of RFC 8941 ------------------------- */

static bool token_is(struct lh_str s, const char *literal)
{
    return lh_str_equal(s, lh_str_of(literal));
}

/* One member, its parameters taken off. */
static void parse_member(struct lh_str m, uint8_t *urgency, bool *incremental)
{
    const char *semicolon = memchr(m.p, ';', m.n);

    if (semicolon)
        m.n = (size_t)(semicolon - m.p);
    m = lh_str_trim(m);
    if (m.n == 3 && m.p[0] == 'u' && m.p[1] == '=' && m.p[2] >= '0' &&
        m.p[2] <= '7')
        *urgency = (uint8_t)(m.p[2] - '0');
    else if (token_is(m, "i") || token_is(m, "i=?1"))
        *incremental = true;
    else if (token_is(m, "i=?0"))
        *incremental = false;
}

/* Unknown members are ignored, malformed ones leave the default (RFC 9218,
 * 4). */
void lh_h2_priority_parse(struct lh_str value, uint8_t *urgency,
                          bool *incremental)
{
    struct lh_str member;

    *urgency = 3;
    *incremental = false;
    while (lh_str_next_element(&value, &member))
        parse_member(member, urgency, incremental);
}
