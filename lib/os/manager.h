/*
 * What a service manager (systemd, or who speaks as it does) hands to a process
 * by its environment, see sd_listen_fds(3).  Who takes it removes the
 * variables, so that no child takes for its own what is not.  With no other
 * thread running: the environment belongs to all of them.
 */
#ifndef LH_OS_MANAGER_H
#define LH_OS_MANAGER_H

#include "base/err.h"

/* Sockets that were opened before, for this process; all zero: none. */
struct lh_passed {
    int first; /* descriptor; the others follow it */
    unsigned n;
    char *names; /* allocated; of all, with ":" between; NULL: they have none */
};

/* LHTTPD_EINVAL: the variables make no sense; LHTTPD_ENOMEM. */
int lh_manager_sockets(struct lh_passed *passed, struct lh_err *err);

#endif
