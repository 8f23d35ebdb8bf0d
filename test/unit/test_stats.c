/* Statistics: what a program reads of a server beside its clients. */
#include "lhttpd.h"
#include "base/stats.h"
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
    "httpd.register_handler('/wait', function()\n"
    "  httpd.sleep(60) httpd.sleep(60) end)\n"
    "httpd.register_handler('/child', function()\n"
    "  child = io.popen('exec sleep 60') httpd.write(nil, 'begun') end)\n"
    "httpd.register_handler('/loop', function()\n"
    "  local t = os.clock() while os.clock() - t < 0.3 do end end)\n"
    "httpd.register_handler('/listen', function()\n"
    "  local s = httpd.subscribe('a', {queue = 1})\n"
    "  httpd.sleep(60) httpd.sleep(60) end)\n"
    "httpd.register_handler('/fails', function() error('no') end)\n"
    "httpd.register_handler('/stats', function()\n"
    "  local s, n = httpd.stats(), 0\n"
    "  local function count(t)\n"
    "    for k, v in pairs(t) do\n"
    "      if type(v) == 'table' then count(v) else n = n + 1 end end end\n"
    "  for i = #s.handlers, 1, -1 do\n"
    "    if s.handlers[i].name ~= '/stats' then\n"
    "      table.remove(s.handlers, i) end end\n"
    "  assert(s.handlers[1].prefix == '/app')\n"
    "  assert(s.handlers[1].script == 'script.lua')\n"
    "  count(s.handlers) s.handlers = nil\n"
    "  httpd.write(nil, n .. ' ') count(s)\n"
    "  httpd.write(nil, n .. ' ' .. s.workers.count .. ' ' ..\n"
    "    s.requests.status_2xx .. ' ' .. s.protocols.http11) end)\n";

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
    assert_int_equal(lhttpd_server_map_source(server, "/app", "script.lua",
                                              script, sizeof(script) - 1),
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
        ask("GET /app/ HTTP/1.1\r\nhost: x\r\n\r\n"
            "GET /app/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
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
    test_client_send(client, "GET /app/wait HTTP/1.1\r\nhost: x\r\n\r\n");
    WAIT_FOR(tasks_waiting, 1);
    WAIT_FOR(connections_idle, 0);
    assert_int_equal(read_stats().requests_open, 1);
    close(client);
    WAIT_FOR(connections, 0);
    WAIT_FOR(tasks_waiting, 0);
    lhttpd_stats_t before = read_stats();
    size_t got = ask("GET /app/ HTTP/1.0\r\n\r\n", out, sizeof(out));
    WAIT_FOR(connections, 0);
    lhttpd_stats_t stats = read_stats();
    assert_int_equal(stats.accepted_tcp, 2);
    assert_int_equal(stats.accepted_tls + stats.accepted_unix, 0);
    assert_int_equal(stats.connections_tcp, 0);
    assert_int_equal(stats.connections_idle, 0);
    assert_int_equal(stats.octets_in, 35 + 22);
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
    ask("GET /app/child HTTP/1.0\r\n\r\n", out, sizeof(out));
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
static void share(const char *key)
{
    lhttpd_value_t value = lhttpd_value_init();

    value.kind = LHTTPD_BOOLEAN;
    assert_int_equal(lhttpd_server_shared_set(server, key, &value, 0, -1), 0);
}

static void what_handlers_share_is_counted(void **state)
{
    static const char get[] = "GET /app/listen HTTP/1.1\r\nhost: x\r\n\r\n";
    int fds[3];

    (void)state;
    begin();
    share("before");
    assert_int_equal(lhttpd_server_start(server), 0);
    assert_int_equal(read_stats().shared_values, 1);
    share("after");
    lhttpd_stats_t stats = read_stats();
    assert_int_equal(stats.shared_values, 2);
    assert_true(stats.shared_bytes > 10 && stats.shared_bytes < 1000);
    for (int i = 0; i < 3; i++) {
        fds[i] = test_client_connect(lhttpd_server_port(server, 0));
        test_client_send(fds[i], get);
    }
    WAIT_FOR(channel_subscribers, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(lhttpd_server_publish(server, "a", "x", 1), 0);
    WAIT_FOR(channel_dropped, 12);
    stats = read_stats();
    assert_true(stats.channels >= 1 && stats.channels <= WORKERS);
    assert_int_equal(stats.channel_messages, 5 * stats.channels);
    assert_int_equal(stats.channel_lost, 0);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    WAIT_FOR(channels, 0);
    WAIT_FOR(channel_subscribers, 0);
    assert_int_equal(lhttpd_server_set(server, "shared_bytes", "400"), 0);
    for (int i = 0; i < 20; i++) {
        char key[8];
        snprintf(key, sizeof(key), "%d", i);
        share(key);
    }
    assert_true(read_stats().shared_evicted > 10);
    assert_int_equal(lhttpd_server_stop(server, 1000), 0);
    lhttpd_server_destroy(server);
}

static void a_worker_that_is_stuck_is_seen(void **state)
{
    char out[4096];

    (void)state;
    begin();
    assert_int_equal(lhttpd_server_set(server, "handler_run_ms", "20"), 0);
    assert_int_equal(lhttpd_server_start(server), 0);
    int client = test_client_connect(lhttpd_server_port(server, 0));
    test_client_send(client, "GET /app/loop HTTP/1.0\r\n\r\n");
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
    assert_int_equal(read_stats().requests.complete, CLIENTS * REQUESTS * 2);
    end();
}

static lhttpd_handler_stats_t read_handler(const char *name)
{
    lhttpd_handler_stats_t stats = lhttpd_handler_stats_init();

    for (unsigned i = 0; lhttpd_server_handler_stats(server, i, &stats) == 0;
         i++)
        if (strcmp(stats.name, name) == 0)
            return stats;
    fail_msg("there is no handler %s", name);
    return stats;
}

static uint64_t count_of(const lhttpd_latency_t *latency)
{
    uint64_t n = 0;

    for (int i = 0; i < LHTTPD_LATENCY_BUCKETS; i++)
        n += latency->counts[i];
    return n;
}

/* Every request is in one class, one ending, one protocol, and takes its time
 * once; with a handler or without. */
static void requests_are_counted_once(void **state)
{
    char out[4096];

    (void)state;
    start();
    ask("GET /app/ HTTP/1.0\r\n\r\n", out, sizeof(out));
    ask("GET /app/fails HTTP/1.0\r\n\r\n", out, sizeof(out));
    ask("GET /nowhere HTTP/1.0\r\n\r\n", out, sizeof(out));
    ask("GET /app?x HTTP/1.0\r\n\r\n", out, sizeof(out));
    ask("GET / HTTP/1.1\r\n\r\n", out, sizeof(out));
    ask("GET /app/ HTTP/1.1\r\nhost: x\r\n\r\n"
        "GET /app/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        out, sizeof(out));
    WAIT_FOR(requests_open, 0);
    lhttpd_stats_t stats = read_stats();
    assert_int_equal(stats.requests.status_2xx, 3);
    assert_int_equal(stats.requests.status_3xx, 1);
    assert_int_equal(stats.requests.status_4xx, 2);
    assert_int_equal(stats.requests.status_5xx, 1);
    assert_int_equal(stats.requests.unanswered, 0);
    assert_int_equal(stats.requests.complete, 7);
    assert_int_equal(stats.requests.gone + stats.requests.cut, 0);
    assert_int_equal(count_of(&stats.requests.head), 7);
    assert_int_equal(count_of(&stats.requests.end), 7);
    assert_int_equal(stats.requests_http10 + stats.requests_http11, 7);
    assert_int_equal(stats.requests_http2, 0);
    lhttpd_handler_stats_t root = read_handler("/");
    assert_string_equal(root.prefix, "/app");
    assert_string_equal(root.script, "script.lua");
    assert_int_equal(root.vms, WORKERS);
    assert_int_equal(root.requests.complete, 3);
    assert_int_equal(read_handler("/fails").requests.status_5xx, 1);
    root = read_handler("/fails");
    assert_int_equal(count_of(&root.requests.end), 1);
    assert_int_equal(lhttpd_server_reload(server), 0);
    ask("GET /app/ HTTP/1.0\r\n\r\n", out, sizeof(out));
    WAIT_FOR(vms, WORKERS);
    assert_int_equal(read_handler("/").requests.complete, 4);
    for (int i = 0; read_handler("/").vms != WORKERS; i++) {
        assert_true(i < 20000);
        usleep(1000);
    }
    end();
}

static void a_client_that_goes_is_counted(void **state)
{
    (void)state;
    start();
    int client = test_client_connect(lhttpd_server_port(server, 0));
    test_client_send(client, "GET /app/wait HTTP/1.1\r\nhost: x\r\n\r\n");
    WAIT_FOR(tasks_waiting, 1);
    assert_int_equal(lhttpd_server_stop(server, 0), LHTTPD_ECUT);
    lhttpd_stats_t stats = read_stats();
    assert_int_equal(stats.requests.complete, 0);
    assert_int_equal(stats.requests.unanswered, 1);
    assert_int_equal(stats.requests.gone + stats.requests.cut, 1);
    assert_int_equal(count_of(&stats.requests.head), 0);
    assert_int_equal(count_of(&stats.requests.end), 1);
    close(client);
    lhttpd_server_destroy(server);
}

/* All numbers of the structs are in the tables, but for size and handlers, and
 * the memory's limit, which there is none of. */
static void a_script_reads_the_same(void **state)
{
    char out[4096], expected[64];
    size_t numbers =
        (sizeof(lhttpd_stats_t) - offsetof(lhttpd_stats_t, uptime_ms)) / 8 - 2;
    size_t of_handler = 4 + sizeof(lhttpd_requests_t) / 8;

    (void)state;
    start();
    ask("GET /app/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", out,
        sizeof(out));
    WAIT_FOR(requests_http11, 1);
    ask("GET /app/stats HTTP/1.0\r\n\r\n", out, sizeof(out));
    snprintf(expected, sizeof(expected), "\r\n\r\n%zu %zu %d 1 1", of_handler,
             of_handler + numbers, WORKERS);
    assert_non_null(strstr(out, expected));
    end();
}

/* Each bucket's bound is a power of two, itself included. */
static void latencies_find_their_bucket(void **state)
{
    (void)state;
    assert_int_equal(lh_latency_bucket(0), 0);
    assert_int_equal(lh_latency_bucket(1), 0);
    assert_int_equal(lh_latency_bucket(2), 1);
    assert_int_equal(lh_latency_bucket(3), 2);
    assert_int_equal(lh_latency_bucket(4), 2);
    assert_int_equal(lh_latency_bucket(5), 3);
    assert_int_equal(lh_latency_bucket(1000), 10);
    assert_int_equal(lh_latency_bucket(UINT64_MAX), LHTTPD_LATENCY_BUCKETS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_struct_of_any_size_is_filled),
        cmocka_unit_test(connections_are_counted),
        cmocka_unit_test(what_handlers_share_is_counted),
        cmocka_unit_test(vms_and_children_are_counted),
        cmocka_unit_test(a_worker_that_is_stuck_is_seen),
        cmocka_unit_test(requests_are_counted_once),
        cmocka_unit_test(a_client_that_goes_is_counted),
        cmocka_unit_test(a_script_reads_the_same),
        cmocka_unit_test(latencies_find_their_bucket),
        cmocka_unit_test(a_reader_beside_traffic_disturbs_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
