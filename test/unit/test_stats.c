/* Statistics: what a program reads of a server beside its clients. */
#include "lhttpd.h"
#include "lib/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS  2
#define CLIENTS  3
#define REQUESTS 50

static const char script[] =
    "httpd.register_handler('/', function() httpd.write(nil, 'hello') end)\n"
    "httpd.register_handler('/wait', function() httpd.sleep(60) end)\n"
    "httpd.register_handler('/child', function()\n"
    "  child = io.popen('exec sleep 60') httpd.write(nil, 'begun') end)\n"
    "httpd.register_handler('/loop', function()\n"
    "  local t = os.clock() while os.clock() - t < 0.3 do end end)\n";

static lhttpd_server_t *server;
static char unix_path[64];

static void begin(void)
{
    lhttpd_config_t config = lhttpd_config_init();

    config.workers = WORKERS;
    config.log_level = LHTTPD_LOG_ERROR;
    assert_int_equal(lhttpd_server_create(&server, &config), 0);
    assert_int_equal(lhttpd_server_listen(server, "127.0.0.1", 0, 0), 0);
    snprintf(unix_path, sizeof(unix_path), "unix:/tmp/test_stats.%ld",
             (long)getpid());
    assert_int_equal(lhttpd_server_listen(server, unix_path, 0, 0), 1);
    assert_int_equal(lhttpd_server_map_source(server, "/", "script.lua", script,
                                              sizeof(script) - 1),
                     0);
}

static void start(void)
{
    begin();
    assert_int_equal(lhttpd_server_start(server), 0);
}

static void end(void)
{
    lhttpd_server_stop(server, 0);
    lhttpd_server_destroy(server);
}

static lhttpd_stats_t read_stats(void)
{
    lhttpd_stats_t stats = lhttpd_stats_init();

    assert_int_equal(lhttpd_server_stats(server, &stats), 0);
    return stats;
}

/* Of a field, by its place. */
static uint64_t now(size_t offset)
{
    lhttpd_stats_t stats = read_stats();

    return *(uint64_t *)(void *)((char *)&stats + offset);
}

#define WAIT_FOR(field, n) wait_for(offsetof(lhttpd_stats_t, field), n)

static void wait_for(size_t offset, uint64_t n)
{
    for (int i = 0; now(offset) != n; i++) {
        if (i == 20000)
            assert_int_equal(now(offset), n);
        usleep(1000);
    }
}

static size_t ask(const char *request, char *out, size_t room)
{
    return test_client_ask(lhttpd_server_port(server, 0), request, out, room);
}

/* Several requests on one connection, in one packet. */
static void *be_client(void *arg)
{
    char out[16384];

    (void)arg;
    for (int i = 0; i < REQUESTS; i++)
        ask("GET / HTTP/1.1\r\nhost: x\r\n\r\n"
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            out, sizeof(out));
    return NULL;
}

static void a_struct_of_any_size_is_filled(void **state)
{
    lhttpd_stats_t stats = lhttpd_stats_init();

    (void)state;
    begin();
    assert_int_equal(lhttpd_server_stats(NULL, &stats), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_stats(server, NULL), LHTTPD_EINVAL);
    stats.size = 0;
    assert_int_equal(lhttpd_server_stats(server, &stats), LHTTPD_EINVAL);
    stats = lhttpd_stats_init();
    stats.size = offsetof(lhttpd_stats_t, workers_stuck);
    stats.workers_stuck = 77;
    assert_int_equal(lhttpd_server_stats(server, &stats), 0);
    assert_int_equal(stats.size, offsetof(lhttpd_stats_t, workers_stuck));
    assert_int_equal(stats.workers, WORKERS);
    assert_int_equal(stats.workers_stuck, 77);
    assert_int_equal(stats.uptime_ms, 0);
    lhttpd_server_destroy(server);
}

