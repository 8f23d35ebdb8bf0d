/* Windows, both ways (RFC 9113, 5.2 and 6.9). */
#ifndef LH_H2_FLOW_H
#define LH_H2_FLOW_H

#include "h2/h2_core.h"

extern const struct lh_h2_handler lh_h2_window_update;

/* A DATA frame of n octets; false: it does not fit, and that was dealt with. */
bool lh_h2_flow_takes(struct lh_h2 *c, struct lh_h2_stream *s, uint32_t n);
/* The windows follow what the handler has read. */
void lh_h2_flow_read(struct lh_h2 *c, struct lh_h2_stream *s);
/* What it has not read does not count against the connection any more. */
void lh_h2_flow_release(struct lh_h2 *c, struct lh_h2_stream *s);
void lh_h2_flow_connection(struct lh_h2 *c);
/* The stream is freed: what it had grown by is free for others. */
void lh_h2_flow_shrink(struct lh_h2 *c, struct lh_h2_stream *s);

#endif
