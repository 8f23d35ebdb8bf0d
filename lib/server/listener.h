/*
 * The listening sockets of a server.  Set up before start; while workers run
 * the descriptors are read-only, `owner` says in an atomic whose event queue a
 * listener is armed in (handover.h), and the last worker that leaves them
 * closes them.
 */
#ifndef LH_SERVER_LISTENER_H
#define LH_SERVER_LISTENER_H

#include "base/err.h"
#include "base/log.h"
#include "os/sock.h"

#include <stdatomic.h>

#define LH_LISTENERS_MAX 64

/* No worker has the listener armed: the next one that waits takes it. */
#define LH_OWNER_NONE (-1)
/* It takes no clients any more: no worker touches it. */
#define LH_OWNER_GONE (-2)

struct lh_listener {
    int fd;         /* -1 once closed, and with LHTTPD_LISTEN_CHECK */
    unsigned flags; /* LHTTPD_LISTEN_... */
    struct lh_sock_address where;
    _Atomic int owner; /* a worker's number, or one of the two above */
};

struct lh_listeners {
    struct lh_listener v[LH_LISTENERS_MAX];
    unsigned n;
    _Atomic unsigned in_use; /* workers that still accept */
    const struct lh_log *log;
};

/* `l` is zeroed. */
void lh_listeners_init(struct lh_listeners *l, const struct lh_log *log);

/* LHTTPD_EINVAL: no listener can have these flags. */
int lh_listener_check(unsigned flags, struct lh_err *err);

/* Adds one, a new socket or the program's own; returns its number.  The
 * arguments are those of the public functions; flags were checked.
 * LHTTPD_EINVAL, LHTTPD_EADDRESS, LHTTPD_ESYSTEM. */
int lh_listeners_listen(struct lh_listeners *l, const char *address, int port,
                        unsigned flags, const struct lh_sock_access *access,
                        struct lh_err *err);
int lh_listeners_adopt(struct lh_listeners *l, int fd, unsigned flags,
                       struct lh_err *err);

bool lh_listener_is_unix(const struct lh_listener *l);

/* Is there one to which clients of others can be redirected?  Its port may not
 * be known before it is opened. */
bool lh_listeners_tls_over_tcp(const struct lh_listeners *l);

/* How many are TLS, and the port of the first of these that has one, or 0. */
unsigned lh_listeners_tls(const struct lh_listeners *l);
int lh_listeners_tls_port(const struct lh_listeners *l);

/* One worker accepts no longer; true: it was the last one, and closes them. */
bool lh_listeners_leave(struct lh_listeners *l);

/* Takes them away from a worker that never ends and still knows their numbers:
 * these stay in use, for `fd`, which has no clients. */
void lh_listeners_vacate(struct lh_listeners *l, int fd);

/* A unix socket has no file any more, so that nobody new finds it; and closes
 * it, or all. */
void lh_listener_hide(struct lh_listeners *l, unsigned i);
void lh_listener_close(struct lh_listeners *l, unsigned i);
void lh_listeners_close(struct lh_listeners *l);

#endif
