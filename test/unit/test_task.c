/* Requests as coroutines: suspending at any depth, errors, memory, ends. */
#include "lib/heap.h"
#include "lib/script.h"
#include "lua/compat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs a handler whose body comes one octet a turn, so that each read of it
 * suspends. */
static void check_trickle(const char *code, const char *body,
                          const char *expected)
{
    struct test_script s;
    struct test_loopback *l;

    test_script_start_handler(&s, code);
    l = test_script_request(&s, "POST", "/", NULL, true);
    for (const char *p = body; *p; p++) {
        test_script_run(&s);
        test_loopback_body(l, p, 1);
    }
    test_script_run(&s);
    test_loopback_body_end(l);
    test_script_run(&s);
    if (strcmp(l->body, expected) != 0)
        print_message("%s: %s\n", code, s.t.last_log);
    assert_string_equal(l->body, expected);
    assert_true(l->ended);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    test_script_deinit(&s);
}

/* --- depth ---------------------------------------------------------------- */

static void in_coroutines(void **state)
{
    (void)state;
    check_trickle("local co = coroutine.create(function(a)\n"
                  "  local x = httpd.read(nil, 2)\n"
                  "  local b = coroutine.yield(a .. x)\n"
                  "  return b .. httpd.read(nil, 2)\n"
                  "end)\n"
                  "local _, one = coroutine.resume(co, 'A')\n"
                  "local _, two = coroutine.resume(co, 'B')\n"
                  "httpd.write(nil, one .. two .. coroutine.status(co))",
                  "wxyz", "AwxByzdead");
    check_trickle("local gen = coroutine.wrap(function()\n"
                  "  for i = 1, 3 do coroutine.yield(httpd.read(nil, 1)) end\n"
                  "end)\n"
                  "local p = gen()\n"
                  "while p do httpd.write(nil, p .. ',') p = gen() end",
                  "abcd", "a,b,c,");
    /* Three deep. */
    check_trickle("local function nest(n)\n"
                  "  if n == 0 then return httpd.read(nil, 3) end\n"
                  "  return coroutine.wrap(function()\n"
                  "    return nest(n - 1) .. n end)()\n"
                  "end\n"
                  "httpd.write(nil, nest(3))",
                  "abc", "abc123");
}

/* A scheduler of the script's own: while one coroutine waits in httpd, the
 * whole handler does. */
static void own_scheduler(void **state)
{
    (void)state;
    check_trickle("local jobs, out = {}, {}\n"
                  "for i = 1, 3 do jobs[i] = coroutine.create(function()\n"
                  "  for k = 1, 2 do\n"
                  "    out[#out + 1] = i .. httpd.read(nil, 1)\n"
                  "    coroutine.yield()\n"
                  "  end end) end\n"
                  "for round = 1, 3 do for i = 1, 3 do\n"
                  "  if coroutine.status(jobs[i]) == 'suspended' then\n"
                  "    assert(coroutine.resume(jobs[i]))\n"
                  "  end end end\n"
                  "httpd.write(nil, table.concat(out, ' '))",
                  "abcdef", "1a 2b 3c 1d 2e 3f");
}

static void resume_keeps_its_values(void **state)
{
    (void)state;
    check_trickle("local co = coroutine.create(function(...)\n"
                  "  httpd.read(nil, 1)\n"
                  "  coroutine.yield()\n"
                  "  coroutine.yield(nil, nil)\n"
                  "  error({code = 7})\n"
                  "end)\n"
                  "local a = select('#', coroutine.resume(co))\n"
                  "local b = select('#', coroutine.resume(co))\n"
                  "local ok, e = coroutine.resume(co)\n"
                  "local ok2, e2 = coroutine.resume(co)\n"
                  "httpd.write(nil, table.concat({a, b, tostring(ok), e.code,\n"
                  "  tostring(ok2), e2}, ' '))",
                  "x", "1 3 false 7 false cannot resume dead coroutine");
    check_trickle("local w = coroutine.wrap(function()\n"
                  "  httpd.read(nil, 1)\n  error({code = 8}) end)\n"
                  "local co = coroutine.create(function() w() end)\n"
                  "local ok, e = coroutine.resume(co)\n"
                  "httpd.write(nil, tostring(ok) .. e.code)",
                  "x", "false8");
}

