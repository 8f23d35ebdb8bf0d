/* Sockets on loopback and in a directory of their own. */
#include "os/fd.h"
#include "os/sock.h"

#include "os/error.h"

#include "base/mem.h"
#include "lib/deny.h"
#include "lib/emulated.h"
#include "lib/forked.h"
#include "lib/heap.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/test_sock.XXXXXX";
static char path[64], address[80];
static struct lh_err err;

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof(path), "%s/s", directory);
    snprintf(address, sizeof(address), "unix:%s", path);
    test_heap_install();
    return 0;
}

static int tear_down(void **state)
{
    long live = test_heap_live();

    (void)state;
    test_heap_uninstall();
    unlink(path);
    return live == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static int listen_at(const char *where, int port, struct lh_sock_address *a)
{
    int fd = lh_sock_listen(where, port, NULL, a, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

/* A client by plain calls; blocking, so that it is connected on return. */
static int dial(int family, const char *host, int port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)port)};
    int fd = socket(family, SOCK_STREAM, 0), result;

    if (fd < 0)
        return -1;
    if (family == AF_INET) {
        inet_pton(family, host, &v4.sin_addr);
        result = connect(fd, (struct sockaddr *)&v4, sizeof(v4));
    } else {
        inet_pton(family, host, &v6.sin6_addr);
        result = connect(fd, (struct sockaddr *)&v6, sizeof(v6));
    }
    if (result < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int dial_unix(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(a.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, 60000), 1);
}

static int accept_one(int listener, struct lh_sock_ends *ends)
{
    wait_readable(listener);
    int fd = lh_sock_accept(listener, ends);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    return fd;
}

static void test_ipv4(void **state)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;
    int nodelay = 0, reuse = 0, alive = 0, idle_s = 0, fd = -1;
    socklen_t n = sizeof(nodelay);
    char text[64];

    (void)state;
    int listener = listen_at("127.0.0.1", 0, &a);
    assert_int_equal(getsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &reuse, &n),
                     0);
    assert_true(reuse);
    assert_true(a.port > 0);
    snprintf(text, sizeof(text), "127.0.0.1:%d", a.port);
    assert_string_equal(a.text, text);
    assert_null(a.unix_path);
    assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(lh_sock_accept(listener, &ends), LH_SYS_EAGAIN);
    int client = dial(AF_INET, "127.0.0.1", a.port);
    fd = accept_one(listener, &ends);
    assert_string_equal(ends.local, "127.0.0.1");
    assert_string_equal(ends.remote, "127.0.0.1");
    assert_int_equal(ends.local_port, a.port);
    assert_true(ends.remote_port > 0 && ends.remote_port != a.port);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &n), 0);
    assert_true(nodelay);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &alive, &n), 0);
    assert_true(alive);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, &n), 0);
    assert_int_equal(idle_s, 60);
#ifdef TCP_NOTSENT_LOWAT
    int unsent = 0;
    assert_int_equal(
        getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, &n), 0);
    assert_int_equal(unsent, 64 << 10);
#endif
    lh_sock_close(fd);
    close(client);
    lh_sock_address_deinit(&a, listener, &err);
    lh_sock_close(listener);
}

static bool ipv6_works(void)
{
    struct lh_sock_address a;
    int fd = lh_sock_listen("::1", 0, NULL, &a, &err);

    if (fd < 0) {
        print_message("no IPv6 here: %s\n", err.text);
        return false;
    }
    lh_sock_close(fd);
    return true;
}

/* One socket serves both; an IPv4 client is written as such. */
static void test_dual_stack(void **state)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;

    (void)state;
    int listener = listen_at(NULL, 0, &a);
    int client = dial(AF_INET, "127.0.0.1", a.port);
    assert_true(client >= 0);
    lh_sock_close(accept_one(listener, &ends));
    close(client);
    assert_string_equal(ends.remote, "127.0.0.1");
    assert_string_equal(ends.local, "127.0.0.1");
    if (ipv6_works()) {
        assert_memory_equal(a.text, "[::]:", 5);
        client = dial(AF_INET6, "::1", a.port);
        assert_true(client >= 0);
        lh_sock_close(accept_one(listener, &ends));
        close(client);
        assert_string_equal(ends.remote, "::1");
        assert_int_equal(ends.local_port, a.port);
    } else {
        assert_memory_equal(a.text, "0.0.0.0:", 8);
    }
    lh_sock_close(listener);
}

