/* Redirects: see redirect.h. */
#include "http/redirect.h"

/* 308 (RFC 9110, 15.4.9): unlike 301 it keeps the method. */
void lh_redirect(struct lh_exchange *ex, struct lh_str location)
{
    struct lh_fields fields = {0};

    if (!location.p ||
        !lh_fields_add(&fields, &ex->arena, LH_STR("location"), location) ||
        lh_exchange_start(ex, 308, &fields) < 0)
        lh_exchange_fail(ex, 503);
    else
        lh_exchange_end(ex);
}

/* What begins with two slashes, of either kind, would be another host's. */
void lh_redirect_to_slash(struct lh_exchange *ex)
{
    struct lh_str target = ex->request.target;

    while (target.n && (target.p[0] == '/' || target.p[0] == '\\')) {
        target.p++;
        target.n--;
    }
    const char *mark = memchr(target.p, '?', target.n);
    size_t n = mark ? (size_t)(mark - target.p) : target.n;
    struct lh_str parts[] = {
        LH_STR("/"),
        {target.p, n},
        LH_STR("/"),
        {target.p + n, target.n - n},
    };

    lh_redirect(ex, lh_arena_join(&ex->arena, parts, 4));
}
