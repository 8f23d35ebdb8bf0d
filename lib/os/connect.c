/* Connecting to somebody else's socket: see connect.h. */
#include "os/connect.h"

#include "os/error.h"
#include "os/fd.h"
#include "os/sock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

_Static_assert(sizeof(struct sockaddr_un) <= LH_ADDRESS_BYTES &&
                   sizeof(struct sockaddr_in6) <= LH_ADDRESS_BYTES,
               "every family that is connected to has room");

bool lh_address_of_path(const char *path, struct lh_address *to)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(local.sun_path))
        return false;
    memcpy(local.sun_path, path, n);
    memcpy(to->octets, &local, sizeof(local));
    to->n = sizeof(local);
    return true;
}

static int family_of(const struct lh_address *to)
{
    struct sockaddr any;

    memcpy(&any, to->octets, sizeof(any));
    return any.sa_family;
}

bool lh_address_is_ipv6(const struct lh_address *to)
{
    return family_of(to) == AF_INET6;
}

/* An interrupted one goes on by itself. */
int lh_connect_begin(const struct lh_address *to, int *out)
{
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = lh_fd_above(socket(family_of(to), type, 0));
    int on = 1;

    *out = -1;
    if (fd < 0)
        return fd;
    /* For unix sockets there is no such option. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    const struct sockaddr *a =
        (const struct sockaddr *)(const void *)to->octets;
    int r = connect(fd, a, (socklen_t)to->n) < 0 ? -errno : 0;
    if (r == -EINTR)
        r = -EINPROGRESS;
    if (r == 0 || r == -EINPROGRESS) {
        *out = fd;
        return r;
    }
    lh_sock_close(fd);
    return r == -EWOULDBLOCK ? -EAGAIN : r;
}

/* A report that came too early finds a socket without a peer. */
int lh_connect_result(int fd)
{
    struct sockaddr_storage peer;
    socklen_t n = sizeof(int);
    int error = 0;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
        return -errno;
    if (error)
        return -error;
    n = sizeof(peer);
    if (getpeername(fd, (struct sockaddr *)&peer, &n) == 0)
        return 0;
    return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

bool lh_connect_error_is_vague(int error)
{
    return error == -ENETUNREACH || error == -EADDRNOTAVAIL ||
           error == -EAFNOSUPPORT || error == -EHOSTUNREACH;
}