/* Though a socket of IPv6 alone could not have it. */
static void test_ipv4_written_as_ipv6(void **state)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;
    char text[64];

    (void)state;
    int listener = listen_at("::ffff:127.0.0.1", 0, &a);
    snprintf(text, sizeof(text), "127.0.0.1:%d", a.port);
    assert_string_equal(a.text, text);
    int client = dial(AF_INET, "127.0.0.1", a.port);
    lh_sock_close(accept_one(listener, &ends));
    close(client);
    assert_string_equal(ends.remote, "127.0.0.1");
    assert_int_equal(ends.local_port, a.port);
    lh_sock_close(listener);
}

/* "::" written out is IPv6 alone: "0.0.0.0" can listen besides. */
static void test_ipv6_alone(void **state)
{
    struct lh_sock_address a, b;

    (void)state;
    if (!ipv6_works())
        skip();
    int v6 = listen_at("::", 0, &a);
    int v4 = listen_at("0.0.0.0", a.port, &b);
    assert_int_equal(a.port, b.port);
    lh_sock_close(v6);
    lh_sock_close(v4);
}

static void assert_refuses(int code, const char *where, int port,
                           const char *words)
{
    struct lh_sock_address a;

    err.text[0] = '\0';
    assert_int_equal(lh_sock_listen(where, port, NULL, &a, &err), code);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_null(a.unix_path);
}

/* The system may give it another time. */
static void assert_refused(const char *where, int port, const char *words)
{
    assert_refuses(LHTTPD_EADDRESS, where, port, words);
}

/* Nor can it be named without opening it. */
static void assert_no_address(const char *where, int port, const char *words)
{
    struct lh_sock_address a;

    assert_refuses(LHTTPD_EINVAL, where, port, words);
    assert_int_equal(lh_sock_name(where, port, &a, &err), LHTTPD_EINVAL);
    assert_non_null(strstr(err.text, words));
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = {
        "",  "localhost", "127.0.0",   "80",     "1.2.3.4:80",
        "*", "::1::",     "256.1.1.1", "/tmp/x", "127.0.0.1 "};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_no_address(bad[i], 0, "is not a numeric address");
    assert_no_address(NULL, -1, "port -1");
    assert_no_address("127.0.0.1", 65536, "port 65536");
    /* A documentation address (RFC 5737) that no machine has. */
    assert_refused("192.0.2.1", 0,
                   "bind 192.0.2.1:0: not an address of this machine");
}

static void test_address_in_use(void **state)
{
    struct lh_sock_address a;
    char words[100];

    (void)state;
    int listener = listen_at("127.0.0.1", 0, &a);
    snprintf(words, sizeof(words),
             "bind 127.0.0.1:%d: address in use; choose another port", a.port);
    assert_refused("127.0.0.1", a.port, words);
    lh_sock_close(listener);
}

static int listen_as_nobody(void *unused)
{
    struct lh_sock_address a;

    (void)unused;
    if (geteuid() == 0 && setuid(65534) < 0)
        return 2;
    lh_sock_listen("127.0.0.1", 1, NULL, &a, &err);
    return strcmp(err.text, "bind 127.0.0.1:1: permission denied; choose "
                            "another port") != 0;
}

/* Ports under 1024 are root's, unless the system's limit was lowered. */
static void test_permission(void **state)
{
    int limit = 1024;
    FILE *f = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");

    (void)state;
    if (f && fscanf(f, "%d", &limit) != 1)
        limit = 1024;
    if (f)
        fclose(f);
    if (limit < 2) {
        print_message("everybody may have port 1 here\n");
        skip();
    }
    assert_int_equal(test_forked(listen_as_nobody, NULL), 0);
}

