/*
 * Limits and their defaults.  docs/limits.md tells what happens past each.
 */
#ifndef LH_BASE_LIMITS_H
#define LH_BASE_LIMITS_H

#include "lhttpd.h"

/* Every limit of `given` (NULL: none; read up to its size), with the defaults
 * in place of zeroes.  The default of `connections` is 0 here still: it depends
 * on the process, server/ fills it in. */
lhttpd_limits_t lh_limits_resolve(const lhttpd_limits_t *given);

#endif
