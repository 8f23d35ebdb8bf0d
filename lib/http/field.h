/*
 * Fields of a header or trailer section (RFC 9110, 5): a list in an arena,
 * names in lower case for what was received.
 */
#ifndef LH_HTTP_FIELD_H
#define LH_HTTP_FIELD_H

#include "base/arena.h"

struct lh_field {
    struct lh_str name, value;
};

struct lh_fields {
    struct lh_field *v;
    unsigned n, room;
    size_t bytes; /* names and values and 32 octets each (RFC 9113, 6.5.2) */
};

/* The strings are not copied.  False: no memory. */
bool lh_fields_add(struct lh_fields *f, struct lh_arena *a, struct lh_str name,
                   struct lh_str value);

/* The first field of that name (lower case), or NULL. */
const struct lh_field *lh_fields_find(const struct lh_fields *f,
                                      struct lh_str name);

/* All values of that name, joined as RFC 9110, 5.3 allows (", "; for cookie
 * "; ", RFC 9113, 8.2.3), made in the arena if there are several.  .p NULL:
 * absent, or (*failed set) no memory. */
struct lh_str lh_fields_join(const struct lh_fields *f, struct lh_arena *a,
                             struct lh_str name, bool *failed);

/* Names that requests usually have, for those that keep many. */
#define LH_USUAL_NAMES 33
extern const struct lh_str lh_usual_names[LH_USUAL_NAMES];

/* A token's octets in lower case; 0: no part of one (RFC 9110, 5.6.2). */
extern const uint8_t lh_token_lower[256];

/* Is there a control character other than HTAB? */
bool lh_has_control(const uint8_t *p, size_t n);

bool lh_field_name_valid(struct lh_str name);   /* a token, any case */
bool lh_field_value_valid(struct lh_str value); /* no control but HTAB; no white
                                                   space at the ends */

/* Fields that are about one connection and never cross to HTTP/2 (RFC 9113,
 * 8.2.2): connection, keep-alive, proxy-connection, transfer-encoding, upgrade.
 * Any case. */
bool lh_field_is_connection_specific(struct lh_str name);

/* May not stand in a trailer section, for it says where a message ends or goes
 * (RFC 9110, 6.5.1): the above, content-length, host.  Any case. */
bool lh_field_is_header_only(struct lh_str name);

/* A Host value or authority, without userinfo (RFC 3986, 3.2). */
bool lh_authority_valid(struct lh_str authority);

#endif
