/*
 * Sockets of a service manager, by the public interface.  Their descriptors
 * begin with 3, which is in use here: so each test runs in a forked child.
 */
#include "lib/emulated.h"
#include "lib/forked.h"
#include "server/server.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static lhttpd_server_t *s; /* the child's */

#define CHECK(what) TEST_FORKED_CHECK(what, lhttpd_server_error(s))

static int with_server(void *body)
{
    CHECK(lhttpd_server_create(&s, NULL) == 0);
    (*(void (**)(void))body)();
    lhttpd_server_destroy(s);
    return 0;
}

static void in_child(void (*body)(void))
{
    assert_int_equal(test_forked(with_server, &body), 0);
}

/* Makes descriptor number `to` a listening socket. */
static void pass(int to)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind(fd, (struct sockaddr *)&v4, sizeof(v4)) == 0);
    CHECK(listen(fd, 5) == 0);
    if (fd == to)
        return;
    CHECK(dup2(fd, to) == to);
    close(fd);
}

/* `n` sockets with these names. */
static int listen_fds(int n, const char *names, unsigned flags)
{
    char number[32];

    for (int i = 0; i < n; i++)
        pass(3 + i);
    snprintf(number, sizeof(number), "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    snprintf(number, sizeof(number), "%d", n);
    setenv("LISTEN_FDS", number, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
    return lhttpd_server_listen_fds(s, flags);
}

static unsigned flags_of(unsigned i)
{
    return s->listeners.v[i].flags;
}

static void names(void)
{
    const unsigned tls = LHTTPD_LISTEN_TLS, redirect = LHTTPD_LISTEN_REDIRECT;

    CHECK(listen_fds(7, "tls:redirect:http:lhttpd.socket::http-tls:tls-proxy",
                     0) == 7);
    CHECK(flags_of(6) == (tls | LHTTPD_LISTEN_PROXY));
    CHECK(flags_of(0) == tls);
    CHECK(flags_of(1) == redirect);
    CHECK(flags_of(2) == 0);
    CHECK(flags_of(3) == 0);
    CHECK(flags_of(4) == 0);
    CHECK(flags_of(5) == tls);
    for (int i = 0; i < 7; i++) {
        CHECK(lhttpd_server_port(s, i) > 0);
        CHECK(lhttpd_server_listener_fd(s, i) == 3 + i);
    }
    CHECK(lhttpd_server_listener_fd(s, 7) == LHTTPD_EINVAL);
}

static void given_flags(void)
{
    CHECK(listen_fds(3, "my-own:tls.socket:http", LHTTPD_LISTEN_TLS) == 3);
    CHECK(flags_of(0) == LHTTPD_LISTEN_TLS);
    CHECK(flags_of(1) == LHTTPD_LISTEN_TLS);
    CHECK(flags_of(2) == 0);
}

static void no_names(void)
{
    CHECK(listen_fds(2, NULL, LHTTPD_LISTEN_TLS) == 2);
    CHECK(flags_of(1) == LHTTPD_LISTEN_TLS);
}

static void refused(const char *names, const char *words)
{
    CHECK(listen_fds(1, names, 0) == LHTTPD_EINVAL);
    CHECK(strstr(lhttpd_server_error(s), words) != NULL);
    CHECK(strstr(lhttpd_server_error(s), names) != NULL);
    CHECK(s->listeners.n == 0);
}

static void bad_names(void)
{
    refused("my-tls", "the words");
    refused("tls-", "the words");
    refused("tls-redirect", "not both");
    refused("proxy-lhttpd", "the words");
    CHECK(lhttpd_server_listen_fds(s, 1024) == LHTTPD_EINVAL);
}

static void no_socket(void)
{
    pass(3);
    close(4);
    setenv("LISTEN_FDNAMES", "http:tls", 1);
    char number[32];
    snprintf(number, sizeof(number), "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    setenv("LISTEN_FDS", "2", 1);
    CHECK(lhttpd_server_listen_fds(s, 0) == LHTTPD_EADDRESS);
    CHECK(strstr(lhttpd_server_error(s), "socket 2 of LISTEN_FDS, tls"));
    CHECK(strstr(lhttpd_server_error(s), "descriptor 4"));
}

static void nothing_passed(void)
{
    unsetenv("LISTEN_PID");
    CHECK(lhttpd_server_listen_fds(s, 0) == 0);
    CHECK(lhttpd_server_listen_fds(NULL, 0) == LHTTPD_EINVAL);
    CHECK(lhttpd_server_listener_fd(NULL, 0) == LHTTPD_EINVAL);
}

/* A server takes the place of another one without closing a door. */
static void a_successor(void)
{
    lhttpd_server_t *next;
    char path[64], address[80];

    snprintf(path, sizeof(path), "test_passed.%d.sock", (int)getpid());
    snprintf(address, sizeof(address), "unix:%s", path);
    CHECK(lhttpd_server_listen(s, address, 0, 0) == 0);
    CHECK(lhttpd_server_start(s) == 0);
    CHECK(lhttpd_server_create(&next, NULL) == 0);
    CHECK(lhttpd_server_adopt(next, dup(lhttpd_server_listener_fd(s, 0)), 0) ==
          0);
    CHECK(lhttpd_server_start(next) == 0);
    CHECK(lhttpd_server_stop(s, 1000) == 0);
    CHECK(lhttpd_server_listener_fd(s, 0) == LHTTPD_ESTATE);
    CHECK(access(path, F_OK) == 0);
    lhttpd_server_destroy(next);
    CHECK(access(path, F_OK) == 0);
    unlink(path);
}

#define IN_CHILD(name)                                                         \
    static void test_##name(void **state)                                      \
    {                                                                          \
        (void)state;                                                           \
        in_child(name);                                                        \
    }
IN_CHILD(names)
IN_CHILD(given_flags)
IN_CHILD(no_names)
IN_CHILD(bad_names)
IN_CHILD(no_socket)
IN_CHILD(nothing_passed)

static void test_a_successor(void **state)
{
    (void)state;
    test_keeps_socket_times();
    in_child(a_successor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_given_flags),
        cmocka_unit_test(test_no_names),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_no_socket),
        cmocka_unit_test(test_nothing_passed),
        cmocka_unit_test(test_a_successor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
