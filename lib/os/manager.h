/*
 * A service manager (systemd, or who speaks as it does): what it hands to a
 * process by its environment, see sd_listen_fds(3), and what that tells it, see
 * sd_notify(3).  Who takes it removes the variables, so that no child takes for
 * its own what is not.  With no other thread running: the environment belongs
 * to all of them.
 */
#ifndef LH_OS_MANAGER_H
#define LH_OS_MANAGER_H

#include "base/err.h"

#include <stdint.h>

/* Sockets that were opened before, for this process; all zero: none. */
struct lh_passed {
    int first; /* descriptor; the others follow it */
    unsigned n;
    char *names; /* allocated; of all, with ":" between; NULL: they have none */
};

/* LHTTPD_EINVAL: the variables make no sense; LHTTPD_ENOMEM. */
int lh_manager_sockets(struct lh_passed *passed, struct lh_err *err);

/* Where messages go. */
struct lh_manager {
    int fd;               /* -1: nobody wants any */
    uint64_t watchdog_ms; /* it wants to hear within that, again and again; 0:
                             it does not */
};

/* Connects to NOTIFY_SOCKET, which a root directory would hide later.  1; 0:
 * there is none.  LHTTPD_EINVAL: the variables make no sense; LHTTPD_ESYSTEM:
 * nobody is there. */
int lh_manager_connect(struct lh_manager *manager, struct lh_err *err);
void lh_manager_close(struct lh_manager *manager);

/* Sends one datagram, of lines of NAME=value; waits for at most so long where
 * the manager has not read former ones.  0 or a negative errno. */
int lh_manager_tell(const struct lh_manager *manager, const char *message,
                    int patience_ms);

#endif
