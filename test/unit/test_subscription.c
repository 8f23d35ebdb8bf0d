/* httpd.publish and httpd.subscribe, without a server: a hub of this test's own
 * posts to the one worker there is. */
#include "lhttpd.h"

#include "lib/channels.h"
#include "lib/heap.h"
#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct test_channels channels;
static struct test_script s;

static void start(const char *source)
{
    char all[8192];

    snprintf(all, sizeof(all),
             "local function try(...)\n"
             "  local ok, why = pcall(...)\n"
             "  return tostring(why):gsub('^[^:]*:%%d*: ', '')\n"
             "end\n"
             "local function on(name, f)\n"
             "  httpd.register_handler(name, function()\n"
             "    local text = f()\n"
             "    if text then httpd.write(nil, text) end\n"
             "  end)\n"
             "end\n%s",
             source);
    test_channels_init(&channels, &s);
    test_script_load(&s, "test.lua", all);
    if (s.error)
        fail_msg("%s", s.err.text);
}

static void end(void)
{
    test_script_deinit(&s);
    test_channels_deinit(&channels);
}

static struct test_loopback *get(const char *target)
{
    struct test_loopback *l =
        test_script_request(&s, "GET", target, NULL, false);

    test_script_run(&s);
    return l;
}

static void expect_body(const struct test_loopback *l, const char *body)
{
    assert_string_equal(l->body ? l->body : "", body);
    assert_true(l->ended);
}

static const char reader[] =
    "on('/', function()\n"
    "  local s = httpd.subscribe('a', {queue = 3})\n"
    "  httpd.write(nil, 'begin')\n"
    "  while true do\n"
    "    local m, why = httpd.read(s)\n"
    "    if not m then return '.' .. why .. s:dropped() end\n"
    "    httpd.write(nil, '<' .. m .. '>')\n"
    "    if m == 'end' then return end\n"
    "  end\n"
    "end)\n";

static void test_messages_reach_whoever_waits(void **state)
{
    (void)state;
    start(reader);
    struct test_loopback *a = get("/"), *b = get("/");
    assert_string_equal(a->body, "begin"); /* what was written has left */
    test_channels_publish(&channels, "1");
    test_channels_publish(&channels, "");
    test_channels_publish(&channels, "end");
    expect_body(a, "begin<1><><end>");
    expect_body(b, "begin<1><><end>");
    assert_int_equal(channels.of_worker.n, 0); /* closed with its handler */
    end();
}

static void test_a_slow_reader_loses_its_oldest(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local s = httpd.subscribe('a', {queue = 3})\n"
          "  httpd.sleep(1)\n"
          "  local all = ''\n"
          "  for i = 1, 3 do all = all .. httpd.read(s) end\n"
          "  return all .. s:dropped() .. select(2, httpd.read(s, nil, 2))\n"
          "end)\n");
    struct test_loopback *l = get("/");
    for (const char *c = "12345"; *c; c++)
        test_channels_post(&channels, (struct lh_str){c, 1});
    test_channels_deliver(&channels);
    test_script_advance(&s, 1000);
    test_script_advance(&s, 2000);
    expect_body(l, "3452timeout");
    end();
}

static void test_a_publisher_hears_itself_in_order(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local s = httpd.subscribe('\\0x')\n"
          "  for i = 1, 5 do httpd.publish('\\0x', i) end\n"
          "  local all = ''\n"
          "  for i = 1, 5 do all = all .. httpd.read(s) end\n"
          "  return all\n"
          "end)\n");
    struct test_loopback *l = get("/");
    test_channels_deliver(&channels);
    expect_body(l, "12345");
    end();
}

/* Whoever reads in another coroutine waits all the same. */
static void test_messages_inside_a_coroutine(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local s = httpd.subscribe('a')\n"
          "  local next = coroutine.wrap(function()\n"
          "    while true do coroutine.yield(httpd.read(s)) end\n"
          "  end)\n"
          "  return next() .. next()\n"
          "end)\n");
    struct test_loopback *l = get("/");
    test_channels_publish(&channels, "de");
    test_channels_publish(&channels, "ep");
    expect_body(l, "deep");
    end();
}

/* --- the end of a subscription -------------------------------------------- */

static void test_a_client_that_goes_ends_the_wait(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local s = httpd.subscribe('a')\n"
          "  why = select(2, httpd.read(s))\n"
          "end)\n"
          "on('/why', function() return why end)\n");
    test_loopback_gone(get("/"));
    test_script_run(&s);
    assert_int_equal(channels.of_worker.n, 0);
    expect_body(get("/why"), "closed");
    end();
}

