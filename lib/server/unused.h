/*
 * Settings that have no effect are said: they were hardly meant so.
 */
#ifndef LH_SERVER_UNUSED_H
#define LH_SERVER_UNUSED_H

struct lhttpd_server_t;

/* A notice for each of them.  Before start, with all listeners. */
void lh_unused_tell(const struct lhttpd_server_t *s);

#endif
