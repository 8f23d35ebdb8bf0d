/*
 * Sockets: listening, accepting, receiving, sending.  All of them are
 * non-blocking and close-on-exec.
 */
#ifndef LH_OS_SOCK_H
#define LH_OS_SOCK_H

#include "base/err.h"
#include "base/place.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where a listener is. */
struct lh_sock_address {
    int port;        /* 0 for a unix socket */
    uint32_t zone;   /* of a link-local address, which the text is without */
    char text[128];  /* "[::]:443", "127.0.0.1:80", "unix:/run/x": for words */
    char *unix_path; /* allocated; the file that listen made, or NULL */
    dev_t unix_dev;  /* ... and which file that is */
    ino_t unix_ino;
};

/* Whose the file of a unix socket is, and its mode; LH_SOCK_AS_MADE: as bind
 * has made it. */
#define LH_SOCK_AS_MADE UINT32_MAX
struct lh_sock_access {
    uint32_t uid, gid, mode;
};

/*
 * Binds and listens as lhttpd_server_listen() says: `address` NULL is IPv6 and
 * IPv4 by one dual-stack socket, or IPv4 alone where the kernel has no IPv6.
 * Returns the descriptor, or with words LHTTPD_EINVAL (no such address can be),
 * LHTTPD_EADDRESS or LHTTPD_ENOMEM.
 * SO_REUSEADDR; a unix socket that nobody answers on is replaced, and takes
 * clients only once it has its owner, group and mode (`access`, NULL: as made).
 */
int lh_sock_listen(const char *address, int port,
                   const struct lh_sock_access *access,
                   struct lh_sock_address *where, struct lh_err *err);
/* What that would listen on, in `where`, which then owns nothing; 0 or
 * LHTTPD_EINVAL. */
int lh_sock_name(const char *address, int port, struct lh_sock_address *where,
                 struct lh_err *err);
/* Checks that fd is a listening stream socket and makes it ours in the same
 * way; 0 or LHTTPD_EADDRESS.  Others may serve it too: nothing that they do to
 * it makes lh_sock_accept() wait. */
int lh_sock_adopt(int fd, struct lh_sock_address *where, struct lh_err *err);
/* Removes the unix socket's file, if listen made one, it is still that one, and
 * nobody has adopted `fd`, its socket, in the meantime.  Before the listener is
 * closed: until then no other file can have its number.  LHTTPD_ESYSTEM: the
 * file is there and cannot be removed. */
int lh_sock_address_deinit(struct lh_sock_address *where, int fd,
                           struct lh_err *err);

/* Numeric addresses of both ends of a connection; "unix" and 0 for a unix
 * socket; IPv4-mapped IPv6 is written as IPv4. */
struct lh_sock_ends {
    char local[46], remote[46];
    int local_port, remote_port;
};

/* One client: its descriptor, or a negative errno.  TCP_NODELAY is set, and who
 * vanishes without a word is lost after two minutes. */
int lh_sock_accept(int listener, struct lh_sock_ends *ends);

/* What such an error says of the listener. */
enum lh_not_accepted {
    LH_ACCEPT_NONE,    /* no client waits (any longer) */
    LH_ACCEPT_NO_ROOM, /* out of descriptors or kernel memory: pause */
    LH_ACCEPT_FAILED,  /* it may work the next time: pause */
    LH_ACCEPT_BROKEN,  /* it is no listening socket (any more) */
};
enum lh_not_accepted lh_sock_not_accepted(int listener, int error);

/* Does a client wait?  Lack of room is told without looking. */
bool lh_sock_has_client(int listener);

/* Octets moved; 0 from receive: the peer's FIN; LH_SYS_EAGAIN: would block;
 * another negative errno: the connection is lost.  EINTR is retried; sending
 * never raises SIGPIPE. */
ssize_t lh_sock_receive(int fd, void *out, size_t n);
/* As receive, of octets that nobody wants: `out` has room for n, and holds
 * nothing afterwards.  TCP drops them without a copy. */
ssize_t lh_sock_discard(int fd, void *out, size_t n);
/* As receive, but what it tells is still to be received. */
ssize_t lh_sock_peek(int fd, void *out, size_t n);
ssize_t lh_sock_send(int fd, const void *p, size_t n);
/* As send, and more follows at once, which TCP may wait for: so a head does not
 * travel in a packet of its own. */
ssize_t lh_sock_send_more(int fd, const void *p, size_t n);
/* As send, of octets of a place, without a copy; 0: they are not there, or the
 * system cannot.  A thread that does not block SIGPIPE may get one. */
ssize_t lh_sock_move(int fd, const struct lh_place *place, size_t n);
/* How much of what was sent the peer's system has not taken; on a unix socket,
 * the peer itself.  With what the kernel counts besides; 0: nothing. */
size_t lh_sock_untaken(int fd);
size_t lh_sock_unread(int fd); /* what has come and was not received yet */
void lh_sock_shutdown(int fd); /* our sending side */
void lh_sock_abort(int fd);    /* closing it will be a reset */
void lh_sock_close(int fd);
/* Closes it, but keeps its number, which becomes one more of `other`. */
void lh_sock_replace(int fd, int other);

#endif