static void test_unix(void **state)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;

    (void)state;
    int listener = listen_at(address, 80, &a);
    assert_int_equal(a.port, 0);
    assert_string_equal(a.text, address);
    assert_string_equal(a.unix_path, path);
    int client = dial_unix();
    assert_true(client >= 0);
    lh_sock_close(accept_one(listener, &ends));
    close(client);
    assert_string_equal(ends.local, "unix");
    assert_string_equal(ends.remote, "unix");
    assert_int_equal(ends.local_port, 0);
    assert_int_equal(ends.remote_port, 0);
    assert_refused(address, 0, "is in use by another server");
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(lh_sock_address_deinit(&a, listener, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_null(a.unix_path);
    lh_sock_close(listener);
}

static void test_unix_access(void **state)
{
    struct lh_sock_access wanted = {4711, 4712, 0660};
    struct lh_sock_address a;
    struct stat status;

    (void)state;
    if (geteuid() != 0)
        wanted.uid = wanted.gid = LH_SOCK_AS_MADE;
    int listener = lh_sock_listen(address, 0, &wanted, &a, &err);
    assert_true(listener >= 0);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_int_equal(status.st_uid, geteuid() == 0 ? 4711 : geteuid());
    assert_int_equal(status.st_gid, geteuid() == 0 ? 4712 : getegid());
    assert_int_equal(lh_sock_address_deinit(&a, listener, &err), 0);
    lh_sock_close(listener);
}

/* Somebody removed our file and listens at the same place. */
static void test_unix_of_another_server_stays(void **state)
{
    struct lh_sock_address a, b;

    (void)state;
    int ours = listen_at(address, 0, &a);
    assert_int_equal(unlink(path), 0);
    int other = listen_at(address, 0, &b);
    assert_int_equal(lh_sock_address_deinit(&a, ours, &err), 0);
    lh_sock_close(ours);
    int client = dial_unix();
    assert_true(client >= 0);
    close(client);
    assert_int_equal(lh_sock_address_deinit(&b, other, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    lh_sock_close(other);
}

static void test_unix_stale_is_replaced(void **state)
{
    struct lh_sock_address a, b;

    (void)state;
    int old = listen_at(address, 0, &a);
    lh_sock_close(old); /* as after a crash: the file stays */
    assert_int_equal(access(path, F_OK), 0);
    int listener = listen_at(address, 0, &b);
    int client = dial_unix();
    assert_true(client >= 0);
    close(client);
    lh_sock_address_deinit(&b, listener, &err);
    lh_sock_address_deinit(&a, listener, &err);
    lh_sock_close(listener);
}

static void test_unix_keeps_other_files(void **state)
{
    char longest[300] = "unix:/tmp/";

    (void)state;
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "data", 4), 4);
    close(fd);
    assert_refused(address, 0, "the file exists and is not a socket");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 4);
    unlink(path);
    memset(longest + 10, 'x', 200);
    assert_no_address(longest, 0, "1 to 107 octets");
    assert_no_address("unix:", 0, "1 to 107 octets");
    assert_refused("unix:/nonexistent/s", 0, "bind unix:/nonexistent/s: ");
}

