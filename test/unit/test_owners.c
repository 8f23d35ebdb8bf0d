/*
 * Shared values of a server that runs: from handlers of all workers, from
 * threads of the program, while scripts load, over reloads and stops.
 */
#include "lhttpd.h"

#include "lib/client.h"
#include "lib/heap.h"
#include "lib/live.h"
#include "server/owners.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS  3
#define CLIENTS  12
#define BODY_MAX 4096

/* Keys are many, so that each worker has some. */
static const char source[] =
    "local shared = httpd.shared\n"
    "shared.incr('loads', 1, 0)\n"
    "preset = shared.get('preset')\n"
    "test('all', function()\n"
    "  for i = 1, 50 do\n"
    "    local k = 'key' .. i\n"
    "    same(shared.get(k), nil)\n"
    "    same(shared.add(k, 'a'), true)\n"
    "    same(shared.add(k, 'b'), false)\n"
    "    same(shared.cas(k, 'a', i), true)\n"
    "    same(shared.incr(k, 1), i + 1)\n"
    "    same(shared.get(k), i + 1)\n"
    "  end\n"
    "  same(#shared.keys('key'), 50)\n"
    "  for _, k in ipairs(shared.keys('key')) do\n"
    "    same(shared.delete(k), true)\n"
    "  end\n"
    "  same(#shared.keys('key'), 0)\n"
    "end)\n"
    "test('count', function()\n"
    "  for _ = 1, 200 do\n"
    "    for k = 1, 5 do assert(shared.incr('n' .. k, 1, 0)) end\n"
    "  end\n"
    "end)\n"
    "test('counted', function()\n"
    "  local sum = 0\n"
    "  for k = 1, 5 do sum = sum + shared.get('n' .. k) end\n"
    "  return ('%d'):format(sum)\n"
    "end)\n"
    "test('loads', function() return ('%d'):format(shared.get('loads')) end)\n"
    "test('preset', function() return preset end)\n"
    "test('value', function() return type(shared.get('v')) ..\n"
    "  tostring(shared.get('v')) end)\n"
    "test('set', function(env)\n"
    "  for name, value in pairs(httpd.query(env.QUERY_STRING)) do\n"
    "    if type(name) == 'string' then assert(shared.set(name, value)) end\n"
    "  end\n"
    "end)\n"
    /* Asks until it is told not to, whatever it is told. */
    "test('ask', function()\n"
    "  local i = 0\n"
    "  repeat\n"
    "    i = i + 1\n"
    "    local n, why = shared.incr('k' .. i % 50, 1, 0)\n"
    "  until not n or httpd.stopping()\n"
    "end)\n"
    /* Holds its worker until there is a file. */
    "test('hold', function()\n"
    "  fill('held', '')\n"
    "  repeat local f = io.open(DIR .. 'go') until f\n"
    "end)\n"
    "test('held', function()\n"
    "  local late = 0\n"
    "  for i = 1, 60 do\n"
    "    local ok, why = shared.set('h' .. i, i, nil, 0.01)\n"
    "    if not ok then same(why, 'timeout') late = late + 1 end\n"
    "  end\n"
    "  same(late > 0 and late < 60, true)\n"
    "end)\n"
    "test('late', function()\n"
    "  for i = 1, 60 do same(shared.get('h' .. i), i) end\n"
    "end)\n";

static struct test_live live;

static lhttpd_value_t number(double n)
{
    lhttpd_value_t v = lhttpd_value_init();

    v.kind = LHTTPD_NUMBER;
    v.number = n;
    return v;
}

static void set(const char *key, lhttpd_value_t v)
{
    assert_int_equal(lhttpd_server_shared_set(live.server, key, &v, 0, -1), 0);
}

static lhttpd_value_t get(const char *key)
{
    lhttpd_value_t v = lhttpd_value_init();

    assert_int_equal(lhttpd_server_shared_get(live.server, key, &v, -1), 0);
    return v;
}

/* --- handlers ------------------------------------------------------------- */

static void test_each_worker_sees_all(void **state)
{
    (void)state;
    test_live_start(&live, WORKERS, source);
    for (int i = 0; i < 6; i++)
        test_live_expect(&live, "/all", "ok");
    test_live_stop(&live);
}

