/* httpd.spawn and httpd.every: what runs beside handlers. */
#include "lib/heap.h"
#include "lib/script.h"
#include "lua/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct test_script s;

static void begin(const char *source)
{
    test_script_start(&s, source);
    lh_vm_begin(s.vm);
}

static void end(void)
{
    test_script_deinit(&s);
}

static void expect(const char *target, const char *body)
{
    test_script_expect(&s, target, 200, body);
}

/* "/n": what was done till now. */
#define COUNTS                                                                 \
    "local done = {}\n"                                                        \
    "httpd.register_handler('/n', function()\n"                                \
    "  httpd.write(nil, table.concat(done, ' ')) done = {} end)\n"             \
    "local function note(x) done[#done + 1] = tostring(x) end\n"

/* It goes on when its handler has been answered, with its arguments. */
static void test_spawn(void **state)
{
    (void)state;
    begin(COUNTS "httpd.register_handler('/', function(env)\n"
                 "  assert(httpd.spawn(function(...)\n"
                 "    note(select('#', ...)) note((...))\n"
                 "    note(httpd.sleep(1)) note(httpd.sleep(1)) end,\n"
                 "    'a', nil, nil) == true)\n"
                 "  assert(httpd.spawn(note, 'plain'))\n"
                 "  note('handler')\n"
                 "  httpd.write(nil, 'ok') end)");
    expect("/", "ok");
    expect("/n", "handler 3 a plain");
    assert_int_equal(lh_vm_tasks(s.vm), 1);
    test_script_advance(&s, 1000);
    expect("/n", "true");
    test_script_advance(&s, 1000);
    expect("/n", "true");
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    assert_int_equal(s.vm->spawned_n, 0);
    end();
}

/* There is no request: no client, no fields, no body. */
static void test_no_request(void **state)
{
    (void)state;
    begin(COUNTS
          "httpd.register_handler('/', function(env, header)\n"
          "  httpd.spawn(function()\n"
          "    note(select(2, httpd.read())) note(select(2, httpd.write(nil, "
          "'x')))\n"
          "    note(select(2, httpd.header{a = 'b'}))\n"
          "    note(next(httpd.cookies())) note(header.method)\n"
          "    note(env.REQUEST_METHOD) end)\n"
          "  httpd.write(nil, header.method) end)");
    test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    test_script_done(&s);
    const struct test_loopback *r =
        test_script_request(&s, "GET", "/n", NULL, false);
    test_script_run(&s);
    assert_non_null(r->body);
    assert_string_equal(r->body, "closed closed closed nil GET nil");
    test_script_done(&s);
    end();
}

/* Errors end nothing else; one in one is logged. */
static void test_errors(void **state)
{
    (void)state;
    begin(COUNTS "httpd.register_handler('/', function()\n"
                 "  httpd.spawn(function() note('first') error('broken') end)\n"
                 "  httpd.spawn(function() httpd.spawn(note, 'inner') end)\n"
                 "  local ok, why = pcall(httpd.spawn, 1)\n"
                 "  httpd.write(nil, why) end)\n"
                 "httpd.register_handler('/late', function()\n"
                 "  local ok, why = pcall(httpd.every, 1, note)\n"
                 "  httpd.write(nil, why) end)");
    const struct test_loopback *r =
        test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_non_null(strstr(r->body, "bad argument #1 to 'httpd.spawn' "
                                    "(function expected, got number)"));
    test_script_done(&s);
    expect("/n", "first inner");
    r = test_script_request(&s, "GET", "/late", NULL, false);
    test_script_run(&s);
    assert_non_null(strstr(r->body, "only while the script loads"));
    test_script_done(&s);
    end();
}

/* One that goes on without looking at its answers is ended, in words of its
 * own: it never had a client that could be gone. */
static void test_nobody_to_write_to(void **state)
{
    (void)state;
    begin("httpd.register_handler('/', function()\n"
          "  httpd.spawn(function()\n"
          "    while true do httpd.write(nil, 'x') end end)\n"
          "  httpd.write(nil, 'ok') end)\n"
          "httpd.every(60, function()\n"
          "  while true do httpd.write(nil, 'x') end end)");
    expect("/", "ok");
    test_script_turns(&s, 200);
    assert_non_null(strstr(s.t.last_log, "beside handlers has no client"));
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    s.t.last_log[0] = '\0';
    test_script_advance(&s, 60000);
    test_script_turns(&s, 200);
    assert_non_null(strstr(s.t.last_log, "beside handlers has no client"));
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    end();
}

