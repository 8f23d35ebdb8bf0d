/*
 * What makes a process a good server of its system: what it was started with
 * is put in order, as process 1 it collects the dead, and it can go to the
 * background.
 */
#ifndef LH_OS_DAEMON_H
#define LH_OS_DAEMON_H

#include "base/err.h"

/* As lhttpd_process_prepare(), _supervise(), _daemonize() and _ready(). */
int lh_daemon_prepare(struct lh_err *err);
int lh_daemon_supervise(struct lh_err *err);
int lh_daemon_start(lhttpd_daemon_t *daemon, struct lh_err *err);
int lh_daemon_ready(lhttpd_daemon_t *daemon, struct lh_err *err);

#endif
