/*
 * The files of a server's logs: set by name, opened again all or none while
 * clients are served, and what the program's own function is told.
 */
#include "lhttpd.h"

#include "lib/client.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define HELLO                                                                  \
    "httpd.register_handler('/', function()\n"                                 \
    "  httpd.header{['content-type'] = 'text/plain'}\n"                        \
    "  httpd.write(nil, 'hello\\n')\n"                                         \
    "end)\n"                                                                   \
    "httpd.register_handler('/fails', function() error('oops') end)\n"

#define GET(path)                                                              \
    "GET " path " HTTP/1.1\r\nhost: x\r\nuser-agent: test\r\n"                 \
    "referer: from\r\nconnection: close\r\n\r\n"

static char directory[64], log_path[96], access_path[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/lhttpd-logs-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(log_path, sizeof(log_path), "%s/log", directory);
    snprintf(access_path, sizeof(access_path), "%s/access", directory);
    return 0;
}

static int tear_down(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
}

static lhttpd_server_t *create(const lhttpd_config_t *config)
{
    lhttpd_server_t *s = NULL;

    assert_int_equal(lhttpd_server_create(&s, config), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 0);
    assert_int_equal(
        lhttpd_server_map_source(s, "/", "test.lua", HELLO, sizeof(HELLO) - 1),
        0);
    return s;
}

static void set(lhttpd_server_t *s, const char *name, const char *value)
{
    if (lhttpd_server_set(s, name, value) < 0)
        fail_msg("%s", lhttpd_server_error(s));
}

static void ask(lhttpd_server_t *s, const char *request)
{
    char out[4096];

    assert_true(test_client_ask(lhttpd_server_port(s, 0), request, out,
                                sizeof(out)) > 0);
}

