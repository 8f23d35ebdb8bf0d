/*
 * From a request's path to a mapping and from there to a handler.  Both are
 * small sorted tables, read-only once built; values are the caller's indices.
 */
#ifndef LH_HTTP_ROUTE_H
#define LH_HTTP_ROUTE_H

#include "base/str.h"

/* --- prefixes: the longest that ends on a segment boundary wins ----------- */

struct lh_prefixes {
    struct lh_prefix *v; /* longest first */
    unsigned n;
};

struct lh_prefix {
    char *text; /* "/ui"; "" for the root */
    size_t n;
    unsigned index;
};

/* A prefix in one form: one leading "/", none at the end, "" for the root, in
 * `out` (allocated, the caller frees).  LHTTPD_EINVAL: "." or ".." or an empty
 * segment inside, a control character, "?" or "#". */
int lh_prefix_normalise(const char *prefix, char **out);

/* `text` as normalised.  LHTTPD_EINVAL: it is there already. */
int lh_prefixes_add(struct lh_prefixes *p, const char *text, unsigned index);
void lh_prefixes_deinit(struct lh_prefixes *p);

/* NULL: none.  `rest` is what follows the prefix: "" or "/...". */
const struct lh_prefix *lh_prefixes_find(const struct lh_prefixes *p,
                                         struct lh_str path,
                                         struct lh_str *rest);

/* --- names: exact, else the longest that ends in "/"+"*" ------------------ */

struct lh_names {
    struct lh_name *v;
    unsigned n, room;
    unsigned *slots;  /* hash of the exact names: index + 1, 0 empty */
    unsigned slots_n; /* a power of two */
};

struct lh_name {
    char *text; /* as registered, with its leading "/" */
    size_t n;
    bool wildcard; /* ends in "/"+"*" */
};

/* A leading "/" is added where it lacks.  Returns the name's index, counted
 * from 0, LHTTPD_EINVAL if it is there already, LHTTPD_ENOMEM. */
int lh_names_add(struct lh_names *names, struct lh_str name);
void lh_names_deinit(struct lh_names *names);

/* The index, or -1.  `path_info` is what "*" stands for; .p NULL for an exact
 * match. */
int lh_names_find(const struct lh_names *names, struct lh_str path,
                  struct lh_str *path_info);

#endif
