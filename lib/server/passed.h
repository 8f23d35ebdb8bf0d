/*
 * The sockets that a service manager has opened for this process: their names
 * say what they speak.
 */
#ifndef LH_SERVER_PASSED_H
#define LH_SERVER_PASSED_H

#include "server/listener.h"

/* As lhttpd_server_listen_fds(). */
int lh_passed_listen(struct lh_listeners *l, unsigned flags,
                     struct lh_err *err);

#endif
