/* The httpd module's functions, as docs/lua-api.md describes them. */
#include "lib/script.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

/* A handler for "/" with this body, and what it answers to GET /?q=1. */
struct answer {
    const char *code;
    unsigned status;
    const char *body;
};

static void start_handler(struct test_script *s, const char *code)
{
    char source[8192];

    assert_true(
        (size_t)snprintf(
            source, sizeof(source),
            "local function try(...)\n"
            "  local ok, e = pcall(...)\n"
            "  return ok and 'fine' or tostring(e):gsub('^test.lua:2: ', '')\n"
            "end\n"
            "httpd.register_handler('/',"
            "function(env, header)\n%s\nend)",
            code) < sizeof(source));
    test_script_start(s, source);
}

static void check_answers(const struct answer *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct test_script s;
        start_handler(&s, a[i].code);
        test_script_expect(&s, "/?q=1", a[i].status, a[i].body);
        test_script_deinit(&s);
    }
}

#define CHECK_ANSWERS(a) check_answers(a, sizeof(a) / sizeof((a)[0]))

/* --- header --------------------------------------------------------------- */

static void statuses(void **state)
{
    static const struct answer answers[] = {
        {"httpd.header{[':status'] = '200'}", 200, ""},
        {"httpd.header{[':status'] = 404}", 404, ""},
        {"httpd.header{status = '404 Not Found'}", 404, ""},
        {"httpd.header{Status = 200}", 200, ""},
        {"httpd.header{status = 599}", 599, ""},
        {"httpd.header{status = 201, [':status'] = 202}", 202, ""},
        {"httpd.header{}", 200, ""},
        {"httpd.write(nil, 'x')", 200, "x"},
        {"", 200, ""},
        {"httpd.write(nil, tostring(httpd.header{}))", 200, "true"},
        {"httpd.write(nil, try(httpd.header, {status = 99}))", 200,
         "httpd.header: '99' is no status from 100 to 599"},
        {"httpd.write(nil, try(httpd.header, {status = 600}))", 200,
         "httpd.header: '600' is no status from 100 to 599"},
        {"httpd.write(nil, try(httpd.header, {status = 'ok'}))", 200,
         "httpd.header: 'ok' is no status from 100 to 599"},
        {"httpd.write(nil, try(httpd.header, {status = '2000'}))", 200,
         "httpd.header: '2000' is no status from 100 to 599"},
        {"httpd.write(nil, try(httpd.header, {status = 200.5}))", 200,
         "httpd.header: '200.5' is no status from 100 to 599"},
        {"httpd.write(nil, try(httpd.header, {status = true}))", 200,
         "httpd.header: the status is a boolean"},
        {"httpd.write(nil, try(httpd.header, {status = 101}))", 200,
         "httpd.header: 101 is not supported"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

static void bad_fields(void **state)
{
#define TRY(table) "httpd.write(nil, try(httpd.header, " table "))"
    static const struct answer answers[] = {
        {TRY("nil"), 200,
         "bad argument #1 to 'httpd.header' (table expected, got nil)"},
        {TRY("{['a b'] = 'x'}"), 200, "httpd.header: 'a b' is no field name"},
        {TRY("{[''] = 'x'}"), 200, "httpd.header: '' is no field name"},
        {TRY("{['a\\nb'] = 'x'}"), 200,
         "httpd.header: 'a\nb' is no field name"},
        {TRY("{[':authority'] = 'x'}"), 200,
         "httpd.header: ':authority' is no field name"},
        {TRY("{a = 'x\\r\\ny'}"), 200,
         "httpd.header: the value of 'a' has a control character"},
        {TRY("{a = 'x\\0y'}"), 200,
         "httpd.header: the value of 'a' has a control character"},
        {TRY("{a = {'fine', 'x\\ny'}}"), 200,
         "httpd.header: the value of 'a' has a control character"},
        {TRY("{[':bogus'] = 'x'}"), 200,
         "httpd.header: ':bogus' is no field name"},
        {TRY("{[':path'] = '/', status = 200}"), 200,
         "httpd.header: ':path' is no field name"},
        {TRY("{a = true}"), 200, "httpd.header: the value of 'a' is a boolean"},
        {TRY("{a = {{}}}"), 200, "httpd.header: the value of 'a' is a table"},
        {TRY("{'x'}"), 200,
         "httpd.header: a field name is a string, not a number"},
        {TRY("{['Transfer-Encoding'] = 'chunked'}"), 200,
         "httpd.header: transfer-encoding is the server's"},
        {TRY("{['content-length'] = 'many'}"), 200,
         "httpd.header: content-length is not a number"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

/* Nothing of a header that was refused is sent. */
static void fields_arrive(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "pcall(httpd.header, {b = '1', a = '\\n'})\n"
                      "httpd.header{status = 201, ['Content-Type'] = ' x/y ',"
                      "['set-cookie'] = {'a=1', 'b=2'}, ['x-n'] = 10 / 2}");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(l->status, 201);
    assert_non_null(strstr(l->fields, "Content-Type: x/y\n"));
    assert_non_null(strstr(l->fields, "set-cookie: a=1\n"));
    assert_non_null(strstr(l->fields, "set-cookie: b=2\n"));
    assert_non_null(strstr(l->fields, "x-n: 5\n"));
    assert_null(strstr(l->fields, "b: 1"));
    assert_null(strstr(l->fields, "tatus"));
    assert_true(strstr(l->fields, "a=1") < strstr(l->fields, "b=2"));
    test_script_deinit(&s);
}

static void second_header(void **state)
{
    static const struct answer answers[] = {
        {"httpd.header{}\nhttpd.write(nil, try(function()\n"
         "httpd.header{} end))",
         200, "test.lua:8: header already sent"},
        {"httpd.write(nil, 'x')\nhttpd.write(nil, try(function()\n"
         "httpd.header{} end))",
         200, "xtest.lua:8: header already sent"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

static void informational(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.header{status = 103, link = '</a.css>'}\n"
                      "httpd.header{status = 103}\n"
                      "httpd.header{status = 204}");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(l->interims, 2);
    assert_int_equal(l->last_interim, 103);
    assert_int_equal(l->status, 204);
    test_script_deinit(&s);
}

static void promises(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "local p = httpd.header{[':path'] = '/style.css'}\n"
                      "httpd.write(nil, tostring(p))\n"
                      "httpd.write(nil, tostring(env.PUSH_PROMISE))");
    test_script_expect(&s, "/", 200, "falsenil");
    l = test_script_request(&s, "GET", "/", NULL, false);
    l->ex->request.accepts_push = true;
    test_script_run(&s);
    assert_int_equal(l->promises, 1);
    assert_string_equal(l->body, "true1");
    test_script_deinit(&s);
    start_handler(&s, "httpd.header{[':path'] = 'style.css'}");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(l->status, 500);
    test_script_deinit(&s);
}

/* The text of a number is nobody's: it goes with the next ones. */
static void a_path_that_is_a_number(void **state)
{
    struct test_script s;

    (void)state;
    start_handler(&s, "collectgarbage('setpause', 0)\n"
                      "collectgarbage('setstepmul', 1000000)\n"
                      "local why\n"
                      "for n = 1, 50 do\n"
                      "  local t = {[':path'] = 1000000 + n}\n"
                      "  for i = 1, 200 do t['x' .. i * n] = n * 1000 + i end\n"
                      "  why = select(2, pcall(httpd.header, t))\n"
                      "end\n"
                      "httpd.write(nil, why:match('httpd.header.*'))");
    test_script_expect(&s, "/", 200,
                       "httpd.header: ':path' does not begin with '/'");
    test_script_deinit(&s);
}

static void trailers(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.write(nil, 'x')\n"
                      "httpd.write(nil, tostring(httpd.trailer()))\n"
                      "httpd.trailer{['x-sum'] = '1'}");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_string_equal(l->trailers, "x-sum: 1\n");
    assert_string_equal(l->body, "xnil");
    test_script_deinit(&s);
}

static void bad_trailers(void **state)
{
    static const struct answer answers[] = {
        {"httpd.write(nil, try(httpd.trailer, 1))", 200,
         "bad argument #1 to 'httpd.trailer' (table expected, got number)"},
        {"httpd.write(nil, try(httpd.trailer, {[':path'] = '/'}))", 200,
         "httpd.trailer: ':path' is no field name"},
        {"httpd.write(nil, try(httpd.trailer, {['Content-Length'] = 3}))", 200,
         "httpd.trailer: 'Content-Length' is for httpd.header"},
        {"httpd.write(nil, try(httpd.trailer, {connection = {'a', 'close'}}))",
         200, "httpd.trailer: 'connection' is for httpd.header"},
        {"httpd.write(nil, try(httpd.trailer, {status = 200}))", 200,
         "httpd.trailer: the status is for httpd.header"},
        {"httpd.write(nil, try(httpd.trailer, {['x'] = {'a', '\\n'}}))", 200,
         "httpd.trailer: the value of 'x' has a control character"},
        {"httpd.write(nil, 'x') httpd.finish()\n"
         "assert(select(2, httpd.trailer{x = 1}) == 'closed')\n"
         "assert(httpd.trailer() == nil)",
         200, "x"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

static void bad_interims(void **state)
{
    static const struct answer answers[] = {
        {"httpd.write(nil, try(httpd.header,\n"
         "  {status = 103, ['Content-Length'] = 3}))",
         200, "httpd.header: 'Content-Length' is for the final header"},
        {"httpd.write(nil, try(httpd.header, {status = 102, host = 'a'}))", 200,
         "httpd.header: 'host' is for the final header"},
        {"httpd.write(nil, try(httpd.header, {status = 101}))", 200,
         "httpd.header: 101 is not supported"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

static void request_trailers(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "local before = httpd.trailer()\n"
                      "httpd.read(nil, 'a')\n"
                      "local t = httpd.trailer()\n"
                      "httpd.write(nil, tostring(before) .. t.a .. t.b)");
    l = test_script_request(&s, "POST", "/", NULL, true);
    test_script_run(&s);
    lh_fields_add(&l->ex->request.trailers, &l->ex->arena, LH_STR("a"),
                  LH_STR("1"));
    lh_fields_add(&l->ex->request.trailers, &l->ex->arena, LH_STR("b"),
                  LH_STR("2"));
    lh_fields_add(&l->ex->request.trailers, &l->ex->arena, LH_STR("a"),
                  LH_STR("3"));
    test_loopback_body_end(l);
    test_script_run(&s);
    assert_string_equal(l->body, "nil1, 32");
    test_script_deinit(&s);
}

/* --- write ---------------------------------------------------------------- */

static void writes(void **state)
{
    static const struct answer answers[] = {
        {"httpd.write(nil, httpd.write(nil, 'abc'))", 200, "abc3"},
        {"httpd.write(nil, 12)", 200, "12"},
        {"httpd.write(nil, {'a', 1, 'b'})", 200, "a1b"},
        {"httpd.write(nil, httpd.write(nil, {}))", 200, "0"},
        {"httpd.write(nil, tostring(httpd.write(nil, nil)))", 200, "nil"},
        {"httpd.write(nil, tostring(httpd.write(nil, nil, 'closed')))", 200,
         "nil"},
        {"httpd.write(nil, select('#', httpd.write(nil, 'x')))", 200, "x1"},
        {"httpd.write(nil, try(httpd.write, nil, true))", 200,
         "bad argument #2 to 'httpd.write' (string, number or array expected,"
         " got boolean)"},
        {"httpd.write(nil, try(httpd.write, nil, {'a', {}}))", 200,
         "httpd.write: item 2 of the array is a table"},
        {"httpd.write(nil, try(httpd.write, nil, {a = 1}))", 200,
         "httpd.write: the table has no item 1; only an array can be written"},
        {"httpd.write(nil, {}) httpd.write(nil, {'a', b = 1})", 200, "a"},
        {"httpd.write(nil, try(httpd.write, 'x', 'y'))", 200,
         "bad argument #1 to 'httpd.write' (file, socket, websocket or nil "
         "expected, got string)"},
        {"httpd.write(nil, try(httpd.close, 'x'))", 200,
         "bad argument #1 to 'httpd.close' (file, socket, subscription or "
         "websocket expected, got string)"},
        {"httpd.write(nil, try(httpd.close))", 200,
         "bad argument #1 to 'httpd.close' (file, socket, subscription or "
         "websocket expected, got nil)"},
        {"httpd.write(nil, try(httpd.write, io.stdout, 'y'))", 200,
         "httpd.write: there is no server here"},
        {"httpd.write(nil, try(httpd.write, nil, 'y', 'soon'))", 200,
         "bad argument #3 to 'httpd.write' (number expected, got string)"},
        {"httpd.write(nil, try(httpd.write, nil, 'y', -1))", 200,
         "bad argument #3 to 'httpd.write' (a time is not negative)"},
        {"httpd.header{['content-length'] = 2}\n"
         "httpd.write(nil, 'a')\nlocal e = try(httpd.write, nil, 'bc')\n"
         "httpd.write(nil, e:match('length') and '1' or '0')",
         200, "a1"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

/* A client that takes little makes the handler wait, and gets all. */
static void long_writes(void **state)
{
    static const char code[] =
        "local n = 0\n"
        "for i = 1, 40 do\n"
        "  n = n + httpd.write(nil, string.rep(string.char(64 + i), 3000 * "
        "i))\n"
        "  collectgarbage()\n"
        "end\n"
        "httpd.write(nil, {string.rep('y', 70000), 'z'})\n"
        "httpd.write(nil, n)";
    struct test_script s;
    struct test_loopback *l;
    size_t at = 0;

    (void)state;
    start_handler(&s, code);
    s.pump_bytes = 5000;
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_true(l->ended && !l->aborted);
    for (int i = 1; i <= 40; i++)
        for (int k = 0; k < 3000 * i; k++)
            assert_int_equal(l->body[at++], (char)(64 + i));
    assert_int_equal(l->body[at], 'y');
    assert_string_equal(l->body + at + 70000, "z2460000");
    test_script_deinit(&s);
}

static void a_write_waits(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.write(nil, string.rep('a', 100000))\n"
                      "log = tostring(select(2, httpd.write(nil, 'b', 0.5)))\n"
                      "httpd.write(nil, log)");
    s.pump_bytes = 0;
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(lh_vm_tasks(s.vm), 1);
    test_script_advance(&s, 499);
    test_script_advance(&s, 2);
    s.pump_bytes = SIZE_MAX;
    test_script_run(&s);
    assert_string_equal(l->body + 100000, "timeout");
    test_script_deinit(&s);
}

/* What a handler writes within the buffer can still become a clean 500. */
static void an_error_after_writes(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.write(nil, string.rep('a', 40000))\n"
                      "httpd.write(nil, string.rep('a', 20000))\n"
                      "error('late')");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(l->status, 500);
    assert_null(strstr(l->body, "aaa"));
    assert_non_null(strstr(s.t.last_log, "late"));
    test_script_deinit(&s);
}

/* A string for which the connection's others leave no room waits for them only
 * if its own response has something that leaves first. */
static void writing_while_others_wait(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.write(nil, string.rep('a', 9000))\n"
                      "httpd.write(nil, string.rep('b', 3000))\n"
                      "httpd.write(nil, string.rep('c', 3000))\n"
                      "httpd.write(nil, 'd')");
    s.pump_bytes = 1000;
    l = test_script_request(&s, "GET", "/", NULL, false);
    l->queued += 300000;
    test_script_run(&s);
    assert_true(l->ended && !l->aborted);
    assert_int_equal(l->body_n, 15001);
    assert_int_equal(l->body[15000], 'd');
    l->queued -= 300000;
    test_script_deinit(&s);
}

static void an_error_after_the_head(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.write(nil, 'a')\nhttpd.flush()\nerror('late')");
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(l->status, 200);
    assert_true(l->aborted);
    test_script_deinit(&s);
}

static void head_has_no_body(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "local n = httpd.write(nil, string.rep('a', 200000))\n"
                      "n = n + httpd.write(nil, 'b')\n"
                      "assert(n == 200001)");
    l = test_script_request(&s, "HEAD", "/", NULL, false);
    test_script_run(&s);
    assert_int_equal(l->status, 200);
    assert_int_equal(l->body_n, 0);
    assert_true(l->ended && !l->aborted);
    assert_int_equal(s.t.logged, 0);
    test_script_deinit(&s);
}

static void flushing(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.write(nil, 'a')\n"
                      "local ok = httpd.flush()\n"
                      "httpd.sleep(1)\n"
                      "httpd.write(nil, tostring(ok))");
    s.pump_bytes = 0;
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_string_equal(l->body, "");
    s.pump_bytes = SIZE_MAX;
    test_script_run(&s);
    assert_string_equal(l->body, "a");
    assert_false(l->ended);
    test_script_advance(&s, 1001);
    assert_string_equal(l->body, "atrue");
    test_script_deinit(&s);
}

/* What was written leaves when the handler sleeps or reads, not before. */
static void bytes_leave(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "httpd.write(nil, 'a')\ncoroutine.yield()\n"
                      "coroutine.yield()\nhttpd.sleep(1)");
    l = test_script_request(&s, "GET", "/", NULL, false);
    assert_int_equal(test_script_turns(&s, 2), 2);
    assert_false(l->started);
    test_script_run(&s);
    assert_string_equal(l->body, "a");
    test_script_deinit(&s);
}

static void finishing(void **state)
{
    static const char code[] =
        "httpd.write(nil, 'bye')\n"
        "local ok = httpd.finish()\n"
        "assert(ok == true and httpd.closed())\n"
        "assert(select(2, httpd.write(nil, 'x')) == 'closed')\n"
        "assert(select(2, httpd.read()) == 'closed')\n"
        "assert(select(2, httpd.header{}) == 'closed')\n"
        "assert(select(2, httpd.finish()) == 'closed')\n"
        "assert(env.REQUEST_METHOD == nil and env.HANDLER_NAME == '/')\n"
        "assert(httpd.sleep(1) == true)\n"
        "after = true";
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, code);
    l = test_script_request(&s, "GET", "/", NULL, false);
    test_script_run(&s);
    assert_string_equal(l->body, "bye");
    assert_true(l->ended);
    assert_int_equal(lh_vm_tasks(s.vm), 1);
    test_script_advance(&s, 1001);
    assert_int_equal(lh_vm_tasks(s.vm), 0);
    assert_int_equal(s.t.logged, 0);
    test_script_deinit(&s);
}

/* --- read ----------------------------------------------------------------- */

/* Runs a handler on a body that comes in pieces of `step`. */
static void check_read(const char *code, const char *body, size_t step,
                       const char *expected)
{
    struct test_script s;
    struct test_loopback *l;
    size_t n = strlen(body);

    start_handler(&s, code);
    l = test_script_request(&s, "POST", "/", NULL, true);
    test_script_run(&s);
    for (size_t at = 0; at < n; at += step) {
        size_t piece = n - at < step ? n - at : step;
        assert_int_equal(test_loopback_body(l, body + at, piece), piece);
        test_script_run(&s);
    }
    test_loopback_body_end(l);
    test_script_run(&s);
    assert_string_equal(l->body, expected);
    test_script_deinit(&s);
}

static const char read_fours[] =
    "repeat local p, e = httpd.read(nil, 4)\n"
    "httpd.write(nil, tostring(p) .. ',') until not p\nassert(not e)";
static const char read_lines[] =
    "repeat local p = httpd.read(nil, 'l')\n"
    "httpd.write(nil, tostring(p) .. ',') until not p";
static const char read_long_lines[] =
    "repeat local p = httpd.read(nil, '*L')\n"
    "httpd.write(nil, tostring(p) .. ',') until not p";

static void reads(void **state)
{
    (void)state;
    for (size_t step = 1; step < 14; step++) {
        check_read(read_fours, "0123456789", step, "0123,4567,89,nil,");
        check_read(read_fours, "01234567", step, "0123,4567,nil,");
        check_read(read_fours, "", step, "nil,");
        check_read(read_lines, "a\n\nbc\nd", step, "a,,bc,d,nil,");
        check_read(read_long_lines, "a\n\nbc\n", step, "a\n,\n,bc\n,nil,");
        check_read("httpd.write(nil, httpd.read(nil, 'a'))", "01234", step,
                   "01234");
        check_read("httpd.write(nil, httpd.read(nil, 'l'))\n"
                   "httpd.write(nil, '|' .. httpd.read(nil, 2))\n"
                   "httpd.write(nil, '|' .. httpd.read(nil, 'a'))",
                   "abc\ndefgh", step, "abc|de|fgh");
        check_read("httpd.write(nil, '<' .. httpd.read(nil, 0) .. '>')\n"
                   "httpd.read(nil, 'a')\n"
                   "httpd.write(nil, tostring(httpd.read(nil, 0)))",
                   "xyz", step, "<>nil");
    }
    check_read("httpd.write(nil, '<' .. httpd.read(nil, 'a') .. '>')", "", 1,
               "<>");
}

static void reads_some(void **state)
{
    (void)state;
    check_read("repeat local p = httpd.read()\n"
               "httpd.write(nil, tostring(p) .. ',') until not p",
               "0123456789", 4, "0123,4567,89,nil,");
}

static void bad_reads(void **state)
{
    static const struct answer answers[] = {
        {"httpd.write(nil, try(httpd.read, nil, -1))", 200,
         "bad argument #2 to 'httpd.read' (not a length)"},
        {"httpd.write(nil, try(httpd.read, nil, 1.5))", 200,
         "bad argument #2 to 'httpd.read' (not a length)"},
        {"httpd.write(nil, try(httpd.read, nil, 'n'))", 200,
         "bad argument #2 to 'httpd.read' (number, 'l', 'L' or 'a' expected,"
         " got string)"},
        {"httpd.write(nil, try(httpd.read, {}, 1))", 200,
         "bad argument #1 to 'httpd.read' (file, socket, subscription, "
         "websocket, part or "
         "nil expected, "
         "got "
         "table)"},
        {"httpd.write(nil, try(httpd.read, io.stdin, 1))", 200,
         "httpd.read: there is no server here"},
        {"httpd.write(nil, tostring(httpd.read(nil, 10)))", 200, "nil"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

static void failed_bodies(void **state)
{
    static const struct {
        enum lh_body_state state;
        const char *message;
    } cases[] = {
        {LH_BODY_CLOSED, "abcd nil closed|ef"},
        {LH_BODY_TIMEOUT, "abcd nil timeout|ef"},
        {LH_BODY_TOO_LARGE, "abcd nil too large|ef"},
        {LH_BODY_MALFORMED, "abcd nil malformed|ef"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_script s;
        struct test_loopback *l;
        start_handler(&s, "httpd.write(nil, httpd.read(nil, 4) .. ' ')\n"
                          "local p, e = httpd.read(nil, 4)\n"
                          "httpd.write(nil, tostring(p) .. ' ' .. e)\n"
                          "httpd.write(nil, '|' .. httpd.read(nil, 2))");
        l = test_script_request(&s, "POST", "/", NULL, true);
        test_loopback_body(l, "abcdef", 6);
        test_script_run(&s);
        lh_exchange_body_end(l->ex, cases[i].state);
        test_script_run(&s);
        assert_string_equal(l->body, cases[i].message);
        test_script_deinit(&s);
    }
}

/* The status of a handler that gives up without an answer of its own. */
static void failed_bodies_without_an_answer(void **state)
{
    static const struct {
        enum lh_body_state state;
        unsigned status;
    } cases[] = {{LH_BODY_ENDED, 200},
                 {LH_BODY_MALFORMED, 200},
                 {LH_BODY_TIMEOUT, 408},
                 {LH_BODY_TOO_LARGE, 413}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_script s;
        struct test_loopback *l;
        start_handler(&s, "httpd.read(nil, 'a')");
        l = test_script_request(&s, "POST", "/", NULL, true);
        test_script_run(&s);
        lh_exchange_body_end(l->ex, cases[i].state);
        test_script_run(&s);
        assert_int_equal(l->ex->response.status, cases[i].status);
        assert_true(lh_exchange_complete(l->ex));
        test_script_deinit(&s);
    }
}

/* What one read left is put together with what comes later. */
static void reads_of_every_kind(void **state)
{
    char body[20000], expected[64];
    size_t lines = 0, bytes = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(body) - 1; i++)
        body[i] = i % 997 == 996 ? '\n' : 'x';
    body[sizeof(body) - 1] = '\0';
    for (const char *p = body; *p; p++)
        lines += *p == '\n';
    bytes = sizeof(body) - 1;
    snprintf(expected, sizeof(expected), "%zu %zu", bytes, lines);
    for (size_t step = 1000; step < 6000; step += 777)
        check_read("local n, lines, p = 0, 0\n"
                   "repeat\n"
                   "  p = httpd.read(nil, 'L') or ''\n"
                   "  n = n + #p\n"
                   "  if p:sub(-1) == '\\n' then lines = lines + 1 end\n"
                   "  p = httpd.read(nil, 3) or ''\n"
                   "  n = n + #p\n"
                   "  if p:find('\\n') then lines = lines + 1 end\n"
                   "until p == ''\n"
                   "httpd.write(nil, n .. ' ' .. lines)",
                   body, step, expected);
}

/* A time-out loses nothing. */
static void a_read_times_out(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    start_handler(&s, "local p, e = httpd.read(nil, 4, 2.5)\n"
                      "httpd.write(nil, tostring(p) .. e)\n"
                      "httpd.write(nil, httpd.read(nil, 4))");
    l = test_script_request(&s, "POST", "/", NULL, true);
    test_loopback_body(l, "ab", 2);
    test_script_run(&s);
    assert_true(l->ex->body_wanted);
    test_script_advance(&s, 2499);
    assert_true(l->ex->body_wanted);
    test_loopback_body(l, "c", 1);
    test_script_advance(&s, 2);
    test_loopback_body(l, "d", 1);
    test_script_run(&s);
    assert_string_equal(l->body, "niltimeoutabcd");
    test_script_deinit(&s);
}

/* The answer to a body of a little more than 1 MiB. */
static void check_large_body(const char *code, unsigned status,
                             const char *answer)
{
    enum { BYTES = (1 << 20) + 10 };
    struct test_script s;
    struct test_loopback *l;
    char *body = lh_alloc(BYTES);
    size_t at = 0;

    assert_non_null(body);
    memset(body, 'x', BYTES);
    start_handler(&s, code);
    l = test_script_request(&s, "POST", "/", NULL, true);
    for (int i = 0; i < 1000 && at < BYTES; i++) {
        size_t n = test_loopback_body(l, body + at, BYTES - at);
        test_script_run(&s);
        at += n;
        if (n == 0 && lh_exchange_complete(l->ex))
            break;
    }
    test_loopback_body_end(l);
    test_script_run(&s);
    assert_int_equal(l->ex->response.status, status);
    if (answer)
        assert_string_equal(l->body, answer);
    lh_free(body);
    test_script_deinit(&s);
}

/* "l" and "a" stop at 1 MiB, and nothing of it is lost. */
static void too_large_to_read(void **state)
{
    (void)state;
    check_large_body("local a, b = httpd.read(nil, 'l')\n"
                     "local c, d = httpd.read(nil, 'a')\n"
                     "local n, p = 0, ''\n"
                     "while p do n = n + #p p = httpd.read() end\n"
                     "httpd.write(nil, b .. ',' .. d .. ',' .. n)",
                     200, "too large,too large,1048586");
}

/* A handler that has nothing else to say to that is not the one to blame; one
 * that takes the body in pieces then is. */
static void too_large_for_a_form(void **state)
{
    (void)state;
    check_large_body("local form = httpd.query(httpd.read(nil, 'a'))\n"
                     "httpd.write(nil, form.name or 'nobody')",
                     413, NULL);
    check_large_body("httpd.read(nil, 'a')", 413, NULL);
    check_large_body("httpd.read(nil, 'a')\n"
                     "httpd.read(nil, 100)",
                     200, "");
}

/* Reading and writing may alternate; a body larger than any queue goes
 * through. */
static void an_echo(void **state)
{
    struct test_script s;
    struct test_loopback *l;
    char piece[1000];
    size_t sent = 0;

    (void)state;
    memset(piece, 'e', sizeof(piece));
    start_handler(&s, "local p = httpd.read()\nwhile p do\n"
                      "httpd.write(nil, p)\np = httpd.read() end");
    l = test_script_request(&s, "POST", "/", NULL, true);
    for (int i = 0; i < 500; i++) {
        sent += test_loopback_body(l, piece, sizeof(piece));
        test_script_run(&s);
        assert_int_equal(l->body_n, sent);
    }
    test_loopback_body_end(l);
    test_script_run(&s);
    assert_int_equal(l->body_n, 500000);
    assert_true(l->ended);
    test_script_deinit(&s);
}

/* --- the small tools ------------------------------------------------------ */

static void tools(void **state)
{
    static const struct answer answers[] = {
        {"httpd.write(nil, httpd.escape('a b/ü~'))", 200, "a%20b%2F%C3%BC~"},
        {"httpd.write(nil, httpd.unescape('a%20b+%zz%4'))", 200, "a b+%zz%4"},
        {"httpd.write(nil, httpd.escape_html([[<a href=\"x\">'&]]))", 200,
         "&lt;a href=&quot;x&quot;&gt;&#39;&amp;"},
        {"local q = httpd.query('a=1&b=x+y%21&a=2&&c')\n"
         "httpd.write(nil, {q.a, '|', q.b, '|', q.c, '|', #q, q[3][1],"
         "q[3][2]})",
         200, "1|x y!||4a2"},
        {"httpd.write(nil, tostring(next(httpd.query(nil))))", 200, "nil"},
        {"local q, why = httpd.query(nil, 'too large')\n"
         "httpd.write(nil, tostring(q) .. why)",
         200, "niltoo large"},
        {"httpd.write(nil, httpd.query(env.QUERY_INFO).q)", 200, "1"},
        {"httpd.write(nil, #httpd.random(1000))", 200, "1000"},
        {"httpd.write(nil, httpd.random(16) == httpd.random(16) and 1 or 0)",
         200, "0"},
        {"httpd.write(nil, try(httpd.random, -1))", 200,
         "bad argument #1 to 'httpd.random' (from 0 to 65536 bytes)"},
        {"httpd.write(nil, httpd._VERSION:match('^%d+%.%d+%.%d+$') and 1)", 200,
         "1"},
        {"httpd.write(nil, require 'httpd' == httpd and 1)", 200, "1"},
        {"httpd.write(nil, try(function() os.exit() end))", 200,
         "test.lua:6: os.exit: a script does not end its server"},
        {"httpd.write(nil, tostring(httpd.stopping()))", 200, "false"},
        {"httpd.write(nil, tostring(httpd.closed()))", 200, "false"},
        {"httpd.write(nil, try(httpd.escape, nil))", 200,
         "bad argument #1 to 'httpd.escape' (string expected, got nil)"},
        {"httpd.write(nil, try(httpd.sleep))", 200,
         "bad argument #1 to 'httpd.sleep' (number expected, got nil)"},
        {"httpd.write(nil, try(function() httpd.register_handler('/x', print)"
         " end))",
         200,
         "test.lua:6: httpd.register_handler: handlers are registered while "
         "the script loads"},
    };

    (void)state;
    CHECK_ANSWERS(answers);
}

static void logging(void **state)
{
    struct test_script s;

    (void)state;
    start_handler(&s, "httpd.log('a', 1, true, nil)");
    test_script_expect(&s, "/", 200, "");
    assert_string_equal(s.t.last_log, "test.lua:6: a 1 true nil");
    test_script_deinit(&s);
    start_handler(&s, "httpd.log(setmetatable({}, {__tostring =\n"
                      "function() return 'named' end}), 1)");
    test_script_expect(&s, "/", 200, "");
    assert_string_equal(s.t.last_log, "test.lua:6: named 1");
    test_script_deinit(&s);
    start_handler(&s, "httpd.log('debug', 'x')\nhttpd.log('error', {})");
    test_script_expect(&s, "/", 200, "");
    assert_non_null(strstr(s.t.last_log, "test.lua:7: table: "));
    assert_int_equal(s.t.logged, 1);
    test_script_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),
        cmocka_unit_test(bad_fields),
        cmocka_unit_test(fields_arrive),
        cmocka_unit_test(second_header),
        cmocka_unit_test(informational),
        cmocka_unit_test(promises),
        cmocka_unit_test(a_path_that_is_a_number),
        cmocka_unit_test(trailers),
        cmocka_unit_test(bad_trailers),
        cmocka_unit_test(bad_interims),
        cmocka_unit_test(request_trailers),
        cmocka_unit_test(writes),
        cmocka_unit_test(long_writes),
        cmocka_unit_test(a_write_waits),
        cmocka_unit_test(an_error_after_writes),
        cmocka_unit_test(writing_while_others_wait),
        cmocka_unit_test(an_error_after_the_head),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(flushing),
        cmocka_unit_test(bytes_leave),
        cmocka_unit_test(finishing),
        cmocka_unit_test(reads),
        cmocka_unit_test(reads_some),
        cmocka_unit_test(bad_reads),
        cmocka_unit_test(failed_bodies),
        cmocka_unit_test(failed_bodies_without_an_answer),
        cmocka_unit_test(reads_of_every_kind),
        cmocka_unit_test(a_read_times_out),
        cmocka_unit_test(too_large_to_read),
        cmocka_unit_test(too_large_for_a_form),
        cmocka_unit_test(an_echo),
        cmocka_unit_test(tools),
        cmocka_unit_test(logging),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
