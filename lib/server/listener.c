/* The listening sockets: see listener.h. */
#include "server/listener.h"

#include "lhttpd.h"
#include "net/tls.h"
#include "os/fd.h"

#include <string.h>

void lh_listeners_init(struct lh_listeners *l, const struct lh_log *log)
{
    l->log = log;
}

/* --- set up --------------------------------------------------------------- */

/* A listener that redirects to HTTPS cannot speak TLS itself. */
int lh_listener_check(unsigned flags, struct lh_err *err)
{
    const unsigned both = LHTTPD_LISTEN_TLS | LHTTPD_LISTEN_REDIRECT;

    if (flags & ~(both | LHTTPD_LISTEN_PROXY))
        return lh_err_set(err, LHTTPD_EINVAL, "there are no flags 0x%x",
                          flags & ~(both | LHTTPD_LISTEN_PROXY));
    if ((flags & both) == both)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "a listener speaks TLS or redirects to it, not both");
    if ((flags & LHTTPD_LISTEN_TLS) && !lh_tls_library())
        return lh_err_set(err, LHTTPD_EINVAL,
                          "TLS is not built in (LHTTPD_TLS=none)");
    return 0;
}

/* The table has a fixed size, so that workers can look at it without a lock. */
static int check_room(const struct lh_listeners *l, struct lh_err *err)
{
    if (l->n < LH_LISTENERS_MAX)
        return 0;
    return lh_err_set(err, LHTTPD_EINVAL, "there are %d listeners already",
                      LH_LISTENERS_MAX);
}

/* Its address was filled in before. */
static int add_listener(struct lh_listeners *l, int fd, unsigned flags)
{
    struct lh_listener *added = &l->v[l->n];

    added->fd = fd;
    added->flags = flags;
    atomic_init(&added->owner, LH_OWNER_NONE);
    return (int)l->n++;
}

/* What a unix socket's text begins with, whoever has made it. */
bool lh_listener_is_unix(const struct lh_listener *l)
{
    return strncmp(l->where.text, "unix", 4) == 0;
}

/* Whether what is to be the next listener has the address of another one.  Port
 * 0 is a free one each time. */
static bool is_given_twice(const struct lh_listeners *l)
{
    const struct lh_listener *next = &l->v[l->n];
    bool is_one = next->where.port || lh_listener_is_unix(next);

    for (unsigned i = 0; i < l->n && is_one; i++) {
        if (strcmp(l->v[i].where.text, next->where.text) == 0 &&
            l->v[i].where.zone == next->where.zone)
            return true;
    }
    return false;
}

/* The address of a socket that was adopted may be of another network namespace,
 * so the system is asked first: it says no more than that it is in use. */
int lh_listeners_listen(struct lh_listeners *l, const char *address, int port,
                        unsigned flags, const struct lh_sock_access *access,
                        struct lh_err *err)
{
    bool opens = !(flags & LHTTPD_LISTEN_CHECK);
    int r = check_room(l, err);

    if (r < 0)
        return r;
    struct lh_sock_address *where = &l->v[l->n].where;
    r = opens ? lh_sock_listen(address, port, access, where, err)
              : lh_sock_name(address, port, where, err);
    if ((opens ? r == LHTTPD_EADDRESS : r == 0) && is_given_twice(l))
        r = lh_err_set(err, LHTTPD_EINVAL,
                       "%s: it is listened on already; give it once",
                       where->text);
    return r < 0 ? r : add_listener(l, opens ? r : -1, flags);
}

/* Two listeners on one socket would take each other's clients, and the first
 * that is closed would end the second. */
static int check_not_adopted(const struct lh_listeners *l, int fd,
                             struct lh_err *err)
{
    for (unsigned i = 0; i < l->n; i++) {
        if (lh_fd_same(l->v[i].fd, fd))
            return lh_err_set(
                err, LHTTPD_EINVAL,
                "descriptor %d: its socket is listener %u already", fd, i);
    }
    return 0;
}

int lh_listeners_adopt(struct lh_listeners *l, int fd, unsigned flags,
                       struct lh_err *err)
{
    int r = check_room(l, err);

    if (r == 0)
        r = check_not_adopted(l, fd, err);
    if (r == 0)
        r = lh_sock_adopt(fd, &l->v[l->n].where, err);
    return r < 0 ? r : add_listener(l, fd, flags);
}

unsigned lh_listeners_tls(const struct lh_listeners *l)
{
    unsigned n = 0;

    for (unsigned i = 0; i < l->n; i++)
        n += (l->v[i].flags & LHTTPD_LISTEN_TLS) != 0;
    return n;
}

bool lh_listeners_tls_over_tcp(const struct lh_listeners *l)
{
    for (unsigned i = 0; i < l->n; i++) {
        if ((l->v[i].flags & LHTTPD_LISTEN_TLS) &&
            !lh_listener_is_unix(&l->v[i]))
            return true;
    }
    return false;
}

int lh_listeners_tls_port(const struct lh_listeners *l)
{
    for (unsigned i = 0; i < l->n; i++) {
        if ((l->v[i].flags & LHTTPD_LISTEN_TLS) && l->v[i].where.port)
            return l->v[i].where.port;
    }
    return 0;
}

/* --- the end -------------------------------------------------------------- */

/* True: it was the last share, so that nobody looks at the table any more and
 * the caller may close what is in it. */
bool lh_listeners_leave(struct lh_listeners *l)
{
    return atomic_fetch_sub(&l->in_use, 1) == 1;
}

/* Whoever holds a share of the listeners keeps the workers from closing them,
 * so one more share is taken first. */
void lh_listeners_vacate(struct lh_listeners *l, int fd)
{
    if (atomic_fetch_add(&l->in_use, 1) == 0)
        return; /* they are closed */
    for (unsigned i = 0; i < l->n; i++) {
        atomic_store(&l->v[i].owner, LH_OWNER_GONE);
        lh_listener_hide(l, i);
        lh_sock_replace(l->v[i].fd, fd);
    }
}

void lh_listener_hide(struct lh_listeners *l, unsigned i)
{
    struct lh_err err;

    if (lh_sock_address_deinit(&l->v[i].where, l->v[i].fd, &err) < 0)
        lh_log(l->log, LHTTPD_LOG_NOTICE, NULL, "%s", err.text);
}

void lh_listener_close(struct lh_listeners *l, unsigned i)
{
    if (l->v[i].fd < 0)
        return;
    lh_listener_hide(l, i);
    lh_sock_close(l->v[i].fd);
    l->v[i].fd = -1;
}

void lh_listeners_close(struct lh_listeners *l)
{
    for (unsigned i = 0; i < l->n; i++)
        lh_listener_close(l, i);
}
