/* Header blocks that a client sends (RFC 9113, 4.3, 6.2 and 6.10). */
#ifndef LH_H2_BLOCK_H
#define LH_H2_BLOCK_H

#include "h2/h2_core.h"

extern const struct lh_h2_handler lh_h2_headers, lh_h2_continuation;

#endif
