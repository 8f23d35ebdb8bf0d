/*
 * Names of hosts, looked up as the system does it (getaddrinfo, which knows
 * /etc/hosts, nsswitch.conf, DNS, mDNS), by helper threads, since that waits.
 *
 * A look-up cannot be ended safely.  So nobody waits for one that is not wanted
 * any more: it owns all that it uses, and its thread ends once the system has
 * answered, be that after the worker's end.
 */
#ifndef LH_OS_RESOLVE_H
#define LH_OS_RESOLVE_H

#include "base/list.h"
#include "os/connect.h"

#include <stdbool.h>

struct lh_lookup;
struct lh_port;

/* As many addresses of a name are tried. */
#define LH_RESOLVED_MAX 16

/* So many look-ups of a worker run at once, the others wait their turn. */
#define LH_LOOKUPS_MAX 8

struct lh_resolved {
    struct lh_address v[LH_RESOLVED_MAX]; /* as the system prefers them */
    unsigned n;
    const char *why; /* n == 0: what is wrong with the name, a constant; or */
    int error;       /* a negative errno */
};

/* Of one worker. */
struct lh_resolver {
    struct lh_port *port; /* where outcomes come to; the worker's */
    struct lh_list waiting, running;
    unsigned running_n;
};

void lh_resolver_init(struct lh_resolver *r, struct lh_port *port);

/* The worker ends: what runs is left to itself. */
void lh_resolver_deinit(struct lh_resolver *r);

/* Is it a numeric address?  Then nobody is asked, and *out has it.  The port is
 * from 1 to 65535. */
bool lh_resolve_numeric(const char *host, int port, struct lh_resolved *out);

/* Begins; `done` is called once, on the worker's thread, unless the look-up was
 * left before.  What it is given is valid during the call; the look-up is over
 * then.  NULL: no memory. */
struct lh_lookup *
lh_lookup_new(struct lh_resolver *r, const char *host, int port,
              void (*done)(void *owner, const struct lh_resolved *found),
              void *owner);
void lh_lookup_leave(struct lh_lookup *lookup);

#endif
