/* A server in its program's own loop: states, times, threads; and the
 * descriptor that says when wait would return. */
#include "lhttpd.h"
#include "lib/client.h"
#include "lib/emulated.h"
#include "lib/forked.h"
#include "lib/live.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char script[] =
    "local n = 0\n"
    "httpd.register_handler('/', function() n = n + 1\n"
    "  httpd.write(nil, 'ok ' .. n) end)\n"
    "httpd.register_handler('/sleep', function(env)\n"
    "  httpd.sleep(tonumber(env.QUERY_STRING)) httpd.write(nil, 'slept') end)\n"
    "httpd.register_handler('/reload', function()\n"
    "  httpd.write(nil, tostring(httpd.reload())) end)\n"
    "httpd.register_handler('/file', function()\n"
    "  local f = assert(io.open('/etc/passwd'))\n"
    "  httpd.write(nil, httpd.read(f, 4)) end)\n"
    "httpd.register_handler('/run', function()\n"
    "  httpd.write(nil, httpd.read(io.popen('echo ran'), 'l')) end)\n"
    "httpd.register_handler('/mask', function()\n"
    "  httpd.write(nil, httpd.read(io.popen(\"grep '^SigBlk:.*0$' "
    "/proc/self/status\"), 'l') and 'none' or 'some') end)\n";

static lhttpd_server_t *server;
static int fds_before, threads_before;

