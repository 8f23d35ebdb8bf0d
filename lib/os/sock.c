/*
 * Sockets: see sock.h.  Every socket that leaves this file does not wait, is
 * closed in programs that are started, and has a number above 2.  Setting one
 * up fails in words, for who starts the server; moving octets fails by a
 * negative errno, for the worker.
 */
#include "os/sock.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/splice.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"

/* Only Linux can be told with the octets themselves. */
#ifdef MSG_MORE
#define MORE MSG_MORE
#else
#define MORE 0
#endif

/* Octets that the kernel has not sent yet: Linux's name for it. */
#ifndef FIONWRITE
#define FIONWRITE TIOCOUTQ
#endif

/* How many clients that are gone already one call skips. */
#define ACCEPT_TRIES 32

/* Room for an address of every family that is served, and for none that is
 * larger. */
union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage room;
};

/* ---- addresses in words ---- */

/* As inet_ntop() does, which goes by printf() and takes some 1,500
 * instructions; each connection has two addresses. */
static void ipv4_numeric(const void *address, char *out)
{
    const uint8_t *octets = address;

    for (int i = 0; i < 4; i++) {
        out += lh_u64_to_dec(out, octets[i]);
        *out++ = i < 3 ? '.' : '\0';
    }
}

static void address_numeric(const union address *a, char out[46], int *port)
{
    const struct in6_addr *v6 = &a->v6.sin6_addr;

    *port = 0;
    switch (a->any.sa_family) {
    case AF_INET:
        ipv4_numeric(&a->v4.sin_addr, out);
        *port = ntohs(a->v4.sin_port);
        break;
    case AF_INET6:
        if (IN6_IS_ADDR_V4MAPPED(v6))
            ipv4_numeric(v6->s6_addr + 12, out);
        else
            inet_ntop(AF_INET6, v6, out, 46);
        *port = ntohs(a->v6.sin6_port);
        break;
    default:
        memcpy(out, "unix", sizeof("unix"));
    }
}

/* A name outside of the file system has a zero in the place of the "@" that
 * systemd writes. */
static void describe_unix(const union address *a, struct lh_sock_address *where)
{
    const char *path = a->local.sun_path;
    size_t room = sizeof(a->local.sun_path);
    bool named = path[0] == '\0' && path[1] != '\0';

    snprintf(where->text, sizeof(where->text), UNIX_PREFIX "%s%.*s",
             named ? "@" : "", (int)(named ? room - 1 : room),
             named ? path + 1 : path);
}

/* As it is written in a URL, with brackets around IPv6. */
static void address_describe(const union address *a,
                             struct lh_sock_address *where)
{
    char host[46];

    address_numeric(a, host, &where->port);
    where->zone = a->any.sa_family == AF_INET6 ? a->v6.sin6_scope_id : 0;
    if (a->any.sa_family == AF_UNIX)
        describe_unix(a, where);
    else if (strchr(host, ':'))
        snprintf(where->text, sizeof(where->text), "[%s]:%d", host,
                 where->port);
    else
        snprintf(where->text, sizeof(where->text), "%s:%d", host, where->port);
}

static bool is_tcp(const union address *a)
{
    return a->any.sa_family == AF_INET || a->any.sa_family == AF_INET6;
}

/* ---- listening ---- */

static int refuse_listener(struct lh_err *err, const char *call,
                           const struct lh_sock_address *where, int error)
{
    const char *words = lh_sys_text(error);

    if (error == -EACCES && where->port)
        words = "permission denied; choose another port";
    else if (error == -EACCES)
        words = "permission denied";
    else if (error == -EADDRINUSE)
        words = "address in use; choose another port";
    else if (error == -EADDRNOTAVAIL)
        words = "not an address of this machine";
    return lh_err_set(err, LHTTPD_EADDRESS, "%s %s: %s", call, where->text,
                      words);
}