static void coroutine_arguments(void **state)
{
    (void)state;
    check_trickle("local a = select(2, pcall(coroutine.resume, 1))\n"
                  "local b = select(2, pcall(coroutine.wrap, 1))\n"
                  "httpd.write(nil, a:match('bad argument.*') .. ';' ..\n"
                  "  b:match('bad argument.*'))",
                  "",
                  "bad argument #1 to 'resume' (coroutine expected);"
                  "bad argument #1 to 'wrap' (function expected)");
}

/* In pcall, xpcall and iterators where the VM can suspend there. */
static void in_calls_of_c(void **state)
{
    static const char in_pcall[] =
        "local ok, x = pcall(httpd.read, nil, 2)\n"
        "local ok2, y = xpcall(function() return httpd.read(nil, 1) end,\n"
        "  print)\n"
        "local ok3, z = pcall(function() httpd.read(nil, 1) error('no', 0) "
        "end)\n"
        "httpd.write(nil, tostring(ok) .. tostring(x) .. tostring(y) ..\n"
        "  tostring(ok3) .. tostring(z))";
    static const char in_iterator[] =
        "local out = {}\n"
        "for p in function() return httpd.read(nil, 1) end do\n"
        "  out[#out + 1] = p end\n"
        "for p in coroutine.wrap(function() coroutine.yield(1)\n"
        "  httpd.sleep(0) coroutine.yield(2) end) do\n"
        "  out[#out + 1] = p end\n"
        "httpd.write(nil, table.concat(out, ','))";
    struct test_script s;

    (void)state;
#if LH_LUA_51
    (void)in_iterator;
    check_trickle("local ok, e = pcall(httpd.read, nil, 2)\n"
                  "local ok2, e2 = pcall(function()\n"
                  "  for p in function() return httpd.read(nil, 1) end do end\n"
                  "end)\n"
                  "httpd.write(nil, httpd.read(nil, 2) .. e .. e2)",
                  "ab",
                  "abtest.lua:2: cannot suspend here"
                  "test.lua:4: cannot suspend here");
    (void)in_pcall;
#else
    check_trickle(in_pcall, "abcd", "trueabcfalseno");
    test_script_start_handler(&s, in_iterator);
    struct test_loopback *l = test_script_request(&s, "POST", "/", NULL, true);
    for (int i = 0; i < 3; i++) {
        test_script_run(&s);
        test_loopback_body(l, "x", 1);
    }
    test_loopback_body_end(l);
    test_script_run(&s);
    test_script_advance(&s, 10);
    assert_string_equal(l->body, "x,x,x,1,2");
    test_script_deinit(&s);
#endif
    (void)s;
}

/* Where no coroutine can be suspended the call raises, and has done nothing. */
static void cannot_suspend(void **state)
{
    static const char *const codes[] = {
        "local e\n"
        "table.sort({2, 1}, function(a, b)\n"
        "  e = e or select(2, pcall(httpd.read, nil, 2)) return a < b end)\n"
        "httpd.write(nil, e .. httpd.read(nil, 2))",
        "local e\n"
        "string.gsub('x', 'x', function()\n"
        "  local _, m = pcall(httpd.read, nil, 2) e = m end)\n"
        "httpd.write(nil, e .. httpd.read(nil, 2))",
    };

    (void)state;
    check_trickle(codes[0], "ab", "test.lua:4: cannot suspend hereab");
    check_trickle(codes[1], "ab", "test.lua:4: cannot suspend hereab");
    /* The outer coroutine cannot; the inner one raises, and is alive. */
    check_trickle("local e, co\n"
                  "co = coroutine.create(function()\n"
                  "  local ok, m\n"
                  "  local inner = coroutine.create(function()\n"
                  "    local x = httpd.read(nil, 2) return x end)\n"
                  "  ok, m = coroutine.resume(inner)\n"
                  "  coroutine.yield(m)\n"
                  "  return httpd.read(nil, 2)\n"
                  "end)\n"
                  "string.gsub('x', 'x', function()\n"
                  "  e = select(2, coroutine.resume(co)) end)\n"
                  "httpd.write(nil, e .. select(2, coroutine.resume(co)))",
                  "ab", "test.lua:6: cannot suspend hereab");
}