static void test_unix_no_memory(void **state)
{
    struct lh_sock_address a;

    (void)state;
    test_heap_fail_at(1);
    assert_int_equal(lh_sock_listen(address, 0, NULL, &a, &err), LHTTPD_ENOMEM);
    test_heap_fail_at(0);
    assert_null(a.unix_path);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_adopt(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct lh_sock_address a;
    int pipes[2], fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
    assert_int_equal(lh_sock_adopt(fd, &a, &err), LHTTPD_EADDRESS);
    assert_non_null(strstr(err.text, "is not a listening stream socket"));
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(lh_sock_adopt(fd, &a, &err), 0);
    assert_true(a.port > 0);
    assert_memory_equal(a.text, "127.0.0.1:", 10);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(lh_sock_adopt(pipes[0], &a, &err), LHTTPD_EADDRESS);
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(lh_sock_adopt(-1, &a, &err), LHTTPD_EADDRESS);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(lh_sock_adopt(fd, &a, &err), LHTTPD_EADDRESS);
    close(fd);
}

/* A unix socket that was handed to us: its file is not ours to remove; nor is
 * it any more of the server that made it, and has a successor now. */
static void test_adopt_unix(void **state)
{
    struct lh_sock_address a, b;

    (void)state;
    test_keeps_socket_times();
    int fd = listen_at(address, 0, &a);
    assert_int_equal(lh_sock_adopt(fd, &b, &err), 0);
    assert_string_equal(b.text, address);
    assert_int_equal(b.port, 0);
    assert_int_equal(lh_sock_address_deinit(&b, fd, &err), 0);
    assert_int_equal(lh_sock_address_deinit(&a, fd, &err), 0);
    assert_int_equal(access(path, F_OK), 0);
    lh_sock_close(fd);
    fd = listen_at(address, 0, &a); /* and the next one replaces it */
    assert_int_equal(lh_sock_address_deinit(&a, fd, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    lh_sock_close(fd);
}

/* A name outside of the file system, which begins with a zero: Linux has them.
 */
static void test_adopt_abstract(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct lh_sock_address a;
    char expected[120];

    (void)state;
    int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1,
                     "lhttpd-test-%d", (int)getpid());
    snprintf(expected, sizeof(expected), "unix:@%s", name.sun_path + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    if (bind(fd, (struct sockaddr *)&name, size) < 0) {
        close(fd);
        skip();
    }
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(lh_sock_adopt(fd, &a, &err), 0);
    assert_string_equal(a.text, expected);
    assert_int_equal(lh_sock_address_deinit(&a, fd, &err), 0);
    lh_sock_close(fd);
}

/* O_NONBLOCK is shared with all who have the socket, and systemd clears it. */
static void never_waits(int listener)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;

    assert_int_equal(lh_sock_adopt(listener, &a, &err), 0);
    assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
    alarm(60);
    assert_int_equal(lh_sock_accept(listener, &ends), -EAGAIN);
    alarm(0);
}

static void test_accepting_never_waits(void **state)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;

    (void)state;
    int listener = listen_at("127.0.0.1", 0, &a);
    never_waits(listener);
    int client = dial(AF_INET, "127.0.0.1", a.port);
    wait_readable(listener);
    int fd = lh_sock_accept(listener, &ends);
    assert_true(fd >= 0);
    lh_sock_close(fd);
    close(client);
    lh_sock_close(listener);
    listener = listen_at(address, 0, &a);
    never_waits(listener);
    unlink(path);
    lh_sock_address_deinit(&a, listener, &err);
    lh_sock_close(listener);
}

static void test_no_descriptors(void **state)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;
    struct rlimit old, none;

    (void)state;
    int listener = listen_at("127.0.0.1", 0, &a);
    int client = dial(AF_INET, "127.0.0.1", a.port);
    wait_readable(listener);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)client + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(lh_sock_accept(listener, &ends), LH_SYS_EMFILE);
    assert_true(lh_sock_has_client(listener));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    lh_sock_close(accept_one(listener, &ends)); /* the client was kept */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(lh_sock_accept(listener, &ends), LH_SYS_EMFILE);
    assert_false(lh_sock_has_client(listener));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    close(client);
    lh_sock_close(listener);
}

static void test_listen_without_descriptors(void **state)
{
    struct rlimit old, none;

    (void)state;
    int next = dup(0); /* the lowest free number */
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_refused("127.0.0.1", 0, "socket 127.0.0.1:0: ");
    assert_refused("127.0.0.1", 0, strerror(EMFILE));
    assert_refused(NULL, 0, strerror(EMFILE));
    assert_refused(address, 0, strerror(EMFILE));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(access(path, F_OK), -1);
}

/* It is no listening socket any more. */
static void refuses(int listener, int error)
{
    struct lh_sock_ends ends;

    assert_int_equal(lh_sock_accept(listener, &ends), -error);
    assert_int_equal(lh_sock_not_accepted(listener, -error), LH_ACCEPT_BROKEN);
}

static void test_not_a_listener(void **state)
{
    (void)state;
    refuses(-1, EBADF);
}

/* ---- with system calls that fail, in forked children ---- */

#define FAILED 1 /* a child's exit status */

struct refused_call {
    int (*body)(int error);
    int error;
};

static int run_refused(void *arg)
{
    const struct refused_call *refused = arg;

    return refused->body(refused->error);
}

static void in_child(int (*body)(int error), int error)
{
    struct refused_call refused = {body, error};

    if (test_forked(run_refused, &refused) != 0)
        fail_msg("with errno %d: %s", error, strerror(error));
}

static int accept_fails(int error, enum lh_not_accepted expected)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;
    int listener = listen_at("127.0.0.1", 0, &a);

    if (!test_deny(SYS_accept4, TEST_ANY_ARGUMENT, error))
        return TEST_CANNOT;
    int r = lh_sock_accept(listener, &ends);
    bool has_way_round = error == EINVAL || error == ENOSYS;
    if (r == LH_SYS_EAGAIN && has_way_round)
        return 0; /* musl tries accept() then */
    if (r != -error)
        return FAILED;
    return lh_sock_not_accepted(listener, -error) == expected ? 0 : FAILED;
}

static int accept_none(int error)
{
    return accept_fails(error, LH_ACCEPT_NONE);
}

