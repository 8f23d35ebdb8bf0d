/* What the environment says of a service manager, true and wrong. */
#include "os/manager.h"

#include "base/mem.h"

#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_no_sockets_for_us),
        cmocka_unit_test(test_bad_variables),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
