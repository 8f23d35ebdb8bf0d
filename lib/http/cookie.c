/* Cookies: see cookie.h. */
#include "http/cookie.h"

static struct lh_str without_quotes(struct lh_str s)
{
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
        return (struct lh_str){s.p + 1, s.n - 2};
    return s;
}

/* Takes what stands before the octet, which goes, too; or all of it. */
static struct lh_str take_before(struct lh_str *rest, char octet)
{
    const char *end = rest->n ? memchr(rest->p, octet, rest->n) : NULL;
    struct lh_str part = {rest->p, end ? (size_t)(end - rest->p) : rest->n};
    size_t n = part.n + (end != NULL);

    if (n)
        rest->p += n;
    rest->n -= n;
    return part;
}

bool lh_cookie_next(struct lh_str *rest, struct lh_str *name,
                    struct lh_str *value)
{
    while (rest->n) {
        struct lh_str pair = take_before(rest, ';');
        size_t all = pair.n;
        struct lh_str before = take_before(&pair, '=');
        if (before.n == all) /* there is no "=" */
            continue;
        *name = lh_str_trim(before);
        *value = without_quotes(lh_str_trim(pair));
        if (name->n)
            return true;
    }
    return false;
}

/* cookie-octet (RFC 6265, 4.1.1). */
size_t lh_cookie_value_valid(struct lh_str value)
{
    size_t i = 0;

    while (i < value.n && value.p[i] > ' ' && value.p[i] < 0x7F &&
           !strchr("\",;\\", value.p[i]))
        i++;
    return i;
}

/* path-value and the like. */
size_t lh_cookie_attribute_valid(struct lh_str value)
{
    size_t i = 0;

    while (i < value.n && value.p[i] >= ' ' && value.p[i] < 0x7F &&
           value.p[i] != ';')
        i++;
    return i;
}