/* Waits for the text, since lines leave a little later. */
static void expect_in(const char *path, const char *text)
{
    static char all[65536];
    const struct timespec pause = {0, 10000000};

    for (int i = 0; i < 3000; i++) {
        FILE *f = fopen(path, "r");
        size_t n = f ? fread(all, 1, sizeof(all) - 1, f) : 0;
        if (f)
            fclose(f);
        all[n] = '\0';
        if (strstr(all, text))
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("'%s' never came in %s:\n%s", text, path, all);
}

static const char *moved(const char *path)
{
    static char to[120];

    snprintf(to, sizeof(to), "%s.1", path);
    assert_int_equal(rename(path, to), 0);
    return to;
}

static void test_opened_again(void **state)
{
    lhttpd_config_t config = lhttpd_config_init();

    (void)state;
    config.workers = 2;
    lhttpd_server_t *s = create(&config);
    set(s, "log_file", log_path);
    set(s, "access_log", access_path);
    lhttpd_server_log(s, LHTTPD_LOG_NOTICE, "before start");
    expect_in(log_path, "notice: before start\n");
    assert_int_equal(lhttpd_server_start(s), 0);
    expect_in(log_path, "notice: listening on 127.0.0.1:");
    ask(s, GET("/fails"));
    expect_in(log_path, "oops");
    expect_in(access_path, "\"GET /fails HTTP/1.1\" 500 ");
    assert_int_equal(lhttpd_server_set(s, "access_log", "-"), LHTTPD_ESTATE);
    const char *old = moved(access_path);
    ask(s, GET("/old"));
    expect_in(old, "\"GET /old HTTP/1.1\" 404 ");
    assert_int_equal(lhttpd_server_reopen(s), 0);
    expect_in(log_path, "notice: logs are opened again\n");
    ask(s, GET("/new"));
    expect_in(access_path, "\"GET /new HTTP/1.1\" 404 ");
    old = moved(log_path);
    assert_int_equal(lhttpd_server_reopen(s), 0);
    ask(s, GET("/fails"));
    expect_in(log_path, "oops");
    assert_int_equal(lhttpd_server_stop(s, 10000), 0);
    expect_in(log_path, "notice: stopped: every request was answered\n");
    assert_int_equal(lhttpd_server_reopen(s), LHTTPD_ESTATE);
    lhttpd_server_destroy(s);
}

/* One of two cannot be opened: both stay as they were. */
static void test_all_or_none(void **state)
{
    char other[80], path[120], *error;
    struct stat st;

    (void)state;
    snprintf(other, sizeof(other), "%s/other", directory);
    assert_int_equal(mkdir(other, 0700), 0);
    snprintf(path, sizeof(path), "%s/access", other);
    lhttpd_server_t *s = create(NULL);
    set(s, "log_file", log_path);
    set(s, "access_log", path);
    assert_int_equal(lhttpd_server_start(s), 0);
    const char *old_log = moved(log_path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(other), 0);
    assert_int_equal(lhttpd_server_reopen(s), LHTTPD_ESYSTEM);
    error = (char *)(uintptr_t)lhttpd_server_error(s);
    assert_non_null(strstr(error, "reopen: the logs stay as they are: "));
    assert_non_null(strstr(error, "/other/access: No such file or directory"));
    lhttpd_server_log(s, LHTTPD_LOG_NOTICE, "after");
    expect_in(old_log, "notice: after\n");
    ask(s, GET("/"));
    /* The new one was made, and is empty. */
    assert_true(stat(log_path, &st) < 0 || st.st_size == 0);
    lhttpd_server_destroy(s);
}

static void to_nowhere(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    (void)entry;
}

static void test_places_of_the_log(void **state)
{
    lhttpd_config_t config = lhttpd_config_init();

    (void)state;
    lhttpd_server_t *s = create(&config);
    set(s, "log_file", log_path);
    set(s, "log_file", access_path);
    lhttpd_server_log(s, LHTTPD_LOG_ERROR, "one");
    expect_in(access_path, "error: one\n");
    set(s, "log_file", "syslog");
    set(s, "log_file", "-");
    assert_int_equal(lhttpd_server_set(s, "log_file", "/nowhere/log"),
                     LHTTPD_ESYSTEM);
    assert_string_equal(lhttpd_server_error(s),
                        "log_file=/nowhere/log: /nowhere/log: No such file or "
                        "directory");
    assert_int_equal(lhttpd_server_set(s, "log_file", ""), LHTTPD_EINVAL);
    lhttpd_server_destroy(s);
    config.log = to_nowhere;
    s = create(&config);
    assert_int_equal(lhttpd_server_set(s, "log_file", log_path), LHTTPD_EINVAL);
    lhttpd_server_destroy(s);
}

static lhttpd_access_t seen;
static char seen_agent[20], seen_referrer[20], seen_target[20];
static _Atomic unsigned seen_n;

static void copy(char to[20], lhttpd_text_t text)
{
    snprintf(to, 20, "%.*s", (int)text.bytes, text.p ? text.p : "-");
}

static void see(void *context, const lhttpd_access_t *entry)
{
    assert_ptr_equal(context, &seen);
    assert_int_equal(entry->size, sizeof(*entry));
    seen = *entry;
    copy(seen_agent, entry->user_agent);
    copy(seen_referrer, entry->referrer);
    copy(seen_target, entry->target);
    seen_n++;
}

static void test_function_is_told(void **state)
{
    lhttpd_config_t config = lhttpd_config_init();

    (void)state;
    config.workers = 1;
    config.log = to_nowhere;
    config.access = see;
    config.access_context = &seen;
    lhttpd_server_t *s = create(&config);
    assert_int_equal(lhttpd_server_start(s), 0);
    ask(s, GET("/a?b"));
    assert_int_equal(lhttpd_server_stop(s, 10000), 0);
    assert_int_equal(seen_n, 1);
    assert_int_equal(seen.status, 404);
    assert_int_equal(seen.ending, LHTTPD_ENDED_COMPLETE);
    assert_true(seen.sent_bytes > 100 && seen.client_port > 0);
    assert_true(seen.begun_unix_us / 1000000 >= time(NULL) - 600);
    assert_true(seen.total_us >= seen.header_us);
    assert_string_equal(seen_target, "/a?b");
    assert_string_equal(seen_agent, "test");
    assert_string_equal(seen_referrer, "from");
    assert_null(seen.tls_protocol);
    lhttpd_server_destroy(s);
}

/* Each allocation of the settings fails once: an error, and what was set before
 * is still there. */
static void test_without_memory(void **state)
{
    (void)state;
    lhttpd_server_t *s = create(NULL);
    set(s, "log_file", log_path);
    set(s, "access_log", access_path);
    test_heap_install();
    for (unsigned long i = 1; i <= 2; i++) {
        test_heap_fail_at(i);
        assert_int_equal(lhttpd_server_set(s, "log_file", access_path),
                         LHTTPD_ENOMEM);
        test_heap_fail_at(i);
        assert_int_equal(lhttpd_server_set(s, "access_log", log_path),
                         LHTTPD_ENOMEM);
    }
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
    lhttpd_server_log(s, LHTTPD_LOG_NOTICE, "still here");
    expect_in(log_path, "notice: still here\n");
    lhttpd_server_destroy(s);
}

#define IN_DIRECTORY(test)                                                     \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_opened_again),
        IN_DIRECTORY(test_all_or_none),
        IN_DIRECTORY(test_places_of_the_log),
        IN_DIRECTORY(test_without_memory),
        cmocka_unit_test(test_function_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
