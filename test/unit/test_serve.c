/* A daemon's main loop, each time in a process of its own: a forked child. */
#include "lhttpd.h"
#include "lib/forked.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char good[] = "httpd.register_handler('/', function() end)";
static lhttpd_server_t *s;
static char log_file[64];
static char busy[64]; /* a file: while it is there, the script loads */
static _Atomic int serves, reloads, failures, loops;

#define CHECK(what) TEST_FORKED_CHECK(what, lhttpd_server_error(s))

static void note(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    if (strncmp(entry->message, "listening", 9) == 0)
        atomic_fetch_add(&serves, 1);
    if (strncmp(entry->message, "the reload has been in", 22) == 0)
        atomic_fetch_add(&loops, 1);
    if (strncmp(entry->message, "reloaded", 8) == 0)
        atomic_fetch_add(&reloads, 1);
    if (strstr(entry->message, "nothing has changed"))
        atomic_fetch_add(&failures, 1);
}

static int with_server(void *body)
{
    lhttpd_config_t config = lhttpd_config_init();

    config.log = note;
    config.workers = 1;
    CHECK(lhttpd_server_create(&s, &config) == 0);
    CHECK(lhttpd_server_listen(s, "127.0.0.1", 0, 0) == 0);
    (*(void (**)(void))body)();
    lhttpd_server_destroy(s);
    return 0;
}

static void in_child(void (*body)(void))
{
    assert_int_equal(test_forked(with_server, &body), 0);
}

static void map(const char *source)
{
    CHECK(lhttpd_server_map_source(s, "/", "s", source, strlen(source)) == 0);
}

static void wait_for(_Atomic int *what, int n)
{
    while (atomic_load(what) < n)
        usleep(1000);
}

/* What somebody does while the child serves. */
static void while_it_serves(void *(*does)(void *))
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, does, NULL) == 0);
    CHECK(lhttpd_process_serve(s, NULL, 10000) == 0);
    pthread_join(thread, NULL);
}

static void *send_signals(void *arg)
{
    wait_for(&serves, 1);
    kill(getpid(), SIGPIPE);
    kill(getpid(), SIGXFSZ);
    CHECK(unlink(log_file) == 0);
    kill(getpid(), SIGUSR1);
    while (access(log_file, F_OK) < 0)
        usleep(1000);
    kill(getpid(), SIGHUP);
    wait_for(&reloads, 1);
    kill(getpid(), SIGHUP);
    wait_for(&reloads, 2);
    CHECK(lhttpd_process_serve(s, NULL, 0) == LHTTPD_ESTATE);
    kill(getpid(), SIGTERM);
    return arg;
}

static void take_log_file(void)
{
    snprintf(log_file, sizeof(log_file), "/tmp/test_serve.%d.log",
             (int)getpid());
    CHECK(lhttpd_server_set(s, "access_log", log_file) == 0);
}

static void signals(void)
{
    take_log_file();
    map(good);
    while_it_serves(send_signals);
    unlink(log_file);
    kill(getpid(), SIGTERM); /* means nothing any more */
    kill(getpid(), SIGHUP);
    CHECK(atomic_load(&reloads) == 2);
}

static void test_signals(void **state)
{
    (void)state;
    in_child(signals);
}

static char script[] = "/tmp/test_serve.XXXXXX";

static void *fail_to_reload(void *arg)
{
    wait_for(&serves, 1);
    unlink(script);
    kill(getpid(), SIGHUP);
    wait_for(&failures, 1);
    kill(getpid(), SIGINT);
    return arg;
}

static void map_file(void)
{
    int fd = mkstemp(script);

    CHECK(fd >= 0 && write(fd, good, strlen(good)) > 0);
    close(fd);
    CHECK(lhttpd_server_map_script(s, "/", script) == 0);
}

static void a_reload_that_fails(void)
{
    map_file();
    while_it_serves(fail_to_reload);
}

static void test_a_reload_that_fails(void **state)
{
    (void)state;
    in_child(a_reload_that_fails);
}