static void no_request(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start(&s, "e = {}\n"
                          "for i, n in ipairs{'read', 'write', 'sleep',\n"
                          "  'header', 'closed', 'flush'} do\n"
                          "  e[i] = select(2, pcall(httpd[n], 1))\n"
                          "end\n"
                          "httpd.register_handler('/', function()\n"
                          "httpd.write(nil, table.concat(e, '\\n')) end)");
    test_script_expect(&s, "/", 200,
                       "test.lua:4: httpd.read: there is no request here\n"
                       "test.lua:4: httpd.write: there is no request here\n"
                       "test.lua:4: httpd.sleep: there is no request here\n"
                       "test.lua:4: httpd.header: there is no request here\n"
                       "test.lua:4: httpd.closed: there is no request here\n"
                       "test.lua:4: httpd.flush: there is no request here");
    test_script_deinit(&s);
}

/* A coroutine that waits in httpd is nobody else's to resume. */
static void a_busy_coroutine(void **state)
{
    static const char source[] =
        "local co = coroutine.create(function()\n"
        "  httpd.read(nil, 1) coroutine.yield('read') end)\n"
        "local gen = coroutine.wrap(function() httpd.read(nil, 1) end)\n"
        "httpd.register_handler('/', function()\n"
        "  httpd.write(nil, select(2, coroutine.resume(co))) end)\n"
        "httpd.register_handler('/gen', function() gen() end)\n"
        "httpd.register_handler('/other', function()\n"
        "  local ok, e = coroutine.resume(co)\n"
        "  local ok2, e2 = pcall(gen)\n"
        "  local ok3, e3\n"
        "  if coroutine.close then ok3, e3 = pcall(coroutine.close, co) end\n"
        "  httpd.write(nil, tostring(ok) .. ' ' .. e .. ' ' .. e2 ..\n"
        "    ' ' .. coroutine.status(co))\n"
        "  assert(not ok3)\n"
        "end)";
    struct test_script s;
    struct test_loopback *one, *two;

    (void)state;
    test_script_start(&s, source);
    one = test_script_request(&s, "POST", "/", NULL, true);
    (void)test_script_request(&s, "POST", "/gen", NULL, true);
    test_script_run(&s);
    two = test_script_request(&s, "GET", "/other", NULL, false);
    test_script_run(&s);
    assert_non_null(strstr(two->body, "false the coroutine waits in httpd "));
    assert_non_null(strstr(two->body, "the coroutine waits in httpd normal"));
    test_loopback_body(one, "x", 1);
    test_script_run(&s);
    assert_string_equal(one->body, "read");
    test_script_deinit(&s);
}

/* Nor is another request's handler. */
static void a_handler_is_not_resumed(void **state)
{
    struct test_script s;
    struct test_loopback *one, *two;

    (void)state;
    test_script_start(&s, "httpd.register_handler('/', function()\n"
                          "  co = coroutine.running()\n"
                          "  mine = coroutine.status(co)\n"
                          "  httpd.write(nil, httpd.read(nil, 1)) end)\n"
                          "httpd.register_handler('/other', function()\n"
                          "  local ok, e = coroutine.resume(co)\n"
                          "  httpd.write(nil, tostring(ok) .. ' ' .. e .. ' '\n"
                          "    .. mine .. ' ' .. coroutine.status(co)) end)");
    one = test_script_request(&s, "POST", "/", NULL, true);
    test_script_run(&s);
    two = test_script_request(&s, "GET", "/other", NULL, false);
    test_script_run(&s);
    assert_string_equal(two->body,
                        "false the coroutine waits in httpd running normal");
    test_loopback_body(one, "x", 1);
    test_script_run(&s);
    assert_string_equal(one->body, "x");
    test_script_deinit(&s);
}

/* --- fairness ------------------------------------------------------------- */