static void test_limit(void **state)
{
    (void)state;
    test_script_init(&s);
    s.t.limits.spawned = 3;
    test_script_load(&s, "t.lua",
                     "httpd.register_handler('/', function()\n"
                     "  local n, why = 0\n"
                     "  repeat\n"
                     "    local ok\n"
                     "    ok, why = httpd.spawn(httpd.sleep, 1)\n"
                     "    n = n + (ok and 1 or 0)\n"
                     "  until not ok\n"
                     "  httpd.write(nil, n .. why) end)");
    assert_int_equal(s.error, 0);
    expect("/", "3too many");
    test_script_advance(&s, 1000);
    expect("/", "3too many");
    end();
}

/* While the VM goes it is cut, and one that has not begun never does. */
static void test_the_vm_goes(void **state)
{
    (void)state;
    begin("httpd.register_handler('/', function()\n"
          "  httpd.spawn(function() httpd.sleep(1000) end)\n"
          "  httpd.write(nil, 'ok') end)");
    expect("/", "ok");
    end();
    begin("local why = 'none'\n"
          "httpd.register_handler('/n', function() httpd.write(nil, why) end)\n"
          "httpd.register_handler('/', function()\n"
          "  httpd.spawn(function() why = select(2, httpd.sleep(1000)) end)\n"
          "  httpd.write(nil, 'ok') end)");
    expect("/", "ok");
    lh_vm_stopping(s.vm);
    test_script_run(&s);
    expect("/n", "stopping");
    end();
}

/* --- httpd.every ---------------------------------------------------------- */

static void test_every(void **state)
{
    (void)state;
    begin(COUNTS "local n = 0\n"
                 "httpd.every(1, function() n = n + 1 note(n) end)\n"
                 "httpd.every(9.5, function() note('ten') httpd.sleep(15)\n"
                 "  note('slept') end, {everywhere = true})\n"
                 "httpd.every(1, function() error('broken') end)\n");
    expect("/n", "");
    test_script_advance(&s, 999);
    expect("/n", "");
    test_script_advance(&s, 1);
    expect("/n", "1");
    for (int i = 0; i < 18; i++)
        test_script_advance(&s, 500);
    expect("/n", "2 3 4 5 6 7 8 9 ten 10");
    /* One run at a time: that of 19 s is left out. */
    for (int i = 0; i < 30; i++)
        test_script_advance(&s, 500);
    expect("/n", "11 12 13 14 15 16 17 18 19 20 21 22 23 24 slept 25");
    lh_vm_stopping(s.vm);
    test_script_advance(&s, 60000);
    expect("/n", "");
    end();
}

/* Only the first worker has it, unless all have. */
static void test_where(void **state)
{
    (void)state;
    test_script_init(&s);
    s.t.ctx.worker = 1;
    test_script_load(&s, "t.lua",
                     COUNTS "httpd.every(1, function() note('one') end)\n"
                            "httpd.every(1, function() note('all') end,\n"
                            "  {everywhere = true})");
    assert_int_equal(s.error, 0);
    lh_vm_begin(s.vm);
    test_script_advance(&s, 1000);
    expect("/n", "all");
    end();
}

static void refused(const char *source, const char *why)
{
    test_script_init(&s);
    test_script_load(&s, "t.lua", source);
    assert_int_equal(s.error, LHTTPD_ESCRIPT);
    if (!strstr(s.err.text, why))
        fail_msg("%s", s.err.text);
    test_script_deinit(&s);
}

static void test_arguments(void **state)
{
    (void)state;
    refused("httpd.every(0, print)", "a time above 0");
    refused("httpd.every(1/0, print)", "a time above 0");
    refused("httpd.every(-1, print)", "a time is not negative");
    refused("httpd.every('1', print)", "number expected, got string");
    refused("httpd.every(nil, print)", "number expected, got nil");
    refused("httpd.every(1)", "function expected, got no value");
    refused("httpd.every(1, print, true)", "table expected, got boolean");
    refused("httpd.every(1, print, {everwhere = true})",
            "httpd.every: there is no option 'everwhere'");
    refused("httpd.spawn(print)", "not while the script loads");
}

/* --- memory --------------------------------------------------------------- */

/* Whatever allocation fails: the request is answered, by an error perhaps, and
 * nothing is left. */
static void test_memory(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 60; n++) {
        begin("httpd.register_handler('/', function()\n"
              "  httpd.spawn(function() local t = {} for i = 1, 20 do\n"
              "    t[i] = {} end httpd.sleep(1) end, 1)\n"
              "  httpd.write(nil, 'ok') end)\n"
              "httpd.every(1, function() return {} end)\n");
        test_script_request(&s, "GET", "/", NULL, false);
        test_heap_install();
        test_heap_fail_at(n);
        test_script_run(&s);
        test_script_advance(&s, 2000);
        test_heap_fail_at(0);
        test_heap_uninstall();
        test_script_done(&s);
        test_script_advance(&s, 2000);
        expect("/", "ok");
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spawn),
        cmocka_unit_test(test_no_request),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_the_vm_goes),
        cmocka_unit_test(test_every),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_nobody_to_write_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
