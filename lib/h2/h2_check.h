/*
 * What always holds of an HTTP/2 connection between two steps.  Compiled for
 * developers only (LHTTPD_CHECKS), where each step of the roof ends with it; a
 * release has none of it.
 */
#ifndef LH_H2_CHECK_H
#define LH_H2_CHECK_H

#include "h2/h2_core.h"

#if LHTTPD_CHECKS

/* Ends the process where something does not hold. */
void lh_h2_check(const struct lh_h2 *c);

#else

static inline void lh_h2_check(const struct lh_h2 *c)
{
    (void)c;
}

#endif

#endif
