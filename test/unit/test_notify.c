/* What a service manager is told from the start to the stop of a server. */
#include "lhttpd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static char script[64];
static int manager;
static _Atomic int warned;

static void note(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    if (strstr(entry->message, "service manager"))
        atomic_fetch_add(&warned, 1);
}

static void write_script(const char *text)
{
    FILE *f = fopen(script, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void open_manager(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    memcpy(a.sun_path, path, strlen(path));
    unlink(path);
    manager = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&a, sizeof(a)), 0);
    setenv("NOTIFY_SOCKET", path, 1);
}

/* A server that tells the manager. */
static lhttpd_server_t *make(void)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_server_t *s;

    config.workers = 2;
    config.log = note;
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_notify(s), 1);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_map_script(s, "/", script), 0);
    return s;
}

/* The next message, which begins so. */
static const char *told(const char *begin)
{
    static char text[4096];
    ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, begin, strlen(begin));
    return text;
}

static unsigned long long now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long long)t.tv_sec * 1000000 +
           (unsigned long long)t.tv_nsec / 1000;
}

static void test_a_life(void **state)
{
    char expected[128];

    (void)state;
    open_manager();
    write_script("httpd.register_handler('/', function() end)");
    lhttpd_server_t *s = make();
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_int_equal(lhttpd_server_start(s), 0);
    snprintf(expected, sizeof(expected),
             "READY=1\nMAINPID=%d\nSTATUS=Serving on 127.0.0.1:%d",
             (int)getpid(), lhttpd_server_port(s, 0));
    assert_string_equal(told("READY=1\n"), expected);
    unsigned long long before = now_us();
    assert_int_equal(lhttpd_server_reload(s), 0);
    unsigned long long began =
        strtoull(told("RELOADING=1\nMONOTONIC_USEC=") + 27, NULL, 10);
    assert_true(began >= before && began <= now_us());
    assert_non_null(strstr(told("READY=1\n"), ". reloaded"));
    write_script("error('no\\n\\nMAINPID=1')");
    assert_int_equal(lhttpd_server_reload(s), LHTTPD_ESCRIPT);
    told("RELOADING=1\n");
    const char *text = told("READY=1\n");
    assert_non_null(strstr(text, "STATUS=Serving on 127.0.0.1"));
    assert_non_null(strstr(text, "nothing has changed"));
    assert_null(strstr(text, "\nMAINPID=1\n")); /* a status is one line */
    assert_null(strchr(strstr(text, "STATUS="), '\n'));
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    told("STOPPING=1\nSTATUS=Stopping: ");
    lhttpd_server_destroy(s);
    assert_int_equal(recv(manager, expected, 1, MSG_DONTWAIT), -1);
    close(manager);
    assert_int_equal(atomic_load(&warned), 0);
}

/* That is told once, and nothing else comes of it. */
static void test_a_manager_that_is_gone(void **state)
{
    (void)state;
    open_manager();
    write_script("httpd.register_handler('/', function() end)");
    lhttpd_server_t *s = make();
    close(manager);
    assert_int_equal(lhttpd_server_start(s), 0);
    assert_int_equal(lhttpd_server_reload(s), 0);
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    lhttpd_server_destroy(s);
    assert_int_equal(atomic_load(&warned), 1);
}

static void test_no_manager(void **state)
{
    lhttpd_server_t *s;

    (void)state;
    assert_int_equal(lhttpd_server_create(&s, NULL), 0);
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(lhttpd_server_notify(s), 0);
    setenv("NOTIFY_SOCKET", "/no/such/socket", 1);
    assert_int_equal(lhttpd_server_notify(s), LHTTPD_ESYSTEM);
    assert_non_null(strstr(lhttpd_server_error(s), "/no/such/socket"));
    assert_int_equal(lhttpd_server_notify(s), 0);
    assert_int_equal(lhttpd_server_notify(NULL), LHTTPD_EINVAL);
    lhttpd_server_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_a_manager_that_is_gone),
        cmocka_unit_test(test_no_manager),
    };

    snprintf(path, sizeof(path), "/tmp/test_notify.%d.sock", (int)getpid());
    snprintf(script, sizeof(script), "/tmp/test_notify.%d.lua", (int)getpid());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(script);
    return failed;
}
