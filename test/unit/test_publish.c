/*
 * Publishing to a server that runs: threads of the program and handlers to
 * subscribers on all workers, also while it stops.
 */
#include "lhttpd.h"

#include "lib/client.h"
#include "lib/live.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS   2
#define READERS   16
#define THREADS   3
#define MESSAGES  2000
#define BODY_MAX  ((size_t)1 << 20)
#define NAME_MOST 1024

/* A message is "thread number"; each reader says "ready" once it subscribes,
 * and checks order and completeness itself. */
static const char source[] =
    "test('read', function()\n"
    "  local s = httpd.subscribe('news', {queue = 65536})\n"
    "  local last, n = {}, 0\n"
    "  httpd.write(nil, 'ready\\n')\n"
    "  while true do\n"
    "    local m, why = httpd.read(s)\n"
    "    if not m then return why end\n"
    "    if m == 'end' then break end\n"
    "    local who, number = m:match('^(%d+) (%d+)$')\n"
    "    same((last[who] or 0) + 1, tonumber(number))\n"
    "    last[who], n = tonumber(number), n + 1\n"
    "  end\n"
    "  same(s:dropped(), 0)\n"
    "  return tostring(n)\n"
    "end)\n"
    "test('say', function()\n"
    "  for i = 1, 2000 do httpd.publish('news', '9 ' .. i) end\n"
    "end)\n"
    /* The publisher holds its worker, which subscribes too. */
    "test('flood', function()\n"
    "  local s = httpd.subscribe('flood', {queue = 10})\n"
    "  for i = 1, 100000 do httpd.publish('flood', i) end\n"
    "  local n, last = 0\n"
    "  repeat\n"
    "    local m = httpd.read(s, nil, 0.1)\n"
    "    if m then n, last = n + 1, m end\n"
    "  until not m\n"
    "  same(tonumber(last), 100000)\n"
    "  same(n + s:dropped(), 100000)\n"
    "end)\n";

static struct test_live live;

static void publish(const char *channel, const char *text)
{
    assert_int_equal(
        lhttpd_server_publish(live.server, channel, text, strlen(text)), 0);
}

/* A client that has seen "ready". */
static int begin_reading(void)
{
    int fd = test_live_ask(&live, "/read");
    char got[1024];

    test_client_read_until(fd, got, sizeof(got), "ready\n");
    return fd;
}

static void *publish_all(void *arg)
{
    int who = *(int *)arg;
    char text[32];

    for (int i = 1; i <= MESSAGES; i++) {
        snprintf(text, sizeof(text), "%d %d", who, i);
        assert_int_equal(
            lhttpd_server_publish(live.server, "news", text, strlen(text)), 0);
        lhttpd_server_publish(live.server, "nobody", text, strlen(text));
    }
    return NULL;
}

static void test_everybody_gets_everything_in_order(void **state)
{
    static char got[BODY_MAX];
    pthread_t threads[THREADS];
    int fds[READERS], who[THREADS];

    (void)state;
    test_live_start(&live, WORKERS, source);
    for (int i = 0; i < READERS; i++)
        fds[i] = begin_reading();
    for (int i = 0; i < THREADS; i++) {
        who[i] = i;
        pthread_create(&threads[i], NULL, publish_all, &who[i]);
    }
    test_live_expect(&live, "/say", "ok");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    publish("news", "end");
    for (int i = 0; i < READERS; i++) {
        test_client_read_all(fds[i], got, sizeof(got));
        close(fds[i]);
        if (strcmp(got, "8000") != 0)
            print_error("%s: %s\n", got, test_live_log());
        assert_string_equal(got, "8000");
    }
    test_live_stop(&live);
}

static void test_who_is_faster_than_a_worker_loses_the_oldest(void **state)
{
    (void)state;
    test_live_start(&live, WORKERS, source);
    test_live_expect(&live, "/flood", "ok");
    assert_non_null(strstr(test_live_log(), "too busy to take what is "
                                            "published"));
    test_live_stop(&live);
}

/* --- states --------------------------------------------------------------- */

static void expect_error(lhttpd_server_t *s, const char *channel,
                         const void *data, size_t n, int error,
                         const char *words)
{
    assert_int_equal(lhttpd_server_publish(s, channel, data, n), error);
    if (!strstr(lhttpd_server_error(s), words))
        print_error("%s\n", lhttpd_server_error(s));
    assert_non_null(strstr(lhttpd_server_error(s), words));
}

static void test_states_and_arguments(void **state)
{
    static char name[NAME_MOST + 2], data[200];
    lhttpd_server_t *s;

    (void)state;
    assert_int_equal(lhttpd_server_publish(NULL, "a", "b", 1), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_create(&s, NULL), 0);
    expect_error(s, "a", "b", 1, LHTTPD_ESTATE, "only while the server runs");
    /* The words of what is done next are that call's. */
    assert_int_equal(lhttpd_server_set(s, "nothing", "1"), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "nothing"));
    lhttpd_server_destroy(s);

    test_live_start(&live, WORKERS, source);
    s = live.server;
    memset(name, 'x', sizeof(name) - 1);
    expect_error(s, NULL, "b", 1, LHTTPD_EINVAL, "channel is NULL");
    expect_error(s, "a", NULL, 1, LHTTPD_EINVAL, "data is NULL");
    expect_error(s, name, "b", 1, LHTTPD_EINVAL, "longer than 1024");
    assert_int_equal(lhttpd_server_set(s, "channel_bytes", "100"), 0);
    expect_error(s, "a", data, 101, LHTTPD_EINVAL, "channel_bytes=100");
    assert_int_equal(lhttpd_server_publish(s, "a", data, 100), 0);
    assert_int_equal(lhttpd_server_publish(s, "a", NULL, 0), 0);
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    expect_error(s, "a", "b", 1, LHTTPD_ESTATE, "only while the server runs");
    lhttpd_server_destroy(s);
}

/* --- a stop --------------------------------------------------------------- */

static atomic_bool over;
static atomic_uint said;

static void *publish_until_over(void *arg)
{
    while (!over) {
        int r = lhttpd_server_publish(live.server, "news", "1 1", 3);
        assert_true(r == 0 || r == LHTTPD_ESTATE);
        said++;
    }
    return arg;
}

static int much_was_said(void *arg)
{
    (void)arg;
    return said > 1000;
}

/* Whoever publishes meanwhile gets to know it, or not; all memory is freed. */
static void test_publishers_do_not_care_for_a_stop(void **state)
{
    static char got[BODY_MAX];
    pthread_t threads[THREADS];

    (void)state;
    for (int round = 0; round < 5; round++) {
        over = false;
        said = 0;
        test_live_start(&live, WORKERS, source);
        int fd = begin_reading();
        for (int i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, publish_until_over, NULL);
        test_live_until(much_was_said, NULL);
        /* The reader raises at the second "1 1", or is told of the stop. */
        assert_int_equal(lhttpd_server_stop(live.server, 20000), 0);
        over = true;
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        test_client_read_all(fd, got, sizeof(got));
        close(fd);
        lhttpd_server_destroy(live.server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everybody_gets_everything_in_order),
        cmocka_unit_test(test_who_is_faster_than_a_worker_loses_the_oldest),
        cmocka_unit_test(test_states_and_arguments),
        cmocka_unit_test(test_publishers_do_not_care_for_a_stop),
    };

    return cmocka_run_group_tests(tests, NULL, test_live_clean_up);
}
