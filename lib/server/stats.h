/* The statistics: what the workers have counted, added up. */
#ifndef LH_SERVER_STATS_H
#define LH_SERVER_STATS_H

#include "server/server.h"

/* Once it is known how many workers there will be. */
void lh_stats_init(struct lhttpd_server_t *s);

/* Before the server runs, and when limits have changed: what readers may know
 * of them. */
void lh_stats_note_limits(struct lhttpd_server_t *s,
                          const lhttpd_limits_t *limits);

/* Any thread, in every state. */
void lh_server_stats(const struct lhttpd_server_t *s, lhttpd_stats_t *stats);
int lh_server_handler_stats(const struct lhttpd_server_t *s, unsigned index,
                            lhttpd_handler_stats_t *stats);

#endif
