/* What may last how long. */
#ifndef LH_H2_TIME_H
#define LH_H2_TIME_H

#include "h2/h2_core.h"

uint64_t lh_h2_deadline(const void *c);
/* Ends what has lasted too long. */
void lh_h2_end_overdue(struct lh_h2 *c);

/* The stream's, and the connection's, times follow from its state. */
void lh_h2_update_times(struct lh_h2 *c, struct lh_h2_stream *s);
void lh_h2_update_connection_times(struct lh_h2 *c);

#endif