static int accept_no_room(int error)
{
    return accept_fails(error, LH_ACCEPT_NO_ROOM);
}

static int accept_failed(int error)
{
    return accept_fails(error, LH_ACCEPT_FAILED);
}

/* Errors of one client are skipped, but not for ever: then, and with any other
 * error, there would be no end of events. */
static void test_accept_errors(void **state)
{
    static const int lasting[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    static const int other[] = {ECONNABORTED, EPERM,  EPROTO, EINTR,
                                ENETDOWN,     EINVAL, ENOSYS, EOPNOTSUPP};

    (void)state;
    in_child(accept_none, EAGAIN);
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
        in_child(accept_no_room, lasting[i]);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        in_child(accept_failed, other[i]);
}

static void test_accept_of_no_listener(void **state)
{
    struct lh_sock_address a;
    int listener = listen_at("127.0.0.1", 0, &a);

    (void)state;
    assert_int_equal(shutdown(listener, SHUT_RD), 0);
    refuses(listener, EINVAL);
    int other = dup(STDERR_FILENO);
    lh_sock_replace(listener, other); /* the port is free */
    close(other);
    refuses(listener, ENOTSOCK);
    other = listen_at("127.0.0.1", a.port, &a);
    lh_sock_close(other);
    lh_sock_close(listener);
    refuses(listener, EBADF);
}

static void test_same(void **state)
{
    struct lh_sock_address a;
    int one = listen_at("127.0.0.1", 0, &a), again = dup(one);
    int two = listen_at("127.0.0.1", 0, &a);

    (void)state;
    assert_true(lh_fd_same(one, one) && lh_fd_same(one, again));
    assert_false(lh_fd_same(one, two) || lh_fd_same(one, -1));
    close(one);
    close(again);
    close(two);
}

static int listen_without_ipv6(int error)
{
    struct lh_sock_address a;

    if (!test_deny(SYS_socket, AF_INET6, error))
        return TEST_CANNOT;
    int fd = lh_sock_listen(NULL, 0, NULL, &a, &err);
    if (error != EAFNOSUPPORT)
        return fd == LHTTPD_EADDRESS ? 0 : FAILED;
    if (fd < 0 || strncmp(a.text, "0.0.0.0:", 8) != 0 || a.port <= 0)
        return FAILED;
    return dial(AF_INET, "127.0.0.1", a.port) >= 0 ? 0 : FAILED;
}

static int bind_without_ipv6(int error)
{
    /* Switched off by sysctl, bind fails; the IPv4 one must then, too. */
    if (!test_deny(SYS_bind, TEST_ANY_ARGUMENT, error))
        return TEST_CANNOT;
    struct lh_sock_address a;
    if (lh_sock_listen(NULL, 0, NULL, &a, &err) != LHTTPD_EADDRESS)
        return FAILED;
    return strncmp(err.text, "bind 0.0.0.0:0: ", 16) != 0;
}

static void test_kernel_without_ipv6(void **state)
{
    (void)state;
    in_child(listen_without_ipv6, EAFNOSUPPORT);
    in_child(listen_without_ipv6, ENOMEM);
    in_child(bind_without_ipv6, EADDRNOTAVAIL);
}

static int unix_listen_fails(int error)
{
    struct lh_sock_address a;

    if (!test_deny(SYS_listen, TEST_ANY_ARGUMENT, error))
        return TEST_CANNOT;
    int result = lh_sock_listen(address, 0, NULL, &a, &err);
    return result != LHTTPD_EADDRESS || a.unix_path ||
           access(path, F_OK) == 0 || test_heap_live() != 0;
}

static void test_unix_listen_fails(void **state)
{
    (void)state;
    in_child(unix_listen_fails, ENOBUFS);
}

static int unix_connect_fails(int error)
{
    struct lh_sock_address a;

    if (!test_deny(SYS_connect, TEST_ANY_ARGUMENT, error))
        return TEST_CANNOT;
    int result = lh_sock_listen(address, 0, NULL, &a, &err);
    if (result != LHTTPD_EADDRESS || access(path, F_OK) != 0)
        return FAILED;
    const char *words =
        error == EAGAIN ? "is in use by another server" : "connect unix:";
    return strstr(err.text, words) ? 0 : FAILED;
}

/* Only a socket that certainly nobody serves is replaced. */
static void test_unix_in_doubt_stays(void **state)
{
    struct lh_sock_address a;

    (void)state;
    lh_sock_close(listen_at(address, 0, &a));
    lh_free(a.unix_path); /* as after a crash: the file stays */
    in_child(unix_connect_fails, EAGAIN);
    in_child(unix_connect_fails, EACCES);
    unlink(path);
}

/* ---- bytes ---- */

static void make_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
}

