/* Range requests: see range.h. */
#include "http/range.h"

#include "base/num.h"

/* The number at the start of *s, of which it is taken; false: no digit.  One
 * that 64 bits cannot hold is as good as the largest, which leaves room to
 * add 1. */
static bool take_number(struct lh_str *s, uint64_t *value)
{
    size_t n = 0;

    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    if (n == 0)
        return false;
    if (!lh_str_to_u64((struct lh_str){s->p, n}, UINT64_MAX - 1, value))
        *value = UINT64_MAX - 1;
    s->p += n;
    s->n -= n;
    return true;
}

/* "-500": the last 500.  "500-" and "500-999". */
static bool parse_one(struct lh_str s, uint64_t length, struct lh_range *range)
{
    uint64_t first, last = UINT64_MAX - 1;
    bool is_suffix = s.n && s.p[0] == '-';

    if (!is_suffix && !take_number(&s, &first))
        return false;
    if (s.n == 0 || s.p[0] != '-')
        return false;
    s.p++;
    s.n--;
    bool has_last = take_number(&s, &last);
    if (s.n || (is_suffix && !has_last) || (!is_suffix && last < first))
        return false;
    if (is_suffix) {
        range->n = lh_min64(last, length);
        range->from = length - range->n;
        return true;
    }
    range->from = first;
    range->n = first < length ? lh_min64(last, length - 1) - first + 1 : 0;
    return true;
}

static bool overlaps(const struct lh_ranges *ranges, struct lh_range range)
{
    for (unsigned i = 0; i < ranges->n; i++) {
        const struct lh_range *x = &ranges->v[i];
        if (range.from < x->from + x->n && x->from < range.from + range.n)
            return true;
    }
    return false;
}

/* The list behind "bytes=".  Very many ranges, or such that overlap, would cost
 * more than the whole does (RFC 9110, 14.2 and 17.15). */
static enum lh_range_result parse_list(struct lh_ranges *ranges,
                                       struct lh_str list, uint64_t length)
{
    struct lh_str element;
    unsigned asked = 0;
    bool empty_suffix = false;

    while (lh_str_next_element(&list, &element)) {
        struct lh_range range;
        if (++asked > LH_RANGES_MAX || !parse_one(element, length, &range))
            return LH_RANGE_WHOLE;
        /* "-5" of nothing can be satisfied, but not as a range. */
        empty_suffix |= length == 0 && element.p[0] == '-' &&
                        !lh_str_equal(element, LH_STR("-0"));
        if (range.n == 0)
            continue;
        if (overlaps(ranges, range))
            return LH_RANGE_WHOLE;
        ranges->v[ranges->n++] = range;
    }
    if (ranges->n)
        return LH_RANGE_PARTS;
    return asked && !empty_suffix ? LH_RANGE_UNSATISFIABLE : LH_RANGE_WHOLE;
}

/* What is not understood, or is there twice, is as if it had not been asked: a
 * range is a wish (RFC 9110, 14.2). */
enum lh_range_result lh_ranges_parse(struct lh_ranges *ranges,
                                     const struct lh_fields *fields,
                                     uint64_t length)
{
    const struct lh_field *field = NULL;

    ranges->n = 0;
    for (unsigned i = 0; i < fields->n; i++) {
        if (!lh_str_equal(fields->v[i].name, LH_STR("range")))
            continue;
        if (field)
            return LH_RANGE_WHOLE;
        field = &fields->v[i];
    }
    if (!field || field->value.n < 6 ||
        !lh_str_equal_nocase((struct lh_str){field->value.p, 6},
                             LH_STR("bytes=")))
        return LH_RANGE_WHOLE;
    struct lh_str list = {field->value.p + 6, field->value.n - 6};
    enum lh_range_result result = parse_list(ranges, list, length);
    if (result != LH_RANGE_PARTS)
        ranges->n = 0;
    return result;
}

/* --- what is sent --------------------------------------------------------- */

static size_t write_str(char *out, struct lh_str s)
{
    if (s.n)
        memcpy(out, s.p, s.n);
    return s.n;
}

/* A range of nothing stands for one that cannot be had, "bytes *" with the
 * length (RFC 9110, 14.4). */
size_t lh_content_range(char *out, struct lh_range range, uint64_t length)
{
    size_t n = write_str(out, LH_STR("bytes "));

    if (range.n) {
        n += lh_u64_to_dec(out + n, range.from);
        out[n++] = '-';
        n += lh_u64_to_dec(out + n, range.from + range.n - 1);
    } else {
        out[n++] = '*';
    }
    out[n++] = '/';
    return n + lh_u64_to_dec(out + n, length);
}

struct lh_str lh_range_delimiter(struct lh_arena *a, struct lh_str boundary,
                                 struct lh_str type,
                                 const struct lh_range *range, uint64_t length)
{
    size_t room = boundary.n + type.n + LH_CONTENT_RANGE_BYTES + 64, n;
    char *out = lh_arena_alloc(a, room);

    if (!out)
        return (struct lh_str){NULL, 0};
    n = write_str(out, LH_STR("\r\n--"));
    n += write_str(out + n, boundary);
    if (!range) {
        n += write_str(out + n, LH_STR("--\r\n"));
        return (struct lh_str){out, n};
    }
    n += write_str(out + n, LH_STR("\r\ncontent-type: "));
    n += write_str(out + n, type);
    n += write_str(out + n, LH_STR("\r\ncontent-range: "));
    n += lh_content_range(out + n, *range, length);
    n += write_str(out + n, LH_STR("\r\n\r\n"));
    return (struct lh_str){out, n};
}
