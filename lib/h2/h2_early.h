/* Priorities of requests that have not come yet (RFC 9218, 7.1). */
#ifndef LH_H2_EARLY_H
#define LH_H2_EARLY_H

#include "h2/h2_core.h"

/* Keeps what was said of an idle stream; the newest for a stream counts. */
void lh_h2_keep_early(struct lh_h2 *c, uint32_t id, struct lh_str value);
/* What was said of a request before it came; NULL: nothing. */
struct lh_h2_early *lh_h2_early_of(const struct lh_h2 *c, uint32_t id);

#endif