static void yields_let_others_run(void **state)
{
    struct test_script s;
    struct test_loopback *l[3];

    (void)state;
    test_script_start(&s, "order = ''\n"
                          "httpd.register_handler('/*', function(env)\n"
                          "  for i = 1, 3 do\n"
                          "    order = order .. env.PATH_INFO\n"
                          "    coroutine.yield('whatever')\n"
                          "  end\n"
                          "  httpd.write(nil, order)\n"
                          "end)");
    l[0] = test_script_request(&s, "GET", "/a", NULL, false);
    l[1] = test_script_request(&s, "GET", "/b", NULL, false);
    l[2] = test_script_request(&s, "GET", "/c", NULL, false);
    test_script_run(&s);
    assert_string_equal(l[2]->body, "abcabcabc");
    assert_true(l[0]->ended && l[1]->ended);
    test_script_deinit(&s);
}

static void sleeps(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start_handler(&s,
                              "httpd.write(nil, tostring(httpd.sleep(0.25)))\n"
                              "httpd.sleep(0)\nhttpd.write(nil, 'x')");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    test_script_advance(&s, 249);
    assert_string_equal(l->body, "");
    test_script_advance(&s, 2);
    test_script_advance(&s, 1);
    assert_string_equal(l->body, "truex");
    test_script_deinit(&s);
}

/* --- the client goes, the server stops ------------------------------------ */

/* Cancelled in each kind of wait: it ends with "closed", the handler goes on,
 * nothing stays behind. */
static void gone_while_waiting(void **state)
{
    static const char *const waits[] = {
        "httpd.sleep(10)",
        "httpd.read(nil, 10)",
        "httpd.read(nil, 'a')",
        "httpd.write(nil, string.rep('x', 100000)) or true\n"
        "_, e = httpd.write(nil, 'y')",
        "httpd.write(nil, string.rep('x', 100000)) or true\n"
        "_, e = httpd.write(nil, string.rep('y', 100000))",
        "httpd.write(nil, 'x') or true\n_, e = httpd.flush()",
        "httpd.write(nil, 'x') or true\n_, e = httpd.finish()",
        "coroutine.wrap(function() return httpd.sleep(10) end)()",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        struct test_script s;
        struct test_loopback *l;
        char code[512];
        snprintf(code, sizeof(code),
                 "local _, e\n_, e = %s\n"
                 "if e ~= 'closed' or not httpd.closed() then\n"
                 "  httpd.log(e, httpd.closed()) end\n",
                 waits[i]);
        test_script_start_handler(&s, code);
        s.pump_bytes = 0;
        l = test_script_request(&s, "POST", "/", NULL, true);
        test_script_run(&s);
        assert_int_equal(lh_vm_tasks(s.vm), 1);
        test_loopback_gone(l);
        test_script_run(&s);
        assert_int_equal(lh_vm_tasks(s.vm), 0);
        assert_int_equal(s.t.logged, 0);
        test_script_deinit(&s);
    }
}

/* The VM goes while handlers wait, in each kind of wait. */
static void freed_while_waiting(void **state)
{
    static const char *const waits[] = {
        "httpd.sleep(10)",
        "httpd.read(nil, 10)",
        "httpd.write(nil, string.rep('x', 100000))\nhttpd.write(nil, 'y')",
        "httpd.write(nil, string.rep('x', 100000))",
        "httpd.write(nil, 'x')\nhttpd.flush()",
        "httpd.write(nil, 'x')\nhttpd.finish()",
        "coroutine.wrap(function() httpd.sleep(10) end)()",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        struct test_script s;
        test_script_start_handler(&s, waits[i]);
        s.pump_bytes = 0;
        (void)test_script_request(&s, "POST", "/", NULL, true);
        test_script_run(&s);
        assert_int_equal(lh_vm_tasks(s.vm), 1);
        test_script_deinit(&s);
    }
}

/* A handler may end while its last string is still lent: the string outlives
 * the coroutine, which another request uses meanwhile. */
