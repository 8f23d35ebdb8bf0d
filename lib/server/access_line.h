/*
 * A line of the access log.  What comes from outside is escaped, so that it can
 * neither end a line nor a field of one.
 */
#ifndef LH_SERVER_ACCESS_LINE_H
#define LH_SERVER_ACCESS_LINE_H

#include "base/str.h"
#include "lhttpd.h"

#include <stdbool.h>

/*
 * COMMON and COMBINED are those of all web servers: octets that are not
 * printable ASCII, quotes and backslashes are \xHH; the status is 499 where no
 * response has left.  JSON is an object a line (RFC 8259) with the names of
 * lhttpd_access_t; octets that are not UTF-8 are U+FFFD, and what there is not
 * has no name.
 */
enum lh_access_format {
    LH_ACCESS_COMMON,
    LH_ACCESS_COMBINED,
    LH_ACCESS_JSON,
};

/* The dates that lines of the last second have; begin with zeroes. */
struct lh_access_dates {
    int64_t unix_s;
    char clf[28], iso[21];
};

/* "common", "combined" or "json"; false: none of these. */
bool lh_access_format_of(const char *name, enum lh_access_format *format);

/* What all lines of an entry's connection have alike in JSON: both ends, and
 * TLS.  From lh_alloc(); NULL: no memory, or longer than is worth keeping. */
char *lh_access_ends(const lhttpd_access_t *e, uint16_t *bytes);

/* How long its line is at most, newline included.  `ends`: of its connection,
 * or .p NULL. */
size_t lh_access_line_most(enum lh_access_format format,
                           const lhttpd_access_t *e, struct lh_str ends);

/* Writes the line, returns its length. */
size_t lh_access_line(char *to, enum lh_access_format format,
                      const lhttpd_access_t *e, struct lh_str ends,
                      struct lh_access_dates *dates);

#endif
