/*
 * What always holds of an HTTP/1 connection between two steps.  Compiled for
 * developers only (LHTTPD_CHECKS); a release has none of it.
 */
#ifndef LH_H1_CHECK_H
#define LH_H1_CHECK_H

#include "h1/h1_state.h"

#if LHTTPD_CHECKS

/* Ends the process where something does not hold. */
void lh_h1_check(const struct lh_h1 *c);

#else

static inline void lh_h1_check(const struct lh_h1 *c)
{
    (void)c;
}

#endif

#endif
