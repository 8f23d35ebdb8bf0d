/*
 * Conditional requests: see conditional.h.
 *
 * A field that was sent several times is one list (RFC 9110, 5.3), so each of
 * its lines is looked at; nothing is copied.
 */
#include "http/conditional.h"

#include "http/date.h"

/* The opaque part of an entity tag, quotes included; *weak: it was W/"...". */
static struct lh_str opaque(struct lh_str tag, bool *weak)
{
    *weak = tag.n >= 2 && tag.p[0] == 'W' && tag.p[1] == '/';
    if (*weak) {
        tag.p += 2;
        tag.n -= 2;
    }
    return tag;
}

/* The next entity tag of a list, whose quotes may hold commas; false: there is
 * none, or what is there is no tag. */
static bool next_tag(struct lh_str *rest, struct lh_str *tag)
{
    while (rest->n && (lh_is_blank(rest->p[0]) || rest->p[0] == ',')) {
        rest->p++;
        rest->n--;
    }
    size_t n = rest->n > 2 && rest->p[0] == 'W' && rest->p[1] == '/' ? 2 : 0;
    if (n >= rest->n || rest->p[n] != '"')
        return false;
    const char *end = memchr(rest->p + n + 1, '"', rest->n - n - 1);
    if (!end)
        return false;
    n = (size_t)(end - rest->p) + 1;
    *tag = (struct lh_str){rest->p, n};
    rest->p += n;
    rest->n -= n;
    return true;
}

/* RFC 9110, 8.8.3.2: weak ones are never equal where `strong`ly compared. */
static bool tags_match(struct lh_str a, struct lh_str b, bool strong)
{
    bool a_weak, b_weak;

    a = opaque(a, &a_weak);
    b = opaque(b, &b_weak);
    return lh_str_equal(a, b) && !(strong && (a_weak || b_weak));
}

static bool list_has(struct lh_str list, const struct lh_validators *v,
                     bool strong)
{
    struct lh_str tag;

    if (lh_str_equal(lh_str_trim(list), LH_STR("*")))
        return true;
    while (v->etag.p && next_tag(&list, &tag)) {
        if (tags_match(tag, v->etag, strong))
            return true;
    }
    return false;
}

/* Is the field there (*present), and does one of its lines have the tag? */
static bool field_has(const struct lh_request *request, struct lh_str name,
                      const struct lh_validators *v, bool strong, bool *present)
{
    const struct lh_fields *fields = &request->fields;
    bool found = false;

    *present = false;
    for (unsigned i = 0; i < fields->n; i++) {
        if (!lh_str_equal(fields->v[i].name, name))
            continue;
        *present = true;
        found = found || list_has(fields->v[i].value, v, strong);
    }
    return found;
}

/* False: absent, no date, or several, which are none either. */
static bool date_of(const struct lh_request *request, struct lh_str name,
                    int64_t now_s, int64_t *date_s)
{
    const struct lh_fields *fields = &request->fields;
    const struct lh_field *found = NULL;

    for (unsigned i = 0; i < fields->n; i++) {
        if (!lh_str_equal(fields->v[i].name, name))
            continue;
        if (found)
            return false;
        found = &fields->v[i];
    }
    return found && lh_date_parse(found->value, now_s, date_s);
}

/* Steps 1 and 2: what protects from a lost update. */
static bool precondition_fails(const struct lh_request *request,
                               const struct lh_validators *v, int64_t now_s)
{
    int64_t date_s;
    bool present;
    bool found = field_has(request, LH_STR("if-match"), v, true, &present);

    if (present)
        return !found;
    return v->modified_s != LH_MODIFIED_UNKNOWN &&
           date_of(request, LH_STR("if-unmodified-since"), now_s, &date_s) &&
           v->modified_s > date_s;
}

enum lh_condition lh_condition_check(const struct lh_request *request,
                                     const struct lh_validators *v,
                                     int64_t now_s)
{
    bool reads = request->head || lh_str_equal(request->method, LH_STR("GET"));
    bool present;
    int64_t date_s;

    if (precondition_fails(request, v, now_s))
        return LH_CONDITION_FAILED;
    if (field_has(request, LH_STR("if-none-match"), v, false, &present))
        return reads ? LH_CONDITION_NOT_MODIFIED : LH_CONDITION_FAILED;
    if (!present && reads && v->modified_s != LH_MODIFIED_UNKNOWN &&
        date_of(request, LH_STR("if-modified-since"), now_s, &date_s) &&
        v->modified_s <= date_s)
        return LH_CONDITION_NOT_MODIFIED;
    return LH_CONDITION_HOLDS;
}

bool lh_condition_allows_range(const struct lh_request *request,
                               const struct lh_validators *v, int64_t now_s)
{
    const struct lh_field *field =
        lh_fields_find(&request->fields, LH_STR("if-range"));
    struct lh_str rest, tag;
    int64_t date_s;

    if (!field)
        return true;
    rest = field->value;
    if (next_tag(&rest, &tag))
        return rest.n == 0 && v->etag.p && tags_match(tag, v->etag, true);
    return v->modified_s != LH_MODIFIED_UNKNOWN &&
           lh_date_parse(field->value, now_s, &date_s) &&
           date_s == v->modified_s && now_s > date_s + 1;
}
