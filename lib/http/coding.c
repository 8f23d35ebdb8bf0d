/* Content codings by accept-encoding: see coding.h. */
#include "http/coding.h"

/* Not named; weights go up to 1000. */
#define UNSAID UINT16_MAX

static const struct lh_str names[LH_CODINGS] = {
    [LH_CODING_BR] = {"br", 2},
    [LH_CODING_GZIP] = {"gzip", 4},
    [LH_CODING_IDENTITY] = {"identity", 8},
};

/* "0.123" in thousandths (RFC 9110, 12.4.2); what is none is 0, for nothing is
 * sent that the client may not want. */
static uint16_t parse_q(struct lh_str s)
{
    unsigned value = 0, scale = 100;

    if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1'))
        return 0;
    value = s.p[0] == '1' ? 1000 : 0;
    if (s.n > 1 && s.p[1] != '.')
        return 0;
    for (size_t i = 2; i < s.n; i++, scale /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return 0;
        value += (unsigned)(s.p[i] - '0') * scale;
    }
    return value > 1000 ? 0 : (uint16_t)value;
}

/* "gzip;q=0.5": takes the weight off. */
static uint16_t take_weight(struct lh_str *element)
{
    const char *semicolon = memchr(element->p, ';', element->n);

    if (!semicolon)
        return 1000;
    size_t n = (size_t)(semicolon - element->p);
    struct lh_str weight =
        lh_str_trim((struct lh_str){semicolon + 1, element->n - n - 1});
    *element = lh_str_trim((struct lh_str){element->p, n});
    if (weight.n < 2 || lh_lower(weight.p[0]) != 'q' || weight.p[1] != '=')
        return 0;
    return parse_q((struct lh_str){weight.p + 2, weight.n - 2});
}

static void read_element(struct lh_coding_wishes *wishes, uint16_t *others,
                         struct lh_str element)
{
    uint16_t q = take_weight(&element);

    if (lh_str_equal(element, LH_STR("*")))
        *others = q;
    if (lh_str_equal_nocase(element, LH_STR("x-gzip")))
        element = names[LH_CODING_GZIP];
    for (unsigned i = 0; i < LH_CODINGS; i++) {
        if (lh_str_equal_nocase(element, names[i]))
            wishes->q[i] = q;
    }
}

/* What is not named has the weight of "*", or is not wanted; identity is, but a
 * little less than anything that was named, unless it was. */
void lh_coding_read(struct lh_coding_wishes *wishes,
                    const struct lh_fields *fields)
{
    uint16_t others = UNSAID;

    *wishes = (struct lh_coding_wishes){{UNSAID, UNSAID, UNSAID}, false};
    for (unsigned i = 0; i < fields->n; i++) {
        struct lh_str rest = fields->v[i].value, element;
        if (!lh_str_equal(fields->v[i].name, LH_STR("accept-encoding")))
            continue;
        wishes->asked = true;
        while (lh_str_next_element(&rest, &element))
            read_element(wishes, &others, element);
    }
    for (unsigned i = 0; i < LH_CODINGS; i++) {
        if (wishes->q[i] != UNSAID)
            continue;
        if (i == LH_CODING_IDENTITY)
            wishes->q[i] = others == 0 ? 0 : 1;
        else
            wishes->q[i] = others == UNSAID ? 0 : others;
    }
}

/* Those that the client likes no less than the plain file, the best first; of
 * equal ones that which is usually smaller, as they are numbered.  They are
 * few, so that each is moved in front of those that it beats. */
unsigned lh_coding_order(const struct lh_coding_wishes *wishes,
                         enum lh_coding order[LH_CODINGS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < LH_CODING_IDENTITY; i++) {
        uint16_t q = wishes->q[i];
        if (q == 0 || q < wishes->q[LH_CODING_IDENTITY])
            continue;
        unsigned at = n++;
        for (; at > 0 && wishes->q[order[at - 1]] < q; at--)
            order[at] = order[at - 1];
        order[at] = (enum lh_coding)i;
    }
    return n;
}

struct lh_str lh_coding_name(enum lh_coding coding)
{
    return names[coding];
}

struct lh_str lh_coding_suffix(enum lh_coding coding)
{
    return coding == LH_CODING_BR ? LH_STR(".br") : LH_STR(".gz");
}
