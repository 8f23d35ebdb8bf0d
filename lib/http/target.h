/*
 * The request target (RFC 9112, 3.2) and its path, made comparable.
 */
#ifndef LH_HTTP_TARGET_H
#define LH_HTTP_TARGET_H

#include "base/arena.h"

enum lh_target_result {
    LH_TARGET_OK,
    LH_TARGET_BAD, /* answer 400 */
    LH_TARGET_MEMORY,
};

/* Parts of a raw target; they point into it. */
struct lh_target {
    struct lh_str scheme;    /* absolute-form only, else .p NULL */
    struct lh_str authority; /* likewise */
    struct lh_str origin;    /* path and query as sent; "*" for asterisk-form;
                                "/" where an absolute-form has no path, but
                                "?..." where it has a query all the same */
};

/* Origin-, absolute- (http and https) and asterisk-form.  Control characters,
 * spaces, "#" and octets above 0x7E are refused. */
enum lh_target_result lh_target_parse(struct lh_target *t, struct lh_str raw);

/*
 * Splits `origin` at the first "?" and makes the path comparable: decoded once
 * ("%2F" stays as it is), "//" collapsed, "." and ".." resolved.  A bad escape,
 * a NUL or a path that climbs above the root is LH_TARGET_BAD.  `query`.p is
 * NULL without a "?".  `path` is a copy in the arena only where it differs.
 */
enum lh_target_result lh_target_path(struct lh_arena *a, struct lh_str origin,
                                     struct lh_str *path, struct lh_str *query);

#endif