static void lent_after_the_end(void **state)
{
    struct test_script s;
    struct test_loopback *l, *other;

    (void)state;
    test_script_start(&s, "httpd.register_handler('/', function()\n"
                          "  httpd.write(nil, string.rep('abcdefgh', 50000))\n"
                          "end)\n"
                          "httpd.register_handler('/gc', function()\n"
                          "  local t = {}\n"
                          "  collectgarbage() collectgarbage()\n"
                          "  for i = 1, 50 do t[i] = ('x'):rep(8000) .. i end\n"
                          "end)");
    l = test_script_request(&s, "GET", "/", NULL, false);
    s.pump_bytes = 1000;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(test_script_turns(&s, 10), 10);
        assert_int_equal(lh_vm_tasks(s.vm), 1);
        other = test_script_request(&s, "GET", "/gc", NULL, false);
        assert_int_equal(test_script_turns(&s, 10), 10);
        assert_true(other->ended);
    }
    test_script_run(&s);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    assert_true(l->ended && !l->aborted);
    assert_int_equal(l->body_n, 400000);
    for (size_t i = 0; i < l->body_n; i++)
        assert_int_equal(l->body[i], "abcdefgh"[i % 8]);
    test_script_deinit(&s);
}

static void gone_after_the_end(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start_handler(&s, "httpd.write(nil, string.rep('x', 100000))");
    s.pump_bytes = 1000;
    l = test_script_request(&s, "GET", "/", NULL, false);
    assert_int_equal(test_script_turns(&s, 10), 10);
    assert_int_equal(lh_vm_tasks(s.vm), 1);
    test_loopback_gone(l);
    test_script_run(&s);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    test_script_deinit(&s);
}

/* A client that has shut down its sending side still gets its answer, but
 * nobody waits for it for ever. */
static void half_closed(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start_handler(
        &s, "local ok, e = httpd.sleep(10)\n"
            "httpd.write(nil, e .. tostring(httpd.closed()))");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    test_loopback_fin(l);
    test_script_run(&s);
    assert_string_equal(l->body, "closedtrue");
    test_script_deinit(&s);
}

static void a_handler_that_does_not_look(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start_handler(&s, "httpd.sleep(1)\n"
                                  "while true do httpd.write(nil, 'x') end");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    test_loopback_gone(l);
    assert_true(test_script_turns(&s, 50) == 50);
    assert_int_equal(lh_vm_tasks(s.vm), 1);
    test_script_run(&s);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    assert_non_null(strstr(s.t.last_log, "the client is gone"));
    test_script_deinit(&s);
}

static void gone_before_the_handler(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start_handler(&s, "error('it ran')");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_loopback_gone(l);
    test_script_run(&s);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    assert_int_equal(s.t.logged, 0);
    test_script_deinit(&s);
}

static void a_stop(void **state)
{
    struct test_script s;
    struct test_loopback *sleeper, *reader;

    (void)state;
    test_script_start(&s,
                      "httpd.register_handler('/sleep', function()\n"
                      "  local ok, e = httpd.sleep(10)\n"
                      "  httpd.write(nil, e .. tostring(httpd.stopping()))\n"
                      "  httpd.write(nil, tostring(httpd.sleep(1)))\n"
                      "end)\n"
                      "httpd.register_handler('/read', function()\n"
                      "  local ok, e = httpd.read(nil, 1)\n"
                      "  httpd.log(e)\nend)");
    sleeper = test_script_request(&s, "GET", "/sleep", NULL, false);
    reader = test_script_request(&s, "POST", "/read", NULL, true);
    test_script_run(&s);
    s.t.ctx.stopping = true;
    lh_vm_stopping(s.vm);
    test_script_run(&s);
    assert_string_equal(sleeper->body, "stoppingtrue");
    test_script_advance(&s, 1001);
    assert_string_equal(sleeper->body, "stoppingtruetrue");
    assert_false(reader->ended);
    lh_vm_cut(s.vm);
    test_script_run(&s);
    assert_non_null(strstr(s.t.last_log, "closed"));
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    test_script_deinit(&s);
}

/* --- errors --------------------------------------------------------------- */

