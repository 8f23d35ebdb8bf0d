/*
 * Dates in fields (RFC 9110, 5.6.7), read.
 */
#ifndef LH_HTTP_DATE_H
#define LH_HTTP_DATE_H

#include "base/str.h"

/* Any of the three forms, all in UTC: "Sun, 06 Nov 1994 08:49:37 GMT",
 * "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994".  A year of
 * two digits that would be more than 50 years after `now_s` is one of the
 * century before.  False: it is none of them, or no such day exists; the day
 * of the week is not compared with it.  Times are seconds since 1970. */
bool lh_date_parse(struct lh_str text, int64_t now_s, int64_t *unix_s);

#endif