static void test_no_count_is_lost(void **state)
{
    char got[BODY_MAX];
    int fds[CLIENTS];

    (void)state;
    test_live_start(&live, WORKERS, source);
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = test_live_ask(&live, "/count");
    for (int i = 0; i < CLIENTS; i++) {
        test_client_read_all(fds[i], got, sizeof(got));
        assert_non_null(strstr(got, "\r\n\r\nok"));
        close(fds[i]);
    }
    test_live_expect(&live, "/counted", "12000");
    test_live_stop(&live);
}

/* --- while scripts load --------------------------------------------------- */

static void test_values_outlive_vms(void **state)
{
    (void)state;
    test_live_start(&live, WORKERS, source);
    test_live_expect(&live, "/loads", "3"); /* one VM a worker */
    assert_int_equal(lhttpd_server_reload(live.server), 0);
    test_live_expect(&live, "/loads", "6");
    test_live_expect(&live, "/all", "ok");
    test_live_stop(&live);
}

/* A check sees what was set, and changes nothing. */
static void test_a_program_may_set_values_first(void **state)
{
    static const char script[] =
        "local shared = httpd.shared\n"
        "assert(shared.get('preset') == 5 and shared.add('once', true))\n"
        "httpd.register_handler('/', function()\n"
        "  httpd.write(nil, tostring(shared.get('once')))\n"
        "end)\n";
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_value_t v = number(5);

    (void)state;
    config.workers = 1;
    assert_int_equal(lhttpd_server_create(&live.server, &config), 0);
    assert_int_equal(lhttpd_server_listen(live.server, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_map_source(live.server, "/", "s", script,
                                              sizeof(script) - 1),
                     0);
    assert_int_equal(lhttpd_server_check(live.server), LHTTPD_ESCRIPT);
    assert_int_equal(lhttpd_server_shared_set(live.server, "preset", &v, 0, -1),
                     0);
    for (int i = 0; i < 2; i++)
        if (lhttpd_server_check(live.server) != 0)
            fail_msg("%s", lhttpd_server_error(live.server));
    assert_int_equal(get("once").kind, LHTTPD_NONE);
    assert_int_equal(lhttpd_server_start(live.server), 0);
    live.port = lhttpd_server_port(live.server, 0);
    test_live_expect(&live, "/", "true");
    assert_int_equal(lhttpd_server_stop(live.server, 1000), 0);
    lhttpd_server_destroy(live.server);
}

/* --- the program ---------------------------------------------------------- */

static void test_each_kind_from_the_program(void **state)
{
    lhttpd_value_t v = lhttpd_value_init();
    char room[4];

    (void)state;
    test_live_start(&live, WORKERS, source);
    test_live_expect(&live, "/value", "nilnil");
    assert_int_equal(get("v").kind, LHTTPD_NONE);
    v.kind = LHTTPD_TEXT;
    v.text = "a\0bcde";
    v.text_bytes = 6;
    set("v", v);
    v = lhttpd_value_init();
    v.room = room;
    v.room_bytes = sizeof(room);
    assert_int_equal(lhttpd_server_shared_get(live.server, "v", &v, -1), 0);
    assert_int_equal(v.kind, LHTTPD_TEXT);
    assert_int_equal(v.text_bytes, 6);
    assert_ptr_equal(v.text, room);
    assert_memory_equal(room, "a\0bc", 4);
    v.kind = LHTTPD_BOOLEAN;
    v.boolean = 7;
    set("v", v);
    test_live_expect(&live, "/value", "booleantrue");
    assert_int_equal(get("v").boolean, 1);
    set("v", number(0.5));
    test_live_expect(&live, "/value", "number0.5");
    assert_true(get("v").number == 0.5);
    v.kind = LHTTPD_INTEGER;
    v.integer = 12;
    set("v", v);
    test_live_expect(&live, "/value", "number12");
    v.kind = LHTTPD_NONE;
    set("v", v);
    test_live_expect(&live, "/value", "nilnil");
    test_live_expect(&live, "/set?v=text", "ok");
    assert_int_equal(get("v").text_bytes, 4);
    test_live_stop(&live);
}

static void expect_set(const char *key, const lhttpd_value_t *v, int error,
                       const char *words)
{
    assert_int_equal(lhttpd_server_shared_set(live.server, key, v, 1, -1),
                     error);
    if (!strstr(lhttpd_server_error(live.server), words))
        print_error("%s\n", lhttpd_server_error(live.server));
    assert_non_null(strstr(lhttpd_server_error(live.server), words));
}

static void test_what_the_program_may_not(void **state)
{
    static char large[1 << 20];
    lhttpd_value_t v = number(1), wrong = number(1), big = number(0);

    (void)state;
    assert_int_equal(lhttpd_server_shared_set(NULL, "a", &v, 0, 0),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_shared_get(NULL, "a", &v, 0), LHTTPD_EINVAL);
    test_live_start(&live, WORKERS, source);
    expect_set(NULL, &v, LHTTPD_EINVAL, "key is NULL");
    expect_set("a", NULL, LHTTPD_EINVAL, "value is NULL");
    wrong.size = 0;
    expect_set("a", &wrong, LHTTPD_EINVAL, "lhttpd_value_init()");
    wrong = number(1);
    wrong.kind = (lhttpd_kind_t)9;
    expect_set("a", &wrong, LHTTPD_EINVAL, "no kind 9");
    big.kind = wrong.kind = LHTTPD_TEXT;
    wrong.text_bytes = 1;
    expect_set("a", &wrong, LHTTPD_EINVAL, "text is NULL");
    big.text = large;
    big.text_bytes = sizeof(large);
    expect_set("a", &big, LHTTPD_EINVAL, "share of shared_bytes");
    assert_int_equal(lhttpd_server_stop(live.server, 1000), 0);
    expect_set("a", &v, LHTTPD_ESTATE, "only while the server runs");
    lhttpd_server_destroy(live.server);
}

static int is_held(void *arg)
{
    (void)arg;
    return access(test_live_path("held"), F_OK) == 0;
}

/* A worker that a script holds answers nobody: time-outs end the wait, and what
 * was asked is done once it goes on, though nobody wants the answer. */
static void test_a_worker_that_does_not_answer(void **state)
{
    lhttpd_value_t v = number(1);
    char key[16], got[BODY_MAX];
    int late = 0;

    (void)state;
    test_live_start(&live, WORKERS, source);
    int fd = test_live_ask(&live, "/hold");
    test_live_until(is_held, NULL);
    test_live_expect(&live, "/held", "ok");
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof(key), "c%d", i);
        int r = lhttpd_server_shared_set(live.server, key, &v, 0, 10);
        assert_true(r == 0 || r == LHTTPD_ETIMEOUT);
        late += r != 0;
    }
    assert_true(late > 0 && late < 60);
    fclose(fopen(test_live_path("go"), "w"));
    test_client_read_all(fd, got, sizeof(got));
    close(fd);
    test_live_expect(&live, "/late", "ok");
    for (int i = 0; i < 60; i++) {
        snprintf(key, sizeof(key), "c%d", i);
        assert_int_equal(get(key).kind, LHTTPD_NUMBER);
    }
    test_live_stop(&live);
}