static int count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    const struct dirent *entry;
    int n = 0;

    while ((entry = readdir(d)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

static unsigned lines; /* that were logged */

static void count_line(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    (void)entry;
    lines++;
}

static void create(unsigned workers)
{
    lhttpd_config_t config = lhttpd_config_init();

    fds_before = test_live_fds();
    threads_before = count_threads();
    config.workers = workers;
    config.log_level = LHTTPD_LOG_ERROR;
    config.log = count_line;
    assert_int_equal(lhttpd_server_create(&server, &config), 0);
    assert_int_equal(lhttpd_server_set(server, "aio", "inline"), 0);
    assert_int_equal(lhttpd_server_listen(server, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_map_source(server, "/", "loop.lua", script,
                                              sizeof(script) - 1),
                     0);
}

static int ask(const char *path)
{
    int fd = test_client_connect(lhttpd_server_port(server, 0));
    char request[128];

    snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    test_client_send(fd, request);
    return fd;
}

/* Turns as the descriptor says until the client has its whole answer. */
static const char *serve(int client)
{
    static char out[8192];
    size_t n = 0;

    for (;;) {
        struct pollfd p[2] = {{lhttpd_server_fd(server), POLLIN, 0},
                              {client, POLLIN, 0}};
        assert_true(poll(p, 2, test_patience_ms(20000)) > 0);
        if (p[0].revents)
            assert_int_equal(lhttpd_server_run_once(server, 0), 1);
        if (!p[1].revents)
            continue;
        ssize_t got = read(client, out + n, sizeof(out) - 1 - n);
        assert_true(got >= 0);
        n += (size_t)got;
        if (got == 0)
            break;
    }
    out[n] = '\0';
    close(client);
    char *body = strstr(out, "\r\n\r\n");
    return body ? body + 4 : out;
}

static int no_thread_is_left(void *unused)
{
    (void)unused;
    return count_threads() == threads_before;
}

/* A thread that was joined may be in the kernel's list for a moment yet. */
static void end(void)
{
    lhttpd_server_destroy(server);
    assert_int_equal(test_live_fds(), fds_before);
    test_live_until(no_thread_is_left, NULL);
}

/* --- tests ---------------------------------------------------------------- */

static void test_serves(void **state)
{
    (void)state;
    create(0);
    assert_int_equal(lhttpd_server_fd(server), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_next_timeout(server), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_run_once(server, 0), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_attach(server), 0);
    assert_int_equal(lhttpd_server_attach(server), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_start(server), LHTTPD_ESTATE);
    assert_string_equal(serve(ask("/")), "ok 1");
    assert_string_equal(serve(ask("/")), "ok 2");
    assert_string_equal(serve(ask("/file")), "root");
    assert_string_equal(serve(ask("/run")), "ran");
    assert_string_equal(serve(ask("/mask")), "none");
    assert_int_equal(count_threads(), threads_before);
    assert_int_equal(
        lhttpd_server_stop(server, (unsigned)test_patience_ms(10000)), 0);
    assert_int_equal(lhttpd_server_run_once(server, 0), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_fd(server), LHTTPD_ESTATE);
    end();
}

/* The descriptor tells of times too, and so does next_timeout. */
static void test_times(void **state)
{
    (void)state;
    create(1);
    assert_int_equal(lhttpd_server_attach(server), 0);
    assert_string_equal(serve(ask("/sleep?0.05")), "slept");
    int client = ask("/sleep?1000");
    struct pollfd p = {lhttpd_server_fd(server), POLLIN, 0};
    assert_int_equal(poll(&p, 1, test_patience_ms(20000)), 1);
    while (lhttpd_server_next_timeout(server) == 0 || poll(&p, 1, 0) > 0)
        assert_int_equal(lhttpd_server_run_once(server, 0), 1);
    int timeout = lhttpd_server_next_timeout(server);
    assert_true(timeout > 0 && timeout <= 1000 * 1000);
    assert_int_equal(lhttpd_server_stop(server, 0), 0); /* the sleep ends */
    close(client);
    end();
}

static void test_stop(void **state)
{
    int turns = 0, r;

    (void)state;
    create(0);
    assert_int_equal(lhttpd_server_attach(server), 0);
    int client = ask("/sleep?0.1");
    struct pollfd p = {lhttpd_server_fd(server), POLLIN, 0};
    assert_int_equal(poll(&p, 1, test_patience_ms(20000)), 1);
    assert_int_equal(lhttpd_server_run_once(server, -1), 1);
    lhttpd_server_shutdown(server, 10000);
    do {
        assert_int_equal(poll(&p, 1, test_patience_ms(20000)), 1);
        r = lhttpd_server_run_once(server, 0);
    } while (r == 1 && ++turns < 1000);
    assert_int_equal(r, 0);
    char out[1024];
    test_client_read_all(client, out, sizeof(out));
    assert_non_null(strstr(out, "slept"));
    close(client);
    end();
    /* A running one is cut off. */
    create(0);
    assert_int_equal(lhttpd_server_attach(server), 0);
    end();
}

static void test_reload(void **state)
{
    (void)state;
    create(0);
    assert_int_equal(lhttpd_server_attach(server), 0);
    assert_string_equal(serve(ask("/")), "ok 1");
    assert_int_equal(lhttpd_server_reload(server), 0);
    assert_string_equal(serve(ask("/")), "ok 1");
    assert_string_equal(serve(ask("/")), "ok 2");
    assert_string_equal(serve(ask("/reload")), "true");
    assert_string_equal(serve(ask("/")), "ok 1");
    assert_int_equal(count_threads(), threads_before);
    assert_int_equal(
        lhttpd_server_stop(server, (unsigned)test_patience_ms(10000)), 0);
    end();
}

static void *be_another_thread(void *arg)
{
    int *found = arg;

    found[0] = lhttpd_server_run_once(server, 0);
    found[1] = lhttpd_server_wait(server);
    found[2] = lhttpd_server_next_timeout(server);
    found[3] = lhttpd_server_fd(server) >= 0;
    lhttpd_server_destroy(server); /* does nothing */
    found[4] = lhttpd_server_reload(server);
    lhttpd_server_shutdown(server, 10000);
    return NULL;
}

static void test_threads(void **state)
{
    int found[5];
    pthread_t thread;

    (void)state;
    create(2);
    assert_int_equal(lhttpd_server_attach(server), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(server), "one worker, not 2"));
    lhttpd_server_destroy(server);
    create(0);
    assert_int_equal(lhttpd_server_set(server, "script_kill_ms", "10"), 0);
    assert_int_equal(lhttpd_server_attach(server), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_set(server, "script_kill_ms", "0"), 0);
    assert_int_equal(lhttpd_server_attach(server), 0);
    assert_int_equal(lhttpd_server_wait_fd(server), LHTTPD_ESTATE);
    pthread_create(&thread, NULL, be_another_thread, found);
    pthread_join(thread, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(found[i], LHTTPD_ESTATE);
    assert_int_equal(found[3], 1);
    assert_int_equal(found[4], 0);
    assert_int_equal(lhttpd_server_wait(server), 0);
    end();
}

/* --- wait's descriptor ---------------------------------------------------- */

static void test_wait_fd(void **state)
{
    (void)state;
    create(2);
    assert_int_equal(lhttpd_server_wait_fd(server), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_start(server), 0);
    int fd = lhttpd_server_wait_fd(server);
    struct pollfd p = {fd, POLLIN, 0};
    assert_true(fd >= 0);
    assert_int_equal(lhttpd_server_wait_fd(server), fd);
    char out[1024];
    int client = ask("/");
    test_client_read_all(client, out, sizeof(out));
    close(client);
    assert_int_equal(poll(&p, 1, 0), 0);
    lhttpd_server_shutdown(server, 10000);
    assert_int_equal(poll(&p, 1, test_patience_ms(20000)), 1);
    assert_int_equal(lhttpd_server_wait(server), 0);
    end();
    /* Asked for when it is over. */
    create(1);
    assert_int_equal(lhttpd_server_start(server), 0);
    lhttpd_server_shutdown(server, 0);
    p.fd = lhttpd_server_wait_fd(server);
    assert_int_equal(poll(&p, 1, test_patience_ms(20000)), 1);
    assert_int_equal(lhttpd_server_wait(server), 0);
    end();
}

/* --- a forked child ------------------------------------------------------- */

/* Every call there is LHTTPD_ESTATE, or does nothing, at once. */
static int calls_of_child(void *unused)
{
    lhttpd_certificate_t certificate = lhttpd_certificate_init();
    lhttpd_client_ca_t ca = lhttpd_client_ca_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    lhttpd_value_t value = lhttpd_value_init();
    lhttpd_stats_t stats = lhttpd_stats_init();
    lhttpd_handler_stats_t of_handler = lhttpd_handler_stats_init();
    const int found[] = {
        lhttpd_server_set(server, "body_bytes", "1"),
        lhttpd_server_listen(server, NULL, 0, 0),
        lhttpd_server_adopt(server, 0, 0),
        lhttpd_server_listen_fds(server, 0),
        lhttpd_server_listener_fd(server, 0),
        lhttpd_server_port(server, 0),
        lhttpd_server_notify(server),
        lhttpd_server_add_certificate(server, &certificate),
        lhttpd_server_add_client_ca(server, &ca),
        lhttpd_server_map_script(server, "a", "b"),
        lhttpd_server_map_source(server, "a", "b", "c", 1),
        lhttpd_server_map_directory(server, "a", "b", NULL),
        lhttpd_server_register_vm_factory(server, "a", &factory),
        lhttpd_server_check(server),
        lhttpd_server_start(server),
        lhttpd_process_serve(server, NULL, 0),
        lhttpd_server_attach(server),
        lhttpd_server_fd(server),
        lhttpd_server_next_timeout(server),
        lhttpd_server_run_once(server, -1),
        lhttpd_server_reload(server),
        lhttpd_server_reopen(server),
        lhttpd_server_publish(server, "a", "b", 1),
        lhttpd_server_shared_set(server, "a", &value, 0, -1),
        lhttpd_server_shared_get(server, "a", &value, -1),
        lhttpd_server_stats(server, &stats),
        lhttpd_server_handler_stats(server, 0, &of_handler),
        lhttpd_server_wait(server),
        lhttpd_server_wait_fd(server),
        lhttpd_server_stop(server, 0),
    };
    struct sigaction action;
    unsigned before = lines;

    (void)unused;
    lhttpd_server_shutdown(server, 0);
    lhttpd_server_destroy(server);
    lhttpd_server_log(server, LHTTPD_LOG_ERROR, "of a child");
    if (lines != before)
        return 1;
    if (sigaction(SIGTERM, NULL, &action) < 0 || action.sa_handler != SIG_DFL)
        return 2; /* serve has caught it */
    if (!*lhttpd_server_error(server))
        return 3;
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++)
        if (found[i] != LHTTPD_ESTATE)
            return 10 + (int)i;
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    create(0);
    assert_int_equal(lhttpd_server_attach(server), 0);
    assert_int_equal(test_forked(calls_of_child, NULL), 0);
    assert_string_equal(serve(ask("/")), "ok 1");
    assert_int_equal(
        lhttpd_server_stop(server, (unsigned)test_patience_ms(10000)), 0);
    end();
    create(1);
    assert_int_equal(lhttpd_server_start(server), 0);
    assert_int_equal(test_forked(calls_of_child, NULL), 0);
    assert_int_equal(
        lhttpd_server_stop(server, (unsigned)test_patience_ms(10000)), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_serves),  cmocka_unit_test(test_times),
        cmocka_unit_test(test_stop),    cmocka_unit_test(test_reload),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_wait_fd),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