static void errors(void **state)
{
    static const struct {
        const char *code, *log;
    } cases[] = {
        {"error('plain')", "test.lua:2: plain; stack traceback:"},
        {"error('bare', 0)", "bare; stack traceback:"},
        {"error({})", "the error is a table value"},
        {"error()", "the error is a nil value"},
        {"error(setmetatable({}, {__tostring = function()\n"
         "return 'an object' end}))",
         "an object"},
        {"error(setmetatable({}, {__tostring = function()\n"
         "error('worse') end}))",
         "worse"},
        {"error(setmetatable({}, {__tostring = function()\n"
         "error({}) end}))",
         "the error is a "},
        {"local x = nil; x.y = 1", "attempt to index"},
        {"local function f() return 1 + f() end f()", "stack overflow"},
        {"coroutine.wrap(function() error('inside') end)()", "inside"},
        {"local s = string.rep('x', 100)\n"
         "error(s:rep(100) .. '\\n')",
         "xxxx"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_script s;
        struct test_loopback *l;
        test_script_start_handler(&s, cases[i].code);
        l = test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
        assert_int_equal(l->status, 500);
        assert_int_equal(s.t.logged, 1);
        if (!strstr(s.t.last_log, cases[i].log))
            fail_msg("%s: %s", cases[i].code, s.t.last_log);
        assert_int_equal(lh_vm_tasks(s.vm), 0);
        test_script_deinit(&s);
    }
}

/* More requests at once than coroutines are kept. */
static void very_many_at_once(void **state)
{
    enum { MANY = 80 };
    static struct test_loopback many[MANY];
    struct lh_str none = {NULL, 0};
    struct test_script s;

    (void)state;
    test_script_start_handler(&s, "httpd.sleep(1) httpd.write(nil, 'x')");
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            test_loopback_request(&many[i], &s.t, "GET", "/", NULL, false);
            assert_int_equal(lh_vm_serve(s.vm, 0, many[i].ex, none), 0);
        }
        test_script_run(&s);
        assert_int_equal(lh_vm_tasks(s.vm), MANY);
        test_script_advance(&s, 1001);
        assert_int_equal(lh_vm_tasks(s.vm), 0);
        for (int i = 0; i < MANY; i++) {
            test_loopback_pump(&many[i], SIZE_MAX);
            assert_string_equal(many[i].body, "x");
            test_loopback_deinit(&many[i]);
        }
    }
    test_script_deinit(&s);
}

static void many_at_once(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start_handler(&s, "httpd.sleep(1) httpd.write(nil, 'x')");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < TEST_SCRIPT_REQUESTS; i++)
            (void)test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
        assert_int_equal(lh_vm_tasks(s.vm), TEST_SCRIPT_REQUESTS);
        test_script_advance(&s, 1001);
        assert_int_equal(lh_vm_tasks(s.vm), 0);
        for (int i = 0; i < TEST_SCRIPT_REQUESTS; i++)
            assert_string_equal(s.requests[i].body, "x");
        test_script_done(&s);
    }
    test_script_deinit(&s);
}

/* --- limits --------------------------------------------------------------- */

static void running_too_long(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_init(&s);
    s.t.limits.handler_run_ms = 1;
    test_script_load(&s, "test.lua",
                     "httpd.register_handler('/', function()\n"
                     "  local start = os.clock()\n"
                     "  while os.clock() - start < 0.05 do end\n"
                     "  httpd.write(nil, 'x')\n"
                     "end)");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(l->status, 500);
    assert_int_equal(s.t.logged, 2);
    assert_non_null(strstr(s.t.last_log, "test.lua:4: httpd.write: the handler "
                                         "ran for too long"));
    test_script_deinit(&s);
}

static void limited_memory(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_init(&s);
    s.t.limits.vm_memory_bytes = 4 << 20;
    test_script_load(&s, "test.lua",
                     "httpd.register_handler('/', function()\n"
                     "  local t = {}\n"
                     "  for i = 1, 100 do t[i] = ('x'):rep(100000) .. i end\n"
                     "end)\n"
                     "httpd.register_handler('/fine', function()\n"
                     "  httpd.write(nil, #('x'):rep(500000)) end)");
    assert_int_equal(s.error, 0);
    for (int i = 0; i < 3; i++) {
        l = test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
        assert_int_equal(l->status, 500);
        assert_non_null(strstr(s.t.last_log, "not enough memory"));
        test_script_expect(&s, "/fine", 200, "500000");
    }
    test_script_deinit(&s);
}