static void test_a_stop_ends_the_wait_once(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local s = httpd.subscribe('a')\n"
          "  local _, why = httpd.read(s)\n"
          "  return why .. httpd.read(s)\n"
          "end)\n");
    struct test_loopback *l = get("/");
    lh_vm_stopping(s.vm);
    test_script_run(&s);
    test_channels_publish(&channels, " and the last words");
    expect_body(l, "stopping and the last words");
    end();
}

static void test_a_cut_ends_it(void **state)
{
    (void)state;
    start(reader);
    struct test_loopback *l = get("/");
    lh_vm_stopping(s.vm);
    lh_vm_cut(s.vm);
    test_script_run(&s);
    assert_true(l->ended);
    assert_int_equal(channels.of_worker.n, 0);
    end();
}

static void test_close(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  kept = httpd.subscribe('a')\n"
          "  local _, why = httpd.read(kept)\n"
          "  return why\n"
          "end)\n"
          "on('/busy', function() return try(httpd.read, kept) end)\n"
          "on('/close', function()\n"
          "  return tostring(kept) .. tostring(httpd.close(kept)) ..\n"
          "    tostring(httpd.close(kept)) .. tostring(kept) ..\n"
          "    try(httpd.read, kept) .. kept:dropped()\n"
          "end)\n");
    struct test_loopback *l = get("/");
    expect_body(get("/busy"),
                "httpd.read: another handler waits for the subscription");
    expect_body(get("/close"),
                "subscription (open)truetruesubscription (closed)"
                "httpd.read: the subscription is closed0");
    test_script_run(&s);
    expect_body(l, "closed");
    end();
}

static void test_one_that_is_collected_ends(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  httpd.subscribe('a')\n"
          "  collectgarbage() collectgarbage()\n"
          "  httpd.sleep(1)\n"
          "end)\n");
    get("/");
    assert_int_equal(channels.of_worker.n, 0);
    end();
}

/* The VM goes while it waits; a script may hold it in a variable. */
static void test_a_vm_that_goes(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  kept = httpd.subscribe('a')\n"
          "  httpd.read(kept)\n"
          "end)\n"
          "on('/more', function() more = httpd.subscribe('b') end)\n");
    get("/");
    get("/more");
    test_channels_publish(&channels, "x");
    end();
}

/* --- mistakes ------------------------------------------------------------- */

/* Making a string of the message runs finalizers, at a step that depends on
 * the VM: so many are tried, and each closes the present subscription. */
static void test_a_finalizer_closes_what_is_read(void **state)
{
    (void)state;
    start("local present, closed = nil, 0\n"
          "local function close()\n"
          "  if present and httpd.close(present) then closed = closed + 1 end\n"
          "  present = nil\n"
          "end\n"
          "local function garbage()\n"
          "  if newproxy then getmetatable(newproxy(true)).__gc = close\n"
          "  else setmetatable({}, {__gc = close}) end\n"
          "end\n"
          "on('/', function()\n"
          "  collectgarbage('setpause', 10)\n"
          "  local i = 0\n"
          "  while closed < 10 and i < 50000 do\n"
          "    i = i + 1\n"
          "    local s = httpd.subscribe('a')\n"
          "    httpd.publish('a', ('x'):rep(i % 900))\n"
          "    local junk = {}\n"
          "    for k = 1, math.random(50) do junk[k] = {} end\n"
          "    garbage()\n"
          "    present = s\n"
          "    local ok, m, why = pcall(httpd.read, s, nil, 1)\n"
          "    present = nil\n"
          "    if ok and m ~= ('x'):rep(i % 900) and why ~= 'closed' then\n"
          "      return 'other than what was published'\n"
          "    end\n"
          "    httpd.close(s)\n"
          "  end\n"
          "  return closed > 0 and 'good' or 'none was closed'\n"
          "end)\n");
    struct test_loopback *l = test_script_request(&s, "GET", "/", NULL, false);
    for (int i = 0; i < 200000 && !l->ended; i++)
        test_channels_deliver(&channels);
    expect_body(l, "good");
    end();
}