static void connections_are_counted(void **state)
{
    char out[4096];

    (void)state;
    start();
    int client = test_client_connect(lhttpd_server_port(server, 0));
    WAIT_FOR(connections_tcp, 1);
    WAIT_FOR(connections_idle, 1);
    test_client_send(client, "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n");
    WAIT_FOR(tasks_waiting, 1);
    WAIT_FOR(connections_idle, 0);
    assert_int_equal(read_stats().requests_open, 1);
    close(client);
    WAIT_FOR(connections, 0);
    WAIT_FOR(tasks_waiting, 0);
    lhttpd_stats_t before = read_stats();
    size_t got = ask("GET / HTTP/1.0\r\n\r\n", out, sizeof(out));
    WAIT_FOR(connections, 0);
    lhttpd_stats_t stats = read_stats();
    assert_int_equal(stats.accepted_tcp, 2);
    assert_int_equal(stats.accepted_tls + stats.accepted_unix, 0);
    assert_int_equal(stats.connections_tcp, 0);
    assert_int_equal(stats.connections_idle, 0);
    assert_int_equal(stats.octets_in, 31 + 18);
    assert_int_equal(stats.octets_out - before.octets_out, got);
    end();
}

static void vms_and_children_are_counted(void **state)
{
    char out[4096];

    (void)state;
    start();
    lhttpd_stats_t stats = read_stats();
    assert_int_equal(stats.vms, WORKERS);
    assert_true(stats.vm_memory_bytes > 10000);
    assert_true(stats.vm_memory_limit == LHTTPD_UNLIMITED);
    assert_int_equal(stats.reloads, 0);
    assert_int_equal(stats.files_by_uring + stats.files_by_threads, WORKERS);
    ask("GET /child HTTP/1.0\r\n\r\n", out, sizeof(out));
    assert_int_equal(read_stats().children, 1);
    assert_int_equal(lhttpd_server_reload(server), 0);
    WAIT_FOR(children, 0); /* with its VM */
    WAIT_FOR(vms, WORKERS);
    assert_int_equal(read_stats().reloads, 1);
    assert_int_equal(lhttpd_server_set(server, "vm_memory_bytes", "1000000"),
                     0);
    assert_int_equal(read_stats().vm_memory_limit, 1000000);
    assert_int_equal(lhttpd_server_stop(server, 1000), 0);
    stats = read_stats();
    assert_int_equal(stats.vms, 0);
    assert_int_equal(stats.vm_memory_bytes, 0);
    assert_int_equal(stats.accepted_tcp, 1); /* that stays */
    lhttpd_server_destroy(server);
}

/* A worker that is in a script for longer than handlers may be. */
static void a_worker_that_is_stuck_is_seen(void **state)
{
    char out[4096];

    (void)state;
    begin();
    assert_int_equal(lhttpd_server_set(server, "handler_run_ms", "20"), 0);
    assert_int_equal(lhttpd_server_start(server), 0);
    int client = test_client_connect(lhttpd_server_port(server, 0));
    test_client_send(client, "GET /loop HTTP/1.0\r\n\r\n");
    WAIT_FOR(workers_stuck, 1);
    assert_true(read_stats().present_turn_ms > 0);
    test_client_read_all(client, out, sizeof(out));
    WAIT_FOR(workers_stuck, 0);
    WAIT_FOR(long_turns, 1);
    assert_true(read_stats().longest_turn_ms >= 200);
    end();
}

/* Readers wait for nobody and disturb nobody: counts only grow, and are exact
 * once all is quiet. */
static void a_reader_beside_traffic_disturbs_nobody(void **state)
{
    pthread_t clients[CLIENTS];
    uint64_t before = 0;

    (void)state;
    start();
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, be_client, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        lhttpd_stats_t stats = read_stats();
        assert_true(stats.accepted_tcp >= before);
        before = stats.accepted_tcp;
        if (i % 100 == 0)
            assert_int_equal(lhttpd_server_reload(server), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    WAIT_FOR(accepted_tcp, (uint64_t)CLIENTS * REQUESTS);
    WAIT_FOR(connections, 0);
    WAIT_FOR(requests_open, 0);
    assert_int_equal(read_stats().reloads, 10);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_struct_of_any_size_is_filled),
        cmocka_unit_test(connections_are_counted),
        cmocka_unit_test(vms_and_children_are_counted),
        cmocka_unit_test(a_worker_that_is_stuck_is_seen),
        cmocka_unit_test(a_reader_beside_traffic_disturbs_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