static void test_send_and_receive(void **state)
{
    char in[8];
    int fds[2];

    (void)state;
    make_pair(fds);
    assert_int_equal(lh_sock_receive(fds[0], in, sizeof(in)), LH_SYS_EAGAIN);
    assert_int_equal(lh_sock_send(fds[1], "hello", 5), 5);
    assert_int_equal(lh_sock_receive(fds[0], in, sizeof(in)), 5);
    assert_memory_equal(in, "hello", 5);
    lh_sock_shutdown(fds[1]);
    assert_int_equal(lh_sock_receive(fds[0], in, sizeof(in)), 0);
    assert_int_equal(lh_sock_send(fds[0], "still", 5), 5);
    assert_int_equal(lh_sock_receive(fds[1], in, sizeof(in)), 5);
    lh_sock_close(fds[0]);
    /* Without SIGPIPE, which would end this test. */
    assert_int_equal(lh_sock_send(fds[1], "x", 1), LH_SYS_EPIPE);
    lh_sock_close(fds[1]);
    assert_int_equal(lh_sock_receive(fds[1], in, 1), LH_SYS_EBADF);
}

static void test_send_blocks(void **state)
{
    static char many[1 << 16];
    int fds[2], n = 0;

    (void)state;
    make_pair(fds);
    while (n < 10000 && lh_sock_send(fds[0], many, sizeof(many)) > 0)
        n++;
    assert_true(n < 10000);
    assert_int_equal(lh_sock_send(fds[0], many, sizeof(many)), LH_SYS_EAGAIN);
    lh_sock_close(fds[0]);
    lh_sock_close(fds[1]);
}

/* Ours: the peer does not take it for an orderly end. */
static void test_abort(void **state)
{
    struct lh_sock_address a;
    struct lh_sock_ends ends;
    char byte;

    (void)state;
    int listener = listen_at("127.0.0.1", 0, &a);
    int client = dial(AF_INET, "127.0.0.1", a.port);
    int fd = accept_one(listener, &ends);
    lh_sock_abort(fd);
    lh_sock_close(fd);
    wait_readable(client);
    assert_int_equal(lh_sock_receive(client, &byte, 1), -ECONNRESET);
    close(client);
    lh_sock_address_deinit(&a, listener, &err);
    lh_sock_close(listener);
}

/* A reset by the peer is "lost", in both directions. */
static void test_reset(void **state)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    struct lh_sock_address a;
    struct lh_sock_ends ends;
    char byte;

    (void)state;
    int listener = listen_at("127.0.0.1", 0, &a);
    int client = dial(AF_INET, "127.0.0.1", a.port);
    int fd = accept_one(listener, &ends);
    assert_int_equal(
        setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(client);
    wait_readable(fd);
    assert_int_equal(lh_sock_receive(fd, &byte, 1), -ECONNRESET);
    assert_int_equal(lh_sock_send(fd, "x", 1), LH_SYS_EPIPE);
    lh_sock_close(fd);
    lh_sock_close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_dual_stack),
        cmocka_unit_test(test_ipv4_written_as_ipv6),
        cmocka_unit_test(test_ipv6_alone),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_address_in_use),
        cmocka_unit_test(test_permission),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_unix_access),
        cmocka_unit_test(test_unix_of_another_server_stays),
        cmocka_unit_test(test_unix_stale_is_replaced),
        cmocka_unit_test(test_unix_keeps_other_files),
        cmocka_unit_test(test_unix_no_memory),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_adopt_unix),
        cmocka_unit_test(test_adopt_abstract),
        cmocka_unit_test(test_accepting_never_waits),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_listen_without_descriptors),
        cmocka_unit_test(test_not_a_listener),
        cmocka_unit_test(test_accept_errors),
        cmocka_unit_test(test_accept_of_no_listener),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_kernel_without_ipv6),
        cmocka_unit_test(test_unix_listen_fails),
        cmocka_unit_test(test_unix_in_doubt_stays),
        cmocka_unit_test(test_send_and_receive),
        cmocka_unit_test(test_send_blocks),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_reset),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