/* --- failing allocations -------------------------------------------------- */

static const char busy_source[] =
    "httpd.register_handler('/', function(env, header)\n"
    "  local long = {}\n"
    "  for i = 1, 30 do long[i] = string.rep('v', 100) end\n"
    "  httpd.header{status = 103, ['x-a'] = long}\n"
    "  httpd.header{status = 200, ['x-a'] = long}\n"
    "  httpd.trailer{['x-b'] = long}\n"
    "  assert(httpd.stats().handlers[2].name == '/x')\n"
    "  local body = httpd.read(nil, 'a')\n"
    "  coroutine.wrap(function() httpd.sleep(1) end)()\n"
    "  httpd.write(nil, {string.rep(body, 300), env.REQUEST_METHOD})\n"
    "  httpd.write(nil, string.rep(header.host, 10000))\n"
    "  httpd.write(nil, 'end')\n"
    "  httpd.finish()\n"
    "end)\n"
    "httpd.register_handler('/fine', function()\n"
    "  httpd.write(nil, 'fine') end)";

static void read_no_stats(const void *server, lhttpd_stats_t *stats)
{
    (void)server;
    (void)stats;
}

static int read_two_handlers(const void *server, unsigned index,
                             lhttpd_handler_stats_t *stats)
{
    (void)server;
    if (index == 2)
        return LHTTPD_EINVAL;
    stats->prefix = stats->name = "/x";
    return 0;
}

static const struct lh_stats_source stats_source = {
    .read = read_no_stats, .read_handler = read_two_handlers};

static void one_busy_request(struct test_script *s)
{
    struct test_loopback *l = &s->requests[s->requests_n];
    struct lh_str none = {NULL, 0};

    s->t.ctx.stats = &stats_source;
    test_loopback_request(l, &s->t, "POST", "/", NULL, true);
    s->requests_n++;
    if (lh_vm_serve(s->vm, lh_vm_find(s->vm, LH_STR("/"), &none), l->ex,
                    none)) {
        lh_exchange_let_go_handler(l->ex);
        test_loopback_deinit(l);
        s->requests_n--;
        return;
    }
    test_script_run(s);
    test_loopback_body(l, "0123456789", 10);
    test_script_run(s);
    test_loopback_body_end(l);
    test_script_run(s);
    test_script_advance(s, 1001);
    assert_true(l->ended);
    assert_int_equal(lh_vm_tasks(s->vm), 0);
    test_script_done(s);
}

/* The n-th allocation of the library fails: an error for one request alone. */
static void library_memory(void **state)
{
    unsigned long n;

    (void)state;
    for (n = 1; n < 500; n++) {
        struct test_script s;
        test_script_start(&s, busy_source);
        test_heap_install();
        /* The exchange and its collected output are the test's own. */
        test_heap_fail_at(n + 1);
        one_busy_request(&s);
        bool all = test_heap_count() < n + 1;
        test_heap_fail_at(0);
        test_script_expect(&s, "/fine", 200, "fine");
        test_heap_uninstall();
        test_script_deinit(&s);
        if (all)
            break;
    }
    assert_in_range(n, 2, 499);
}

/* A Lua allocator whose n-th allocation fails. */
static unsigned long lua_allocations, lua_fail_at;

static void *failing_alloc(void *data, void *old, size_t old_n, size_t n)
{
    (void)data;
    if (n == 0) {
        free(old);
        return NULL;
    }
    if ((!old || n > old_n) && ++lua_allocations == lua_fail_at)
        return NULL;
    return realloc(old, n);
}

/* LuaJIT itself does not survive a failing allocation in lua_newstate(), so
 * what fails comes after it. */
static struct lua_State *create(void *context, unsigned worker)
{
    unsigned long fail_at = lua_fail_at;
    struct lua_State *L;

