/* What a handler may leave behind, how it fails, how it is ended. */
#include "lib/heap.h"
#include "lib/live.h"
#include "lib/script.h"
#include "lua/compat.h"
#include "lua/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static void expect_log(struct test_script *s, const char *text)
{
    if (!strstr(s->t.last_log, text))
        fail_msg("%s is not in: %s", text, s->t.last_log);
}

/* --- coroutines ----------------------------------------------------------- */

/* Another request's coroutine is never the same to a script, nor in another
 * state than a new one. */
static void coroutines_carry_nothing(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start(&s,
                      "local seen, n = {}, 0\n"
                      "httpd.register_handler('/identity', function()\n"
                      "  local co = coroutine.running()\n"
                      "  httpd.write(nil, tostring(seen[co]))\n"
                      "  seen[co] = 'seen' end)\n"
                      "httpd.register_handler('/environment', function()\n"
                      "  if not setfenv then\n"
                      "    httpd.write(nil, 'nil') return end\n"
                      "  local get = getfenv or print\n"
                      "  httpd.write(nil, tostring(get(0).secret))\n"
                      "  setfenv(0, {secret = 'kept'}) end)\n"
                      "httpd.register_handler('/hook', function()\n"
                      "  httpd.write(nil, select(3, debug.gethook()) or 0)\n"
                      "  debug.sethook(function() error('hooked') end,\n"
                      "    '', 1000) end)\n"
                      "httpd.register_handler('/other', function()\n"
                      "  local t = {}\n"
                      "  for i = 1, 50000 do t[1] = i end\n"
                      "  httpd.write(nil, 'fine') end)");
    for (int i = 0; i < 5; i++) {
        test_script_expect(&s, "/identity", 200, "nil");
        test_script_expect(&s, "/environment", 200, "nil");
        test_script_expect(&s, "/hook", 200, "0");
        test_script_expect(&s, "/other", 200, "fine");
        assert_int_equal(s.vm->idle_coroutines, 1);
    }
    test_script_deinit(&s);
}

/* On LuaJIT a hook is everybody's: it lasts until its handler waits. */
static void hooks_end_with_a_wait(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start(&s, "httpd.register_handler('/', function()\n"
                          "  debug.sethook(function() error('hooked') end,\n"
                          "    '', 1)\n"
                          "  httpd.sleep(1) end)\n"
                          "httpd.register_handler('/other', function()\n"
                          "  local t = {}\n"
                          "  for i = 1, 1000 do t[i] = {} end\n"
                          "  httpd.write(nil, 'fine') end)");
    for (int i = 0; i < 3; i++) {
        (void)test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
    }
    struct test_loopback *l =
        test_script_request(&s, "GET", "/other", NULL, false);
    test_script_run(&s);
    assert_string_equal(l->body, "fine");
    test_script_deinit(&s);
}

/* 5.1 learns behind a metamethod alone that it cannot suspend. */
static void a_wait_that_never_began(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start_handler(
        &s, "local co = coroutine.create(function()\n"
            "  httpd.sleep(1) return 'slept' end)\n"
            "local t = setmetatable({}, {__index = function()\n"
            "  return select(2, coroutine.resume(co)) end})\n"
            "local outer = coroutine.create(function()\n"
            "  return t.x end)\n"
            "local ok, what = coroutine.resume(outer)\n"
            "local is = coroutine.status(co)\n"
            "httpd.write(nil, tostring(what) .. ' ' .. is)");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    test_script_advance(&s, 2000);
    assert_true(l->ended);
    if (LH_LUA_51)
        assert_non_null(strstr(l->body, " suspended"));
    else
        assert_string_equal(l->body, "slept dead");
    test_script_deinit(&s);
}

/* --- errors --------------------------------------------------------------- */