static void *load_for_ever(void *arg)
{
    static const char bad[] = "io.open('%s', 'w'):close() while true do end";
    char began[64];

    wait_for(&serves, 1);
    FILE *f = fopen(script, "w");
    snprintf(began, sizeof(began), "%s.began", script);
    CHECK(f && fprintf(f, bad, began) > 0 && fclose(f) == 0);
    kill(getpid(), SIGHUP);
    while (access(began, F_OK) < 0)
        usleep(1000);
    unlink(began);
    unlink(script);
    kill(getpid(), SIGTERM); /* once is enough, whatever the grace */
    return arg;
}

/* It is left to itself, as a handler that does not end. */
static void a_reload_that_does_not_end(void)
{
    pthread_t thread;

    map_file();
    CHECK(pthread_create(&thread, NULL, load_for_ever, NULL) == 0);
    CHECK(lhttpd_process_serve(s, NULL, 24 * 3600 * 1000) == LHTTPD_ESTUCK);
    CHECK(strstr(lhttpd_server_error(s), "the loading of script"));
    CHECK(strstr(lhttpd_server_error(s), script));
    pthread_join(thread, NULL);
    test_forked_end(0);
}

static void test_a_reload_that_does_not_end(void **state)
{
    (void)state;
    in_child(a_reload_that_does_not_end);
}

static void a_script_that_is_gone(void)
{
    map_file();
    unlink(script);
    CHECK(lhttpd_process_serve(s, NULL, 0) == LHTTPD_ESCRIPT);
    CHECK(strstr(lhttpd_server_error(s), script));
}

static void test_a_start_that_fails(void **state)
{
    (void)state;
    in_child(a_script_that_is_gone);
}

static void *shut_down(void *arg)
{
    wait_for(&serves, 1);
    lhttpd_server_shutdown(s, 1000);
    return arg;
}

static void somebody_else_stops_it(void)
{
    map(good);
    while_it_serves(shut_down);
}

static void test_somebody_else_stops_it(void **state)
{
    (void)state;
    in_child(somebody_else_stops_it);
}

/* What is loaded while the file is there goes on loading. */
static void map_loop(void)
{
    char source[256];

    snprintf(busy, sizeof(busy), "/tmp/test_serve.%d.busy", (int)getpid());
    snprintf(source, sizeof(source),
             "local f = io.open('%s')\n"
             "while f do f:close() f = io.open('%s') end",
             busy, busy);
    map(source);
    CHECK(lhttpd_server_set(s, "handler_run_ms", "100") == 0);
}

static void *reopen_meanwhile(void *arg)
{
    wait_for(&serves, 1);
    CHECK(mknod(busy, S_IFREG | 0600, 0) == 0);
    kill(getpid(), SIGHUP);
    wait_for(&loops, 1);
    CHECK(unlink(log_file) == 0);
    kill(getpid(), SIGUSR1);
    usleep(50000); /* it may be tried while the reload goes on */
    CHECK(unlink(busy) == 0);
    wait_for(&reloads, 1);
    while (access(log_file, F_OK) < 0)
        usleep(1000);
    kill(getpid(), SIGTERM);
    return arg;
}

static void log_files_during_a_reload(void)
{
    take_log_file();
    map_loop();
    while_it_serves(reopen_meanwhile);
    unlink(log_file);
}

static void test_log_files_during_a_reload(void **state)
{
    (void)state;
    in_child(log_files_during_a_reload);
}

static void not_in_the_background(void)
{
    lhttpd_daemon_t daemon = lhttpd_daemon_init();

    map(good);
    CHECK(lhttpd_process_serve(s, &daemon, 0) == LHTTPD_ESTATE);
    CHECK(strstr(lhttpd_server_error(NULL), "background"));
    CHECK(lhttpd_process_serve(s, NULL, 0) == LHTTPD_ESTATE); /* it stopped */
    CHECK(lhttpd_process_serve(NULL, NULL, 0) == LHTTPD_EINVAL);
}

static void test_not_in_the_background(void **state)
{
    (void)state;
    in_child(not_in_the_background);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_a_reload_that_fails),
        cmocka_unit_test(test_a_reload_that_does_not_end),
        cmocka_unit_test(test_a_start_that_fails),
        cmocka_unit_test(test_somebody_else_stops_it),
        cmocka_unit_test(test_log_files_during_a_reload),
        cmocka_unit_test(test_not_in_the_background),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
