/*
 * Conditional requests (RFC 9110, 13): does the client's condition hold for
 * what there is?
 */
#ifndef LH_HTTP_CONDITIONAL_H
#define LH_HTTP_CONDITIONAL_H

#include "http/exchange.h"

/* What is known of the representation that would be sent. */
struct lh_validators {
    struct lh_str etag; /* as sent, W/"..." or "..."; .p NULL: none */
    int64_t modified_s; /* since 1970; LH_MODIFIED_UNKNOWN: not known */
};

#define LH_MODIFIED_UNKNOWN INT64_MIN

enum lh_condition {
    LH_CONDITION_HOLDS,        /* or there is none: answer as usual */
    LH_CONDITION_NOT_MODIFIED, /* answer 304, to GET and HEAD alone */
    LH_CONDITION_FAILED,       /* answer 412 */
};

/*
 * If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the
 * order of RFC 9110, 13.2.2, for a representation that exists.  A date that is
 * none is ignored, and so is what is no entity tag.
 */
enum lh_condition lh_condition_check(const struct lh_request *request,
                                     const struct lh_validators *v,
                                     int64_t now_s);

/* May the request's Range be honoured?  Without If-Range it may.  A date has to
 * be the exact one, and old enough to be strong (RFC 9110, 13.1.5): `now_s` is
 * more than a second after it. */
bool lh_condition_allows_range(const struct lh_request *request,
                               const struct lh_validators *v, int64_t now_s);

#endif
