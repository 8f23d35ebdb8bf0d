/* Octets to frames, and what each type of frame does (RFC 9113, 6). */
#ifndef LH_H2_INPUT_H
#define LH_H2_INPUT_H

#include "h2/h2_core.h"

/* May a further octet be taken? */
bool lh_h2_may_read(const struct lh_h2 *c);
/* Takes up to n octets, as long as it may; returns how many. */
size_t lh_h2_read_frames(struct lh_h2 *c, const uint8_t *p, size_t n);

#endif
