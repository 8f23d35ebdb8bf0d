/* What the environment says of a service manager, true and wrong. */
#include "os/manager.h"

#include "base/mem.h"

#include "lib/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct lh_err err;

/* Sets it, or removes it with NULL. */
static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

/* "own": the number of this process. */
static int sockets(const char *process, const char *fds, const char *names,
                   struct lh_passed *passed)
{
    char own[32];

    snprintf(own, sizeof(own), "%d", (int)getpid());
    set("LISTEN_PID", process && !strcmp(process, "own") ? own : process);
    set("LISTEN_FDS", fds);
    set("LISTEN_FDNAMES", names);
    set("LISTEN_PIDFDID", "1");
    int r = lh_manager_sockets(passed, &err);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    assert_null(getenv("LISTEN_PIDFDID"));
    return r;
}

static void test_sockets(void **state)
{
    struct lh_passed passed;

    (void)state;
    assert_int_equal(sockets("own", "2", "a:b", &passed), 0);
    assert_int_equal(passed.first, 3);
    assert_int_equal(passed.n, 2);
    assert_string_equal(passed.names, "a:b");
    lh_free(passed.names);
    assert_int_equal(sockets("own", "2", NULL, &passed), 0);
    assert_int_equal(passed.n, 2);
    assert_null(passed.names);
    assert_int_equal(sockets("own", "1", "", &passed), 0); /* one empty name */
    assert_string_equal(passed.names, "");
    lh_free(passed.names);
    assert_int_equal(sockets("own", "2", ":", &passed), 0);
    lh_free(passed.names);
}

static void test_no_sockets_for_us(void **state)
{
    static const char *const cases[][3] = {
        {NULL, NULL, NULL}, {NULL, "1", "tls"}, {"own", NULL, NULL},
        {"1", "1", "tls"},  {"own", "0", ""},
    };
    struct lh_passed passed;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            sockets(cases[i][0], cases[i][1], cases[i][2], &passed), 0);
        assert_int_equal(passed.n, 0);
        assert_null(passed.names);
    }
}

static void test_bad_variables(void **state)
{
    static const char *const cases[][4] = {
        {"", "1", NULL, "LISTEN_PID="},
        {"self", "1", NULL, "LISTEN_PID=self"},
        {"-1", "1", NULL, "LISTEN_PID=-1"},
        {"own", "", NULL, "LISTEN_FDS="},
        {"own", "-1", NULL, "LISTEN_FDS=-1"},
        {"own", "1 ", NULL, "LISTEN_FDS=1 "},
        {"own", "2147483648", NULL, "LISTEN_FDS=2147483648"},
        {"own", "2", "tls", "LISTEN_FDNAMES=tls"},
        {"own", "1", "tls:redirect", "not 1 names"},
    };
    struct lh_passed passed;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            sockets(cases[i][0], cases[i][1], cases[i][2], &passed),
            LHTTPD_EINVAL);
        assert_non_null(strstr(err.text, cases[i][3]));
        assert_null(passed.names);
    }
}

static void test_no_memory(void **state)
{
    struct lh_passed passed;

    (void)state;
    test_heap_install();
    test_heap_fail_at(1);
    assert_int_equal(sockets("own", "1", "a", &passed), LHTTPD_ENOMEM);
    test_heap_uninstall();
}

/* ---- messages ---- */

static char path[64];

/* The manager's end; "@" is outside of the file system. */
static int manager_at(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    assert_true(n < sizeof(a.sun_path));
    memcpy(a.sun_path, name, n);
    if (*name == '@')
        a.sun_path[0] = '\0';
    else
        unlink(name);
    n += offsetof(struct sockaddr_un, sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, (socklen_t)n), 0);
    return fd;
}

static int connect_manager(const char *socket, const char *process,
                           const char *us, struct lh_manager *manager)
{
    char own[32];

    snprintf(own, sizeof(own), "%d", (int)getpid());
    set("NOTIFY_SOCKET", socket);
    set("WATCHDOG_PID", process && !strcmp(process, "own") ? own : process);
    set("WATCHDOG_USEC", us);
    int r = lh_manager_connect(manager, &err);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_PID"));
    assert_null(getenv("WATCHDOG_USEC"));
    return r;
}