/* --- another number of workers -------------------------------------------- */

static void expect_forty(void)
{
    char key[16];

    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "p%d", i);
        assert_true(get(key).number == i);
    }
}

/* As attach does, which has one: what was set before finds its owner. */
static void test_values_move_to_their_owners(void **state)
{
    lhttpd_config_t config = lhttpd_config_init();
    char key[16];

    (void)state;
    test_heap_install();
    config.workers = 4;
    assert_int_equal(lhttpd_server_create(&live.server, &config), 0);
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "p%d", i);
        set(key, number(i));
    }
    bool failed = true;
    for (unsigned long n = 1; failed && n < 100; n++) {
        test_heap_fail_at(n);
        failed = lh_owners_share_out(live.server, 1) == LHTTPD_ENOMEM;
        test_heap_fail_at(0);
        assert_int_equal(live.server->workers_n, failed ? 4 : 1);
        expect_forty();
    }
    assert_false(failed);
    assert_int_equal(lh_owners_share_out(live.server, 3), 0);
    expect_forty();
    lhttpd_server_destroy(live.server);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

/* The program's own loop: its thread does not wait for itself, also not where a
 * reload loads a script that asks. */
static void test_in_the_loop_of_the_program(void **state)
{
    lhttpd_config_t config = lhttpd_config_init();
    char got[BODY_MAX] = "";

    (void)state;
    config.log_level = LHTTPD_LOG_ERROR;
    assert_int_equal(lhttpd_server_create(&live.server, &config), 0);
    assert_int_equal(lhttpd_server_listen(live.server, "127.0.0.1", 0, 0), 0);
    static const char script[] =
        "local n = httpd.shared.incr('loads', 1, 0)\n"
        "httpd.register_handler('/', function()\n"
        "  httpd.write(nil, ('%d %d'):format(n, httpd.shared.get('p39')))\n"
        "end)\n";
    assert_int_equal(lhttpd_server_map_source(live.server, "/", "s", script,
                                              sizeof(script) - 1),
                     0);
    for (int i = 0; i < 40; i++) {
        snprintf(got, sizeof(got), "p%d", i);
        set(got, number(i));
    }
    assert_int_equal(lhttpd_server_attach(live.server), 0);
    expect_forty();
    assert_int_equal(lhttpd_server_reload(live.server), 0);
    set("p39", number(390));
    int fd = test_client_connect(lhttpd_server_port(live.server, 0));
    test_client_send(fd, "GET / HTTP/1.0\r\n\r\n");
    for (int i = 0; i < 10000 && recv(fd, got, 1, MSG_PEEK | MSG_DONTWAIT) < 1;
         i++)
        assert_int_equal(lhttpd_server_run_once(live.server, 10), 1);
    lhttpd_server_shutdown(live.server, 1000);
    assert_int_equal(lhttpd_server_wait(live.server), 0);
    test_client_read_all(fd, got, sizeof(got));
    assert_non_null(strstr(got, "\r\n\r\n2 390"));
    close(fd);
    lhttpd_server_destroy(live.server);
}

