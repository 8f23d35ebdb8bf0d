/*
 * The files that a server writes logs to.
 */
#ifndef LH_SERVER_LOGS_H
#define LH_SERVER_LOGS_H

#include "base/err.h"

struct lhttpd_server_t;

/* Settings log_file, access_log and access_format.  Before start. */
int lh_logs_set_log(struct lhttpd_server_t *s, const char *where,
                    struct lh_err *err);
int lh_logs_set_access(struct lhttpd_server_t *s, const char *where,
                       struct lh_err *err);
int lh_logs_set_format(struct lhttpd_server_t *s, const char *format,
                       struct lh_err *err);

/* At start: tells the log of files that could not be opened again. */
void lh_logs_look(const struct lhttpd_server_t *s);

/* As lhttpd_server_reopen(); by who holds `changes`. */
int lh_logs_reopen(struct lhttpd_server_t *s, struct lh_err *err);

void lh_logs_free(struct lhttpd_server_t *s);

#endif
