/* Cookies in a request's fields and what may stand in one (RFC 6265). */
#ifndef LH_HTTP_COOKIE_H
#define LH_HTTP_COOKIE_H

#include "base/str.h"

/* What browsers take of a name and its value together, in octets. */
#define LH_COOKIE_BYTES_MAX 4096

/* The next cookie of a field's value; *rest moves past it.  The value's quotes
 * are taken off.  What has no name is skipped.  False: there is none left. */
bool lh_cookie_next(struct lh_str *rest, struct lh_str *name,
                    struct lh_str *value);

/* Where is the first octet that may not stand in a cookie's value, or in the
 * value of an attribute?  The length: nowhere. */
size_t lh_cookie_value_valid(struct lh_str value);
size_t lh_cookie_attribute_valid(struct lh_str value);

#endif