static void a_message_arrives_at(const char *name)
{
    struct lh_manager manager;
    char text[64] = "";
    int fd = manager_at(name);

    assert_int_equal(connect_manager(name, NULL, NULL, &manager), 1);
    assert_true(fcntl(manager.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(manager.watchdog_ms, 0);
    assert_int_equal(lh_manager_tell(&manager, "READY=1", 0), 0);
    assert_int_equal(recv(fd, text, sizeof(text) - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
    assert_int_equal(lh_manager_tell(&manager, "READY=1", 0), -ECONNREFUSED);
    lh_manager_close(&manager);
    assert_int_equal(manager.fd, -1);
}

static void test_a_message_arrives(void **state)
{
    char name[80];

    (void)state;
    a_message_arrives_at(path);
    assert_int_equal(unlink(path), 0);
    snprintf(name, sizeof(name), "@%s", path);
    a_message_arrives_at(name);
}

static void test_watchdog(void **state)
{
    static const struct {
        const char *process, *us;
        uint64_t ms;
    } cases[] = {
        {"own", "30000000", 30000},
        {NULL, "1500", 1},
        {"1", "30000000", 0},
        {"own", NULL, 0},
    };
    struct lh_manager manager;
    int fd = manager_at(path);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            connect_manager(path, cases[i].process, cases[i].us, &manager), 1);
        assert_int_equal(manager.watchdog_ms, cases[i].ms);
        lh_manager_close(&manager);
    }
    close(fd);
    unlink(path);
}

static void test_no_manager(void **state)
{
    struct lh_manager manager;

    (void)state;
    assert_int_equal(connect_manager(NULL, "own", "1000000", &manager), 0);
    assert_int_equal(manager.fd, -1);
    assert_int_equal(manager.watchdog_ms, 0);
}

static void test_bad_messages(void **state)
{
    char longest[200] = "/";
    const struct {
        const char *socket, *process, *us, *words;
        int result;
    } cases[] = {
        {"", NULL, NULL, "NOTIFY_SOCKET=:", LHTTPD_EINVAL},
        {"run/notify", NULL, NULL, "'@' and a name", LHTTPD_EINVAL},
        {"@", NULL, NULL, "NOTIFY_SOCKET=@", LHTTPD_EINVAL},
        {"vsock:2:1", NULL, NULL, "not a path", LHTTPD_EINVAL},
        {longest, NULL, NULL, "107 octets", LHTTPD_EINVAL},
        {"/no/such/socket", NULL, NULL, "No such file", LHTTPD_ESYSTEM},
        {"/dev/null", NULL, NULL, "refused", LHTTPD_ESYSTEM},
        {"/x", "own", "soon", "WATCHDOG_USEC=soon", LHTTPD_EINVAL},
        {"/x", "own", "0", "WATCHDOG_USEC=0", LHTTPD_EINVAL},
        {"/x", "me", "1000", "WATCHDOG_PID=me", LHTTPD_EINVAL},
    };
    struct lh_manager manager;

    (void)state;
    memset(longest + 1, 'x', sizeof(longest) - 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(connect_manager(cases[i].socket, cases[i].process,
                                         cases[i].us, &manager),
                         cases[i].result);
        assert_non_null(strstr(err.text, cases[i].words));
        assert_int_equal(manager.fd, -1);
    }
}

static void *read_all(void *arg)
{
    char text[64];
    int *fd = arg;

    while (recv(*fd, text, sizeof(text), 0) > 0 && strcmp(text, "end") != 0)
        ;
    return NULL;
}

/* Its queue is full: a worker goes on at once, a start waits for room. */
static void test_a_busy_manager(void **state)
{
    struct lh_manager manager;
    pthread_t thread;
    int r, fd = manager_at(path);

    (void)state;
    assert_int_equal(connect_manager(path, NULL, NULL, &manager), 1);
    do
        r = lh_manager_tell(&manager, "WATCHDOG=1", 0);
    while (r == 0);
    assert_int_equal(r, -EAGAIN);
    assert_int_equal(lh_manager_tell(&manager, "READY=1", 1), -EAGAIN);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &fd), 0);
    assert_int_equal(lh_manager_tell(&manager, "READY=1", 60000), 0);
    assert_int_equal(send(manager.fd, "end", 4, 0), 4);
    pthread_join(thread, NULL);
    lh_manager_close(&manager);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_no_sockets_for_us),
        cmocka_unit_test(test_bad_variables),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_a_message_arrives),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_no_manager),
        cmocka_unit_test(test_bad_messages),
        cmocka_unit_test(test_a_busy_manager),
    };

    snprintf(path, sizeof(path), "/tmp/test_manager.%d.sock", (int)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