static void test_mistakes(void **state)
{
    static const char *const cases[][2] = {
        {"httpd.subscribe",
         "bad argument #1 to 'httpd.subscribe' (string expected, got no "
         "value)"},
        {"httpd.subscribe, 'a', 5",
         "bad argument #2 to 'httpd.subscribe' (table expected, got number)"},
        {"httpd.subscribe, 'a', {queue = 0}",
         "bad argument #2 to 'httpd.subscribe' (queue is a number from 1 to "
         "65536)"},
        {"httpd.subscribe, 'a', {queue = 'x'}",
         "bad argument #2 to 'httpd.subscribe' (queue is a number from 1 to "
         "65536)"},
        {"httpd.publish, 'a', {}",
         "bad argument #2 to 'httpd.publish' (string expected, got table)"},
        {"httpd.read, httpd.subscribe('a'), 5",
         "bad argument #2 to 'httpd.read' (nil expected: a subscription gives "
         "whole messages)"},
        {"httpd.write, httpd.subscribe('a'), 'x'",
         "bad argument #1 to 'httpd.write' (file, socket, websocket or nil "
         "expected, got subscription)"},
        {"httpd.subscribe('a').dropped, 1",
         "bad argument #1 to 'dropped' (subscription expected, got number)"},
    };
    char source[512];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(source, sizeof(source),
                 "on('/', function() return try(%s) end)", cases[i][0]);
        start(source);
        test_script_expect(&s, "/", 200, cases[i][1]);
        end();
    }
}

static void test_what_is_too_large_is_said(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local _, a = httpd.subscribe(('x'):rep(1025))\n"
          "  local _, b = httpd.publish('a', ('x'):rep(1001))\n"
          "  return a .. b .. tostring(httpd.publish('a', ''))\n"
          "end)\n");
    test_script_expect(&s, "/", 200, "too largetoo largetrue");
    end();
}

/* A script may publish while it loads, and nobody hears it; it has no handler
 * that could subscribe. */
static void test_while_loading(void **state)
{
    (void)state;
    start("said = tostring(httpd.publish('a', 'x'))\n"
          "failed = try(httpd.subscribe, 'a')\n"
          "on('/', function() return said .. failed end)\n");
    test_script_expect(&s, "/", 200,
                       "truehttpd.subscribe: there is no request here");
    end();
}

static void test_without_a_server(void **state)
{
    (void)state;
    test_script_start_handler(
        &s, "httpd.write(nil, tostring(httpd.publish('a', 'x')) ..\n"
            "  tostring(pcall(httpd.subscribe, 'a')))");
    test_script_expect(&s, "/", 200, "truefalse");
    test_script_deinit(&s);
}

/* The n-th allocation of the library's fails: an error, nothing is left. */
static void test_failing_allocations(void **state)
{
    (void)state;
    test_heap_install();
    start("on('/', function()\n"
          "  local ok, s = pcall(httpd.subscribe, 'a')\n"
          "  if not ok then return 'no' end\n"
          "  local said, why = pcall(httpd.publish, 'a', 'x')\n"
          "  if not said then return 'no' end\n"
          "  return httpd.read(s, nil, 1) or 'no'\n"
          "end)\n");
    bool failed = true;
    for (unsigned long n = 1; failed && n < 20; n++) {
        struct test_loopback *l =
            test_script_request(&s, "GET", "/", NULL, false);
        test_heap_fail_at(n);
        test_script_run(&s);
        test_channels_deliver(&channels);
        test_script_advance(&s, 1000);
        failed = test_heap_count() >= n;
        test_heap_fail_at(0);
        if (!failed)
            expect_body(l, "x");
        test_script_done(&s);
        assert_int_equal(channels.of_worker.n, 0);
    }
    assert_false(failed);
    end();
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_reach_whoever_waits),
        cmocka_unit_test(test_a_slow_reader_loses_its_oldest),
        cmocka_unit_test(test_a_publisher_hears_itself_in_order),
        cmocka_unit_test(test_messages_inside_a_coroutine),
        cmocka_unit_test(test_a_client_that_goes_ends_the_wait),
        cmocka_unit_test(test_a_stop_ends_the_wait_once),
        cmocka_unit_test(test_a_cut_ends_it),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_one_that_is_collected_ends),
        cmocka_unit_test(test_a_finalizer_closes_what_is_read),
        cmocka_unit_test(test_a_vm_that_goes),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_what_is_too_large_is_said),
        cmocka_unit_test(test_while_loading),
        cmocka_unit_test(test_without_a_server),
        cmocka_unit_test(test_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
