/* Header sections that we send (RFC 9113, 8.1 to 8.4). */
#ifndef LH_H2_ANSWER_H
#define LH_H2_ANSWER_H

#include "h2/h2_core.h"

/* Each queues one header section; the stream has it and may send it. */
void lh_h2_send_head(struct lh_h2 *c, struct lh_h2_stream *s);
void lh_h2_send_interim(struct lh_h2 *c, struct lh_h2_stream *s,
                        const struct lh_interim *interim);
void lh_h2_send_end(struct lh_h2 *c, struct lh_h2_stream *s);
void lh_h2_send_continue(struct lh_h2 *c, struct lh_h2_stream *s);

#endif