    (void)context;
    (void)worker;
    lua_fail_at = 0;
    L = test_script_new_state(failing_alloc);
    lua_allocations = 0;
    lua_fail_at = fail_at;
    return L;
}

static void load_failing(struct test_script *s)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    struct lh_vm_config config = {.name = "test.lua",
                                  .source = busy_source,
                                  .source_bytes = sizeof(busy_source) - 1,
                                  .factory = &factory};

    factory.lua_version = LUA_VERSION_NUM;
    factory.create = create;
    test_script_load_as(s, &config);
}

static void lua_memory_when_loading(void **state)
{
    unsigned long n;

    (void)state;
    for (n = 1; n < 5000; n++) {
        struct test_script s;
        test_script_init(&s);
        lua_fail_at = n;
        load_failing(&s);
        bool all = s.vm != NULL && lua_allocations < n;
        lua_fail_at = 0;
        test_script_deinit(&s);
        if (all)
            break;
    }
    assert_in_range(n, 10, 4999);
}

static void lua_memory_in_a_request(void **state)
{
    unsigned long n;

    (void)state;
    for (n = 1; n < 1000; n++) {
        struct test_script s;
        test_script_init(&s);
        lua_fail_at = 0;
        load_failing(&s);
        assert_non_null(s.vm);
        lua_allocations = 0;
        lua_fail_at = n;
        one_busy_request(&s);
        bool all = lua_allocations < n;
        lua_fail_at = 0;
        test_script_expect(&s, "/fine", 200, "fine");
        test_script_deinit(&s);
        if (all)
            break;
    }
    assert_in_range(n, 10, 999);
}

/* With no time left one task runs in each turn, in the order of their coming,
 * and one that only yields does not keep the others from theirs. */
static void tasks_take_turns_in_time(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start(&s, "ran = ''\n"
                          "for i, name in ipairs{'/a', '/b', '/c'} do\n"
                          "  httpd.register_handler(name, function()\n"
                          "    ran = ran .. name coroutine.yield()\n"
                          "    ran = ran .. name\n"
                          "  end)\n"
                          "end\n"
                          "httpd.register_handler('/ran', function()\n"
                          "  httpd.write(nil, ran) end)\n");
    s.t.ctx.tasks_until_ms = 1;
    test_script_request(&s, "GET", "/a", NULL, false);
    test_script_request(&s, "GET", "/b", NULL, false);
    test_script_request(&s, "GET", "/c", NULL, false);
    test_script_turns(&s, 1);
    s.t.ctx.tasks_until_ms = 0;
    struct test_loopback *first =
        test_script_request(&s, "GET", "/ran", NULL, false);
    test_script_run(&s);
    assert_string_equal(first->body, "/a/b/c/a");
    test_script_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_coroutines),
        cmocka_unit_test(own_scheduler),
        cmocka_unit_test(resume_keeps_its_values),
        cmocka_unit_test(coroutine_arguments),
        cmocka_unit_test(in_calls_of_c),
        cmocka_unit_test(cannot_suspend),
        cmocka_unit_test(no_request),
        cmocka_unit_test(a_busy_coroutine),
        cmocka_unit_test(a_handler_is_not_resumed),
        cmocka_unit_test(yields_let_others_run),
        cmocka_unit_test(sleeps),
        cmocka_unit_test(gone_while_waiting),
        cmocka_unit_test(freed_while_waiting),
        cmocka_unit_test(lent_after_the_end),
        cmocka_unit_test(gone_after_the_end),
        cmocka_unit_test(half_closed),
        cmocka_unit_test(a_handler_that_does_not_look),
        cmocka_unit_test(gone_before_the_handler),
        cmocka_unit_test(a_stop),
        cmocka_unit_test(errors),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(very_many_at_once),
        cmocka_unit_test(running_too_long),
        cmocka_unit_test(limited_memory),
        cmocka_unit_test(tasks_take_turns_in_time),
        cmocka_unit_test(library_memory),
        cmocka_unit_test(lua_memory_when_loading),
        cmocka_unit_test(lua_memory_in_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
