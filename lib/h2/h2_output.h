/* Which stream sends next, and its DATA frames (RFC 9113, 6.1). */
#ifndef LH_H2_OUTPUT_H
#define LH_H2_OUTPUT_H

#include "h2/h2_core.h"

/* Puts the stream where it belongs: into `heads`, `send` or nowhere. */
void lh_h2_schedule(struct lh_h2 *c, struct lh_h2_stream *s);

/* Encodes the next of the frames that need no window, for a stream that waits
 * in `heads`; false: enough is encoded already. */
bool lh_h2_encode_next(struct lh_h2 *c);

/* Writes one DATA frame of the stream whose turn it is, which there is; 0:
 * none, or it is in the control buffer.  `first`: nothing else is in the room
 * yet. */
size_t lh_h2_write_data(struct lh_h2 *c, uint8_t *out, size_t room, bool first);

#endif
