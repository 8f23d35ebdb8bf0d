/*
 * A directory is answered with a list of what it has: see serving.h.  The page
 * is made by an operation (listing.c); what is said of it is not to be kept by
 * anybody, since it may be another one at the next request.
 */
#include "files/serving.h"

#include "os/error.h"

static bool add_field(struct lh_serving *s, struct lh_fields *fields,
                      const char *name, struct lh_str value)
{
    return value.p &&
           lh_fields_add(fields, &s->ex->arena, lh_str_of(name), value);
}

/* A script in a name would not run, were it to get through. */
static bool start_list(struct lh_serving *s)
{
    struct lh_fields fields = {0};
    char digits[20];
    size_t n = lh_u64_to_dec(digits, s->text.n);

    return add_field(s, &fields, "content-type",
                     LH_STR("text/html; charset=utf-8")) &&
           add_field(s, &fields, "content-length",
                     lh_arena_copy(&s->ex->arena, digits, n)) &&
           add_field(s, &fields, "cache-control", LH_STR("no-cache")) &&
           add_field(s, &fields, "content-security-policy",
                     LH_STR("default-src 'none'; style-src "
                            "'unsafe-inline'")) &&
           lh_exchange_start(s->ex, 200, &fields) == 0;
}

bool lh_list_step(struct lh_serving *s)
{
    int r;

    if (!s->has_result) {
        r = lh_fetch_list(s);
        if (r != LH_SERVING_WAITS)
            lh_serving_error(s, r);
        return r != LH_SERVING_WAITS;
    }
    s->has_result = false;
    if (s->result < 0) {
        lh_serving_error(s, (int)s->result);
        return true;
    }
    s->text = (struct lh_str){s->page, (size_t)s->result};
    s->state = LH_SERVING_BODY;
    if (!start_list(s))
        lh_serving_fail(s, 503);
    return true;
}