static void set_flag(int fd, int level, int option, int value)
{
    /* What cannot be set only makes things slower, or fails in bind. */
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

static int stream_socket(int family)
{
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

    return lh_fd_above(socket(family, type, 0));
}

/* What the kernel holds of a response beyond what is on its way.  More of it
 * would be memory for nothing; and on loopback a client that is slower than the
 * server would have to send it on to itself, which halves what gets through. */
#define UNSENT_BYTES (64 << 10)

/* A peer that is silent for a minute is asked whether it is still there, four
 * times within another one.  Accepted sockets inherit all of it from their
 * listener, which saves calls for each. */
static void set_tcp_options(int fd)
{
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_flag(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set_flag(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set_flag(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
    set_flag(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_NOTSENT_LOWAT
    set_flag(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
#endif
}

/* SO_REUSEADDR: a server that is started again need not wait until the
 * connections of the former one are forgotten. */
static int tcp_socket(int family, bool dual_stack)
{
    int fd = stream_socket(family);

    if (fd < 0)
        return fd;
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_tcp_options(fd);
    if (family == AF_INET6)
        set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    return fd;
}

/* Begins to listen on a bound socket, and finds out its port. */
static int begin_listening(int fd, struct lh_sock_address *where,
                           struct lh_err *err)
{
    union address a;
    socklen_t n = sizeof(a);

    /* As many clients may wait as the system allows. */
    if (listen(fd, INT_MAX) < 0)
        return refuse_listener(err, "listen", where, -errno);
    if (getsockname(fd, &a.any, &n) < 0)
        return refuse_listener(err, "getsockname", where, -errno);
    if (is_tcp(&a))
        address_describe(&a, where);
    return fd;
}

/* One address.  On failure nothing stays open. */
static int listen_tcp(const union address *a, socklen_t n, bool dual_stack,
                      struct lh_sock_address *where, struct lh_err *err)
{
    int fd = tcp_socket(a->any.sa_family, dual_stack);

    address_describe(a, where);
    if (fd < 0)
        return refuse_listener(err, "socket", where, fd);
    int result = bind(fd, &a->any, n) < 0
                     ? refuse_listener(err, "bind", where, -errno)
                     : begin_listening(fd, where, err);
    if (result < 0)
        close(fd);
    return result;
}

/* Whether the kernel has IPv6 and did not switch it off. */
static bool have_ipv6(void)
{
    union address a = {.v6 = {.sin6_family = AF_INET6}};
    int fd = stream_socket(AF_INET6);

    if (fd < 0)
        return fd != -EAFNOSUPPORT;
    bool have = bind(fd, &a.any, sizeof(a.v6)) == 0 || errno != EADDRNOTAVAIL;
    close(fd);
    return have;
}

/* Where the kernel has IPv6 one socket serves both, and clients of IPv4 have
 * mapped addresses. */
static socklen_t address_of_all(int port, union address *a)
{
    in_port_t net_port = htons((uint16_t)port);

    if (have_ipv6()) {
        *a = (union address){
            .v6 = {.sin6_family = AF_INET6, .sin6_port = net_port}};
        return sizeof(a->v6);
    }
    *a = (union address){.v4 = {.sin_family = AF_INET, .sin_port = net_port}};
    return sizeof(a->v4);
}

/* Of IPv6; but one of IPv4 that is written as such is bound as what it is. */
static socklen_t address_take(union address *a, const void *from, int port)
{
    in_port_t net_port = htons((uint16_t)port);

    memcpy(&a->v6, from, sizeof(a->v6));
    a->v6.sin6_port = net_port;
    if (!IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        return sizeof(a->v6);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = net_port};
    memcpy(&v4.sin_addr, a->v6.sin6_addr.s6_addr + 12, sizeof(v4.sin_addr));
    a->v4 = v4;
    return sizeof(a->v4);
}

/* A numeric address; 0: it is none.  The resolver is asked for IPv6 alone, for
 * zones as in "fe80::1%eth0"; for IPv4 it takes "80" for an address, too. */
static socklen_t address_parse(const char *address, int port, union address *a)
{
    struct addrinfo hints = {.ai_family = AF_INET6,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;

    *a = (union address){
        .v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    if (inet_pton(AF_INET, address, &a->v4.sin_addr) == 1)
        return sizeof(a->v4);
    if (getaddrinfo(address, NULL, &hints, &found) != 0)
        return 0;
    socklen_t n = address_take(a, found->ai_addr, port);
    freeaddrinfo(found);
    return n;
}

/* ---- listening on unix sockets ---- */

/* Removes a socket file that nobody listens on any more. */
static int remove_stale(const union address *a,
                        const struct lh_sock_address *where, struct lh_err *err)
{
    struct stat status;

    if (lstat(a->local.sun_path, &status) < 0)
        return refuse_listener(err, "bind", where, -errno);
    if (!S_ISSOCK(status.st_mode))
        return lh_err_set(err, LHTTPD_EADDRESS,
                          "%s: the file exists and is not a socket",
                          where->text);
    int fd = stream_socket(AF_UNIX);
    if (fd < 0)
        return refuse_listener(err, "socket", where, fd);
    int error = connect(fd, &a->any, sizeof(a->local)) < 0 ? -errno : 0;
    close(fd);
    if (error == 0 || error == -EAGAIN) /* EAGAIN: it has many clients */
        return lh_err_set(err, LHTTPD_EADDRESS,
                          "%s is in use by another server", where->text);
    if (error != -ECONNREFUSED)
        return refuse_listener(err, "connect", where, error);
    if (unlink(a->local.sun_path) < 0)
        return refuse_listener(err, "unlink", where, -errno);
    return 0;
}

/* A file that is left behind by a server that died is in the way of every
 * other; one that somebody listens on stays. */
static int bind_unix(int fd, const union address *a,
                     const struct lh_sock_address *where, struct lh_err *err)
{
    if (bind(fd, &a->any, sizeof(a->local)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return refuse_listener(err, "bind", where, -errno);
    int result = remove_stale(a, where, err);
    if (result == 0 && bind(fd, &a->any, sizeof(a->local)) < 0)
        result = refuse_listener(err, "bind", where, -errno);
    return result;
}

/* Before it listens, so that nobody connects whom the mode keeps out. */
static int set_access(const char *path, const struct lh_sock_access *access,
                      struct lh_sock_address *where, struct lh_err *err)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return refuse_listener(err, "stat", where, -errno);
    where->unix_dev = status.st_dev;
    where->unix_ino = status.st_ino;
    if (!access)
        return 0;
    if ((access->uid != LH_SOCK_AS_MADE || access->gid != LH_SOCK_AS_MADE) &&
        lchown(path, access->uid, access->gid) < 0)
        return refuse_listener(err, "change owner and group of", where, -errno);
    if (access->mode != LH_SOCK_AS_MADE &&
        chmod(path, (mode_t)access->mode) < 0)
        return refuse_listener(err, "change mode of", where, -errno);
    return 0;
}

/* The file exists from bind on.  Whatever fails afterwards removes it again. */
static int listen_unix(const union address *a,
                       const struct lh_sock_access *access,
                       struct lh_sock_address *where, struct lh_err *err)
{
    const char *path = a->local.sun_path;
    int result;

    address_describe(a, where);
    where->unix_path = lh_strdup(path);
    if (!where->unix_path)
        return lh_err_memory(err);
    int fd = stream_socket(AF_UNIX);
    if (fd < 0) {
        result = refuse_listener(err, "socket", where, fd);
        goto err_after_path;
    }
    result = bind_unix(fd, a, where, err);
    if (result < 0)
        goto err_after_socket;
    result = set_access(path, access, where, err);
    if (result == 0)
        result = begin_listening(fd, where, err);
    if (result < 0)
        goto err_after_bind;
    return fd;

err_after_bind:
    unlink(path);
err_after_socket:
    close(fd);
err_after_path:
    lh_free(where->unix_path);
    where->unix_path = NULL;
    return result;
}

static int address_of_path(const char *path, union address *a, socklen_t *n,
                           struct lh_err *err)
{
    size_t length = strlen(path);

    *a = (union address){.local = {.sun_family = AF_UNIX}};
    if (length == 0 || length >= sizeof(a->local.sun_path))
        return lh_err_set(err, LHTTPD_EINVAL,
                          "the path of a unix socket has 1 to %zu octets",
                          sizeof(a->local.sun_path) - 1);
    memcpy(a->local.sun_path, path, length);
    *n = sizeof(a->local);
    return 0;
}

/* Its first letters tell a unix socket.  Everything else must be a numeric
 * address: no name is looked up, which would wait for a server. */
static int address_of(const char *address, int port, union address *a,
                      socklen_t *n, struct lh_err *err)
{
    size_t prefix = sizeof(UNIX_PREFIX) - 1;

    if (address && strncmp(address, UNIX_PREFIX, prefix) == 0)
        return address_of_path(address + prefix, a, n, err);
    if (port < 0 || port > UINT16_MAX)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "port %d is not between 0 and 65535", port);
    *n = address ? address_parse(address, port, a) : address_of_all(port, a);
    return *n ? 0
              : lh_err_set(err, LHTTPD_EINVAL,
                           "'%.100s' is not a numeric address, nor unix:/path",
                           address);
}

int lh_sock_listen(const char *address, int port,
                   const struct lh_sock_access *access,
                   struct lh_sock_address *where, struct lh_err *err)
{
    union address a;
    socklen_t n;

    *where = (struct lh_sock_address){.port = 0};
    int r = address_of(address, port, &a, &n, err);
    if (r < 0)
        return r;
    return is_tcp(&a) ? listen_tcp(&a, n, !address, where, err)
                      : listen_unix(&a, access, where, err);
}

int lh_sock_name(const char *address, int port, struct lh_sock_address *where,
                 struct lh_err *err)
{
    union address a;
    socklen_t n;

    *where = (struct lh_sock_address){.port = 0};
    int r = address_of(address, port, &a, &n, err);
    if (r == 0)
        address_describe(&a, where);
    return r;
}

static bool int_option(int fd, int option, int *value)
{
    socklen_t n = sizeof(*value);

    return getsockopt(fd, SOL_SOCKET, option, value, &n) == 0;
}

/* What is said of a socket holds for all who share it.  O_NONBLOCK is of its
 * open description, and systemd clears that for each further service that it
 * gives the socket to; accepting then ends with this time-out, after one tick
 * of the kernel.  Nobody else sets one on a listener, so it also tells the
 * server that made the socket that it has a successor. */
static void mark_adopted(int fd)
{
    struct timeval shortest = {.tv_usec = 1};

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &shortest, sizeof(shortest));
}

static bool is_adopted(int fd)
{
    struct timeval timeout = {.tv_usec = 0};
    socklen_t n = sizeof(timeout);

    return getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &n) == 0 &&
           (timeout.tv_sec || timeout.tv_usec);
}

/* Sockets that a supervisor has opened are checked, for a mistake there would
 * be found by the first client only. */
int lh_sock_adopt(int fd, struct lh_sock_address *where, struct lh_err *err)
{
    union address a = {.room = {.ss_family = AF_UNSPEC}}; /* zeros behind it */
    socklen_t n = sizeof(a);
    int type, listens;

    *where = (struct lh_sock_address){.port = 0};
    if (!int_option(fd, SO_TYPE, &type) ||
        !int_option(fd, SO_ACCEPTCONN, &listens) ||
        getsockname(fd, &a.any, &n) < 0)
        return lh_err_set(err, LHTTPD_EADDRESS, "descriptor %d: %s", fd,
                          lh_sys_text(-errno));
    if (type != SOCK_STREAM || !listens ||
        (!is_tcp(&a) && a.any.sa_family != AF_UNIX))
        return lh_err_set(err, LHTTPD_EADDRESS,
                          "descriptor %d is not a listening stream socket", fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return lh_err_set(err, LHTTPD_EADDRESS, "descriptor %d: %s", fd,
                          lh_sys_text(-errno));
    if (is_tcp(&a))
        set_tcp_options(fd);
    mark_adopted(fd);
    address_describe(&a, where);
    return 0;
}

/* Another server may have replaced it, and a root directory hides it. */
static bool is_still_there(const struct lh_sock_address *where)
{
    struct stat status;

    return lstat(where->unix_path, &status) == 0 &&
           status.st_dev == where->unix_dev && status.st_ino == where->unix_ino;
}

int lh_sock_address_deinit(struct lh_sock_address *where, int fd,
                           struct lh_err *err)
{
    int result = 0;

    if (where->unix_path && !is_adopted(fd) && is_still_there(where) &&
        unlink(where->unix_path) < 0 && errno != ENOENT)
        result = lh_err_set(err, LHTTPD_ESYSTEM, "%s stays behind: %s",
                            where->text, lh_sys_text(-errno));
    lh_free(where->unix_path);
    where->unix_path = NULL;
    return result;
}

/* ---- connections ---- */

/* An error that only says that one client is gone already, or that the network
 * had trouble with it (Linux reports what was pending on the new socket). */
static bool concerns_one_client(int error)
{
    static const int errors[] = {
#ifdef ENONET
        ENONET,
#endif
        ECONNABORTED, EINTR,       EPERM,     EPROTO,
        ENETDOWN,     ENOPROTOOPT, EHOSTDOWN, EHOSTUNREACH,
        EOPNOTSUPP,   ENETUNREACH, ETIMEDOUT, ECONNRESET,
    };

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (-errors[i] == error)
            return true;
    }
    return false;
}

/* Both ends are told as they were when it came; a client that is gone already
 * has none here. */
static void set_ends(int fd, const union address *remote,
                     struct lh_sock_ends *ends)
{
    union address local = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t n = sizeof(local);

    if (getsockname(fd, &local.any, &n) < 0)
        local = (union address){.any = {.sa_family = AF_UNSPEC}};
    address_numeric(&local, ends->local, &ends->local_port);
    address_numeric(remote, ends->remote, &ends->remote_port);
}

static bool is_listening(int fd)
{
    int yes = 0;

    return int_option(fd, SO_ACCEPTCONN, &yes) && yes;
}

/* Clients that went away while they waited are passed over, but not for ever:
 * each costs a call. */
int lh_sock_accept(int listener, struct lh_sock_ends *ends)
{
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = -EAGAIN;

    for (int tries = 0; tries < ACCEPT_TRIES; tries++) {
        union address remote = {.any = {.sa_family = AF_UNSPEC}};
        socklen_t n = sizeof(remote);

        fd = lh_fd_above(accept4(listener, &remote.any, &n, flags));
        if (fd >= 0) {
            set_ends(fd, &remote, ends);
            return fd;
        }
        if (!concerns_one_client(fd))
            break;
    }
    return fd == -EWOULDBLOCK ? -EAGAIN : fd;
}

/* Only when there is trouble is the kernel asked whether it is a listener at
 * all. */
enum lh_not_accepted lh_sock_not_accepted(int listener, int error)
{
    if (error == -EAGAIN)
        return LH_ACCEPT_NONE;
    if (lh_sys_is_no_room(error))
        return LH_ACCEPT_NO_ROOM;
    return is_listening(listener) ? LH_ACCEPT_FAILED : LH_ACCEPT_BROKEN;
}

/* An error of the socket counts as one, so that accepting tells which. */
bool lh_sock_has_client(int listener)
{
    struct pollfd client = {.fd = listener, .events = POLLIN};

    return poll(&client, 1, 0) != 0;
}

/* Either name of "would block" becomes one. */
static ssize_t moved(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Interrupted calls are repeated: signals have their own place, the event
 * queue. */
static ssize_t receive_some(int fd, void *out, size_t n, int flags)
{
    ssize_t got;

    assert(n > 0); /* or 0 would not mean the FIN */
    do {
        got = recv(fd, out, n, flags);
    } while (got < 0 && errno == EINTR);
    return moved(got);
}

ssize_t lh_sock_receive(int fd, void *out, size_t n)
{
    return receive_some(fd, out, n, 0);
}

ssize_t lh_sock_discard(int fd, void *out, size_t n)
{
    return receive_some(fd, out, n, MSG_TRUNC); /* tcp(7); unix sockets copy */
}

ssize_t lh_sock_peek(int fd, void *out, size_t n)
{
    return receive_some(fd, out, n, MSG_PEEK);
}

static ssize_t send_flagged(int fd, const void *p, size_t n, int flags)
{
    ssize_t sent;

    do {
        sent = send(fd, p, n, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return moved(sent);
}

ssize_t lh_sock_send(int fd, const void *p, size_t n)
{
    return send_flagged(fd, p, n, 0);
}

ssize_t lh_sock_send_more(int fd, const void *p, size_t n)
{
    return send_flagged(fd, p, n, MORE);
}

/* The pipe is read without waiting, too: what it has is known.  What is not the
 * client's doing is left to who gets the octets in another way: a file may
 * fail, and a filter may refuse the call. */
ssize_t lh_sock_move(int fd, const struct lh_place *place, size_t n)
{
    bool piped = place->at == LH_PLACE_PIPE;
    ssize_t sent;

    do {
        sent = piped ? lh_splice_out(place->fd, fd, n)
                     : lh_splice_file(place->fd, (off_t)place->at, fd, n);
    } while (sent == -EINTR);
    if (sent == -EWOULDBLOCK)
        return -EAGAIN;
    if (sent < 0 && sent != -EPIPE && sent != -ECONNRESET)
        return 0;
    return sent;
}

size_t lh_sock_untaken(int fd)
{
    int n;

    return ioctl(fd, FIONWRITE, &n) == 0 && n > 0 ? (size_t)n : 0;
}

size_t lh_sock_unread(int fd)
{
    int n;

    return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

void lh_sock_shutdown(int fd)
{
    shutdown(fd, SHUT_WR);
}

/* No FIN but a reset: the client's system forgets the connection at once. */
void lh_sock_abort(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

/* The number stays taken while threads may still use it, and the port becomes
 * free. */
void lh_sock_replace(int fd, int other)
{
    dup3(other, fd, O_CLOEXEC);
}

void lh_sock_close(int fd)
{
    close(fd);
}
