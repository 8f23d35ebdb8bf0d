/*
 * Range requests (RFC 9110, 14): which octets of a representation are asked
 * for, and what the answer's body consists of.
 */
#ifndef LH_HTTP_RANGE_H
#define LH_HTTP_RANGE_H

#include "http/field.h"

/* More are answered with the whole. */
#define LH_RANGES_MAX 16

enum lh_range_result {
    LH_RANGE_WHOLE,         /* none asked for, or none that is honoured */
    LH_RANGE_PARTS,         /* answer 206 */
    LH_RANGE_UNSATISFIABLE, /* answer 416 */
};

struct lh_range {
    uint64_t from, n; /* n > 0 */
};

struct lh_ranges {
    struct lh_range v[LH_RANGES_MAX]; /* in the client's order */
    unsigned n;
};

/*
 * Of the fields of a GET request, for a representation of `length` octets.
 * Another unit, a mistake in the syntax, several lines, more than
 * LH_RANGES_MAX ranges and such that overlap are the whole: the field is
 * ignored, as 14.2 allows.  Ranges behind the end are left out.  Without
 * LH_RANGE_PARTS there are none.
 */
enum lh_range_result lh_ranges_parse(struct lh_ranges *ranges,
                                     const struct lh_fields *fields,
                                     uint64_t length);

/* "bytes 0-99/1234"; its length.  `out` has LH_CONTENT_RANGE_BYTES, without a
 * zero.  A range of n 0 is what 416 says: "bytes" and "*" and the length. */
#define LH_CONTENT_RANGE_BYTES 72
size_t lh_content_range(char *out, struct lh_range range, uint64_t length);

/* What stands before each part of multipart/byteranges (14.6), and behind the
 * last (`range` NULL).  In the arena; .p NULL: no memory. */
struct lh_str lh_range_delimiter(struct lh_arena *a, struct lh_str boundary,
                                 struct lh_str type,
                                 const struct lh_range *range, uint64_t length);

#endif