static void errors_of_wrapped_coroutines(void **state)
{
    static const struct {
        const char *code, *log[4];
    } cases[] = {
        {"local function inner() error('inside') end\n"
         "local gen = coroutine.wrap(function() inner() end)\n"
         "gen()",
         {"test.lua:4: test.lua:2: inside",
          "in a coroutine:", "in function 'inner'", "stack traceback"}},
        {"local deep = coroutine.wrap(function()\n"
         "  coroutine.wrap(function() local x = nil; x() end)() end)\n"
         "deep()",
         {"test.lua:4: test.lua:3: test.lua:3: ", "test.lua:3: in function",
          "in a coroutine:", "attempt to call"}},
        {"coroutine.wrap(function() error({}) end)()",
         {"the error is a table value", "in a coroutine:", "", ""}},
        {"pcall(coroutine.wrap(function() error('caught') end))\n"
         "error('another')",
         {"test.lua:3: another", "", "", ""}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_script s;
        test_script_start_handler(&s, cases[i].code);
        struct test_loopback *l =
            test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
        assert_int_equal(l->status, 500);
        for (int k = 0; k < 4; k++)
            if (LH_LUA_JIT || k == 0)
                expect_log(&s, cases[i].log[k]);
        assert_int_equal(strstr(s.t.last_log, "in a coroutine:") != NULL,
                         i < 3);
        test_script_deinit(&s);
    }
}

#if LH_LUA_54
/* Variables that are to be closed are, and may wait. */
static void closing(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start(&s, "log = ''\n"
                          "local function closer(f)\n"
                          "  return setmetatable({}, {__close = f}) end\n"
                          "httpd.register_handler('/wrap', function()\n"
                          "  coroutine.wrap(function()\n"
                          "    local c <close> = closer(function()\n"
                          "      error('closing') end)\n"
                          "    error('first') end)() end)\n"
                          "httpd.register_handler('/wait', function()\n"
                          "  local c <close> = closer(function(_, e)\n"
                          "    httpd.sleep(1) log = e\n"
                          "    httpd.log('closed') end)\n"
                          "  error('first') end)\n"
                          "httpd.register_handler('/leave', function()\n"
                          "  local c <close> = closer(function(_, e)\n"
                          "    log = 'left' .. select(2, httpd.sleep(1)) end)\n"
                          "  while true do pcall(httpd.sleep, 1) end end)");
    (void)test_script_request(&s, "GET", "/wrap", NULL, false);
    test_script_run(&s);
    expect_log(&s, "test.lua:7: closing");
    l = test_script_request(&s, "GET", "/wait", NULL, false);
    test_script_run(&s);
    assert_int_equal(lh_vm_tasks(s.vm), 1);
    test_script_advance(&s, 1001);
    assert_int_equal(l->status, 500);
    expect_log(&s, "test.lua:13: first");
    expect_log(&s, "stack traceback");
    l = test_script_request(&s, "GET", "/leave", NULL, false);
    test_script_run(&s);
    test_loopback_gone(l);
    test_script_run(&s);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    test_script_deinit(&s);
}
#endif

static void run_one(struct test_script *s)
{
    (void)test_script_request(s, "GET", "/", NULL, false);
    test_script_run(s);
}

/* From its second error on, with the line where the response was started,
 * whatever has started it. */
static void a_second_header(void **state)
{
    static const char *const codes[] = {
        "httpd.header{}",
        "httpd.write(nil, 'x')",
        "httpd.write(nil, string.rep('x', 300000))",
        "httpd.finish()",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct test_script s;
        char code[256];
        snprintf(code, sizeof(code),
                 "pcall(function() end)\n%s\n"
                 "local ok, e, m = pcall(httpd.header, {})\n"
                 "httpd.log(e or m)",
                 codes[i]);
        test_script_start_handler(&s, code);
        run_one(&s);
        if (i < 3)
            expect_log(&s, "header already sent");
        assert_null(strstr(s.t.last_log, "in line"));
        run_one(&s);
        if (i < 3)
            expect_log(&s, "header already sent, in line 3");
        assert_null(strstr(s.t.last_log, "line 0"));
        test_script_deinit(&s);
    }
}

/* --- handlers that do not end --------------------------------------------- */

/* Its client leaves, by the function: whatever the handler catches, it ends. */
static void expect_end_of(const char *code,
                          void (*leave)(struct test_loopback *))
{
    struct test_script s;
    char source[512];

    snprintf(source, sizeof(source), "httpd.sleep(1)\n%s", code);
    test_script_start_handler(&s, source);
    struct test_loopback *l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    leave(l);
    (void)test_script_turns(&s, 200000);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    expect_log(&s, "the client is gone");
    expect_log(&s, "test.lua:");
    test_script_deinit(&s);
}

#define YIELDS                                                                 \
    "while true do coroutine.yield() end",                                     \
        "while true do pcall(coroutine.yield) coroutine.yield() end",          \
        "while true do coroutine.wrap(function()\n"                            \
        "  pcall(coroutine.yield) end)() coroutine.yield() end"

static void handlers_that_catch(void **state)
{
    static const char *const codes[] = {
        "while true do pcall(httpd.sleep, 0.05) end",
        "while true do pcall(pcall, httpd.write, nil, 'x') end",
        "while true do pcall(function()\n"
        "  while true do pcall(httpd.flush) end end) end",
        "while true do coroutine.wrap(function()\n"
        "  pcall(httpd.sleep, 0.05) end)() end",
        "while true do coroutine.resume(coroutine.create(function()\n"
        "  while true do pcall(httpd.sleep, 0.05) end end)) end",
        YIELDS,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        expect_end_of(codes[i], test_loopback_gone);
}

/* Most clients that leave close their connection, of which the server sees no
 * more than that they send nothing, unless it writes. */
static void handlers_that_do_not_see_the_end(void **state)
{
    static const char *const codes[] = {
        "while true do pcall(httpd.sleep, 0.05) end",
        YIELDS,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        expect_end_of(codes[i], test_loopback_fin);
}

/* Nor does one outlive the end of a stop's grace. */
static void handlers_that_catch_a_stop(void **state)
{
    static const char *const codes[] = {
        "while true do pcall(httpd.sleep, 0.05) end",
        "while true do coroutine.yield() end",
        "httpd.finish() while true do coroutine.yield() end",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct test_script s;
        if (LH_LUA_51 && i == 0)
            continue; /* it cannot even sleep there */
        test_script_start_handler(&s, codes[i]);
        (void)test_script_request(&s, "GET", "/", NULL, false);
        (void)test_script_turns(&s, 100);
        s.t.ctx.stopping = true;
        lh_vm_stopping(s.vm);
        (void)test_script_turns(&s, 100);
        assert_int_equal(lh_vm_tasks(s.vm), 1);
        lh_vm_cut(s.vm);
        (void)test_script_turns(&s, 1000);
        assert_int_equal(lh_vm_tasks(s.vm), 0);
        test_script_deinit(&s);
    }
}

/* Nor one that never waits, but calls httpd. */
static void handlers_that_run_on(void **state)
{
    static const char *const codes[] = {
        "while true do pcall(httpd.closed) end",
        "while true do pcall(pcall, httpd.header, {status = 103}) end",
        ("while true do coroutine.resume(coroutine.create(function()\n"
         "  while true do pcall(httpd.closed) end end)) end"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char source[512];
        struct test_script s;
        snprintf(source, sizeof(source),
                 "httpd.register_handler('/', function() %s end)\n"
                 "httpd.register_handler('/fine', function()\n"
                 "  httpd.write(nil, 'fine') end)",
                 codes[i]);
        test_script_init(&s);
        s.t.limits.handler_run_ms = 1;
        test_script_load(&s, "test.lua", source);
        struct test_loopback *l =
            test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
        assert_int_equal(l->status, 500);
        expect_log(&s, "the handler ran for too long");
        s.t.limits.handler_run_ms = LHTTPD_UNLIMITED;
        test_script_expect(&s, "/fine", 200, "fine");
        test_script_deinit(&s);
    }
}

/* --- loading -------------------------------------------------------------- */

/* A registration that fails for lack of memory leaves nothing. */
static void a_failing_registration(void **state)
{
    static const char source[] =
        "for i = 1, 12 do\n"
        "  pcall(httpd.register_handler, '/' .. i, function(env)\n"
        "    httpd.write(nil, env.HANDLER_NAME) end)\n"
        "end";

    (void)state;
    for (unsigned long n = 1; n < 80; n++) {
        struct test_script s;
        unsigned found = 0;
        test_script_init(&s);
        test_heap_install();
        test_heap_fail_at(n);
        test_script_load(&s, "test.lua", source);
        test_heap_fail_at(0);
        for (unsigned i = 1; s.vm && i <= 12; i++) {
            struct lh_str info = {NULL, 0};
            char path[8];
            snprintf(path, sizeof(path), "/%u", i);
            if (lh_vm_find(s.vm, lh_str_of(path), &info) < 0)
                continue;
            test_script_expect(&s, path, 200, path);
            found++;
        }
        assert_true(!s.vm || found >= 11);
        test_heap_uninstall();
        test_script_deinit(&s);
    }
}

static void first_lines(void **state)
{
    static const char *const sources[] = {
        "#!/usr/bin/lhttpd\nhttpd.register_handler('/', function()\n"
        "httpd.write(nil, debug.getinfo(1, 'l').currentline) end)",
        "\xEF\xBB\xBF\nhttpd.register_handler('/', function()\n"
        "httpd.write(nil, debug.getinfo(1, 'l').currentline) end)",
        "\xEF\xBB\xBF#!x\nhttpd.register_handler('/', function()\n"
        "httpd.write(nil, debug.getinfo(1, 'l').currentline) end)",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct test_script s;
        test_script_start(&s, sources[i]);
        test_script_expect(&s, "/", 200, "3");
        test_script_deinit(&s);
    }
    struct test_script s;
    test_script_init(&s);
    test_script_load(&s, "test.lua", "#!nothing");
    assert_int_equal(s.error, 0);
    test_script_deinit(&s);
}

/* --- depth ---------------------------------------------------------------- */

/* Recursion through C ends in an error on a worker's thread as well. */
static void deep_recursion(void **state)
{
    static const char source[] =
        "local d\n"
        "local function deep(f)\n"
        "  d = 0\n"
        "  local ok, e = pcall(f)\n"
        "  assert(not ok and d > 50, d)\n"
        "  e = tostring(e)\n"
        "  if not e:find('overflow') then error(e:sub(-200)) end\n"
        "end\n"
        "local function gsub() d = d + 1\n"
        "  return (string.gsub('a', 'a', gsub)) end\n"
        "local function sort() d = d + 1\n"
        "  table.sort({2, 1}, function() sort() return true end) end\n"
        "local function wrap() d = d + 1\n"
        "  return coroutine.wrap(wrap)() end\n"
        "local function resume() d = d + 1\n"
        "  local ok, e = coroutine.resume(coroutine.create(resume))\n"
        "  if not ok then error(e, 0) end end\n"
        "local o = setmetatable({}, {})\n"
        "getmetatable(o).__tostring = function() d = d + 1\n"
        "  local s = tostring(o) return s end\n"
        "test('gsub', function() deep(gsub) end)\n"
        "test('sort', function() deep(sort) end)\n"
        "test('wrap', function() deep(wrap) end)\n"
        "test('resume', function() deep(resume) end)\n"
        "test('tostring', function()\n"
        "  deep(function() return tostring(o) end) end)\n"
        "test('both', function()\n"
        "  coroutine.wrap(function() deep(gsub)\n"
        "    coroutine.wrap(function() deep(gsub) end)() end)() end)\n";
    static const char *const paths[] = {"/gsub",   "/sort",     "/wrap",
                                        "/resume", "/tostring", "/both"};
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, source);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        test_live_expect(&live, paths[i], "ok");
    test_live_stop(&live);
}

/* --- what a client may ask for -------------------------------------------- */

static void queries_of_many_pairs(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start_handler(&s,
                              "local q, why = httpd.query(('a&'):rep(10000))\n"
                              "httpd.write(nil, #q)\n"
                              "q, why = httpd.query(('a&'):rep(10001))\n"
                              "httpd.write(nil, tostring(q) .. why)\n"
                              "q = httpd.query(('&'):rep(100000) .. 'a=1')\n"
                              "httpd.write(nil, #q .. q.a)");
    test_script_expect(&s, "/", 200, "10000niltoo large11");
    test_script_deinit(&s);
}

/* A VM with a limit is not made to hold what it could never have as a string.
 */
static void reads_past_the_limit(void **state)
{
    static char part[60000];
    struct test_script s;
    struct test_loopback *l;
    size_t sent = 0;

    (void)state;
    test_script_init(&s);
    s.t.limits.vm_memory_bytes = 4 << 20;
    s.t.limits.body_bytes = LHTTPD_UNLIMITED;
    test_script_load(&s, "test.lua",
                     "httpd.register_handler('/', function()\n"
                     "  local x, why = httpd.read(nil, 3e9)\n"
                     "  httpd.write(nil, tostring(x) .. why) end)");
    assert_int_equal(s.error, 0);
    l = test_script_request(&s, "POST", "/", NULL, true);
    while (!l->ended && sent < (size_t)16 << 20) {
        sent += test_loopback_body(l, part, sizeof(part));
        test_script_run(&s);
    }
    assert_true(l->ended);
    assert_true(sent <= (size_t)5 << 20);
    assert_string_equal(l->body, "niltoo large");
    test_script_deinit(&s);
}

/* What was too large as one string is still there, in pieces. */
static void pieces_past_the_limit(void **state)
{
    static char part[60000];
    struct test_script s;
    struct test_loopback *l;
    size_t sent = 0;

    (void)state;
    memset(part, 'x', sizeof(part));
    part[10000] = '\n';
    test_script_init(&s);
    s.t.limits.vm_memory_bytes = 2 << 20;
    s.t.limits.body_bytes = LHTTPD_UNLIMITED;
    test_script_load(
        &s, "test.lua",
        "httpd.register_handler('/', function()\n"
        "  local x, why = httpd.read(nil, 3e9)\n"
        "  local line = httpd.read(nil, 'L')\n"
        "  local some = httpd.read(nil)\n"
        "  local n, p = #line + #some, ''\n"
        "  while p do n = n + #p p = httpd.read(nil, 4096) end\n"
        "  httpd.write(nil, tostring(x) .. why .. #line .. ' ' .. \n"
        "              #some .. ' ' .. n) end)");
    assert_int_equal(s.error, 0);
    l = test_script_request(&s, "POST", "/", NULL, true);
    for (int i = 0; i < 1000 && sent < 50 * sizeof(part); i++) {
        size_t at = sent % sizeof(part);
        sent += test_loopback_body(l, part + at, sizeof(part) - at);
        test_script_run(&s);
    }
    test_loopback_body_end(l);
    test_script_run(&s);
    assert_true(l->ended);
    assert_string_equal(l->body, "niltoo large10001 65536 3000000");
    test_script_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coroutines_carry_nothing),
        cmocka_unit_test(hooks_end_with_a_wait),
        cmocka_unit_test(a_wait_that_never_began),
        cmocka_unit_test(errors_of_wrapped_coroutines),
#if LH_LUA_54
        cmocka_unit_test(closing),
#endif
        cmocka_unit_test(a_second_header),
        cmocka_unit_test(handlers_that_catch),
        cmocka_unit_test(handlers_that_do_not_see_the_end),
        cmocka_unit_test(handlers_that_catch_a_stop),
        cmocka_unit_test(handlers_that_run_on),
        cmocka_unit_test(a_failing_registration),
        cmocka_unit_test(first_lines),
        cmocka_unit_test(deep_recursion),
        cmocka_unit_test(queries_of_many_pairs),
        cmocka_unit_test(reads_past_the_limit),
        cmocka_unit_test(pieces_past_the_limit),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_live_remove_dir();
    return failed;
}
