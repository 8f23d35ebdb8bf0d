/*
 * Tells a service manager how the server is doing (os/manager.h).  Where there
 * is none each call returns at once.
 */
#ifndef LH_SERVER_NOTIFY_H
#define LH_SERVER_NOTIFY_H

#include "base/err.h"
#include "base/log.h"
#include "os/manager.h"

#include <stdatomic.h>
#include <stdbool.h>

struct lh_notify {
    struct lh_manager manager;
    const struct lh_log *log;
    _Atomic bool failed; /* the log knows that messages do not arrive */
};

void lh_notify_init(struct lh_notify *notify, const struct lh_log *log);
void lh_notify_deinit(struct lh_notify *notify);

/* As lhttpd_server_notify(). */
int lh_notify_connect(struct lh_notify *notify, struct lh_err *err);

/* It serves, as the start, or a reload is over: `news` is what an operator
 * should know of that, or NULL.  In a thread that may wait. */
void lh_notify_ready(struct lhttpd_server_t *s, const char *news);
void lh_notify_reloading(struct lhttpd_server_t *s);
/* It stops, and has so long.  Any thread. */
void lh_notify_stopping(struct lhttpd_server_t *s, uint64_t grace_ms);
/* It is alive.  Any thread. */
void lh_notify_alive(struct lh_notify *notify);

#endif
