/* SETTINGS, the client's and ours (RFC 9113, 6.5). */
#ifndef LH_H2_SETTINGS_H
#define LH_H2_SETTINGS_H

#include "h2/h2_core.h"

extern const struct lh_h2_handler lh_h2_settings;

/* Ours; false: no memory. */
bool lh_h2_send_settings(struct lh_h2 *c);

#endif