/* --- a stop --------------------------------------------------------------- */

static atomic_uint asked;

static void *ask_until_stopped(void *arg)
{
    lhttpd_value_t v = number(1);
    char key[16];

    for (unsigned i = 0;; i++) {
        snprintf(key, sizeof(key), "t%u", i % 20);
        int r = lhttpd_server_shared_set(live.server, key, &v, 0, -1);
        if (r == 0)
            r = lhttpd_server_shared_get(live.server, key, &v, -1);
        if (r == LHTTPD_ESTATE)
            return arg;
        assert_int_equal(r, 0);
        asked++;
    }
}

static int much_was_asked(void *arg)
{
    (void)arg;
    return asked > 50;
}

/* Handlers and threads ask while it stops, at once or with a grace. */
static void test_a_stop_in_the_midst(void **state)
{
    static char got[BODY_MAX];
    pthread_t threads[2];
    int fds[CLIENTS];

    (void)state;
    for (int round = 0; round < 6; round++) {
        asked = 0;
        test_live_start(&live, WORKERS, source);
        for (int i = 0; i < CLIENTS; i++)
            fds[i] = test_live_ask(&live, "/ask");
        for (int i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, ask_until_stopped, NULL);
        test_live_until(much_was_asked, NULL);
        int r = lhttpd_server_stop(live.server, round % 2 ? 20000 : 0);
        assert_true(r == 0 || (r == LHTTPD_ECUT && round % 2 == 0));
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        lhttpd_server_destroy(live.server);
        for (int i = 0; i < CLIENTS; i++) {
            test_client_read_all(fds[i], got, sizeof(got));
            close(fds[i]);
            if (round % 2) /* each was answered to its end */
                assert_non_null(strstr(got, "\r\n\r\nok"));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_worker_sees_all),
        cmocka_unit_test(test_no_count_is_lost),
        cmocka_unit_test(test_values_outlive_vms),
        cmocka_unit_test(test_a_program_may_set_values_first),
        cmocka_unit_test(test_each_kind_from_the_program),
        cmocka_unit_test(test_what_the_program_may_not),
        cmocka_unit_test(test_a_worker_that_does_not_answer),
        cmocka_unit_test(test_values_move_to_their_owners),
        cmocka_unit_test(test_in_the_loop_of_the_program),
        cmocka_unit_test(test_a_stop_in_the_midst),
    };

    return cmocka_run_group_tests(tests, NULL, test_live_clean_up);
}
