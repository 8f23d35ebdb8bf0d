/*
 * Limits and their defaults.  docs/limits.md tells what happens past each.
 */
#ifndef LH_BASE_LIMITS_H
#define LH_BASE_LIMITS_H

#include "base/err.h"
#include "lhttpd.h"

#include <stdbool.h>

/* Every limit of `given` (NULL: none; read up to its size), with the defaults
 * in place of zeroes.  The default of `connections` is 0 here still: it depends
 * on the process, server/ fills it in. */
lhttpd_limits_t lh_limits_resolve(const lhttpd_limits_t *given);

/* As lhttpd_limits_set(), where nothing is NULL, with words that leave out what
 * was to be set ("not a decimal number ..."). */
int lh_limits_set(lhttpd_limits_t *limits, const char *name, const char *value,
                  struct lh_err *err);

bool lh_limits_is_name(const char *name);

/* May it be set while a server runs?  Not what both sides of a connection have
 * agreed on. */
bool lh_limits_may_change(const char *name);

/* What a limit leaves beyond what is used, which may be more since the limit
 * was lowered. */
static inline uint64_t lh_limit_left(uint64_t limit, uint64_t used)
{
    return limit > used ? limit - used : 0;
}

#endif
