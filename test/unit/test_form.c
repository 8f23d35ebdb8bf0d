/* httpd.multipart and its parts, without a server. */
#include "lhttpd.h"

#include "lib/heap.h"
#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const form_fields[] = {
    "content-type", "multipart/form-data; boundary=b", NULL};

static struct test_script s;

/* A handler "/" of this code, and what tests of it share: put() keeps values
 * for the answer, which begins at the end, so that its status is open. */
static void start(const char *code)
{
    char all[8192];

    snprintf(all, sizeof(all),
             "local function try(...)\n"
             "  local ok, why = pcall(...)\n"
             "  return (tostring(why):gsub('^[^:]*:%%d*: ', ''))\n"
             "end\n"
             "local out\n"
             "local function put(...)\n"
             "  for i = 1, select('#', ...) do\n"
             "    out[#out + 1] = tostring((select(i, ...))) .. '|'\n"
             "  end\n"
             "end\n"
             "httpd.register_handler('/', function(env, header)\n"
             "  out = {}\n"
             "  local function run()\n%s\n  end\n"
             "  run()\n"
             "  if out[1] then httpd.write(nil, out) end\n"
             "end)",
             code);
    test_script_start(&s, all);
}

static struct test_loopback *post(const char *const *fields)
{
    struct test_loopback *l =
        test_script_request(&s, "POST", "/", fields, true);

    test_script_run(&s);
    return l;
}

/* `step` octets a turn, as far as there is room; then the end. */
static void send(struct test_loopback *l, const char *body, size_t step)
{
    size_t n = strlen(body);

    for (size_t at = 0; at < n;) {
        size_t piece = n - at < step ? n - at : step;
        size_t taken = test_loopback_body(l, body + at, piece);
        at += taken;
        test_script_run(&s);
        if (taken == 0)
            break;
    }
    if (l->ex)
        test_loopback_body_end(l);
    test_script_run(&s);
}

static void expect_answer(struct test_loopback *l, unsigned status,
                          const char *body)
{
    assert_true(l->ended);
    assert_int_equal(l->status, status);
    if (body)
        assert_string_equal(l->body ? l->body : "", body);
    test_script_done(&s);
}

/* The body at once, and by pieces. */
static void expect(const char *body, unsigned status, const char *answer)
{
    static const size_t steps[] = {SIZE_MAX, 1, 7};

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct test_loopback *l = post(form_fields);
        send(l, body, steps[i]);
        expect_answer(l, status, answer);
    }
}

#define PART(name, more)                                                       \
    "\r\n--b\r\nContent-Disposition: form-data; name=\"" name "\"" more        \
    "\r\n\r\n"

static const char two[] =
    PART("a", "") "one" PART("f", "; filename=\"x.txt\"\r\n"
                                  "Content-Type: text/plain") "1\n2\r\n3"
                                                              "\r\n--b--\r\n";

/* On 5.1, too: each part is read to its end in the body of the loop. */
static const char all_parts[] =
    "for part in httpd.multipart() do\n"
    "  put(part.name, part.filename, part.type, tostring(part))\n"
    "  put(httpd.read(part, 'a'))\n"
    "end\n"
    "put('end')";

static void test_parts_in_their_order(void **state)
{
    (void)state;
    start(all_parts);
    expect(two, 200,
           "a|nil|nil|part a|one|f|x.txt|text/plain|part f|1\n2\r\n3|end|");
    expect("--b--\r\n", 200, "end|");
    expect(PART("", "; filename=\"\"") "\r\n--b--", 200, "||nil|part ||end|");
    test_script_deinit(&s);
}

/* As httpd.read has them. */
static void test_lengths(void **state)
{
    (void)state;
    start("local parts = httpd.multipart()\n"
          "local a = parts()\n"
          "put(httpd.read(a, 0), httpd.read(a, 2), httpd.read(a, 5),\n"
          "    httpd.read(a, 0), httpd.read(a, 1), httpd.read(a),\n"
          "    httpd.read(a, 'a'))\n"
          "local f = parts()\n"
          "put(httpd.read(f, 'l'), httpd.read(f, 'L'), httpd.read(f, 'l'),\n"
          "    httpd.read(f, 'l'))\n"
          "put(parts(), parts())");
    expect(two, 200, "|on|e|nil|nil|nil||1|2\r\n|3|nil|nil|nil|");
    test_script_deinit(&s);
}

static void test_without_a_length(void **state)
{
    (void)state;
    start("for part in httpd.multipart() do\n"
          "  repeat local d, why = httpd.read(part)\n"
          "    out[#out + 1] = d or '.'\n"
          "  until not d\n"
          "end");
    expect(two, 200, "one.1\n2\r\n3.");
    test_script_deinit(&s);
}

/* Nothing of a part that was not read to its end is in the next one.  5.1
 * cannot wait in the iterator of a loop, so this one is called. */
static void test_what_was_not_read_is_skipped(void **state)
{
    (void)state;
    start("local parts = httpd.multipart()\n"
          "local part, first = parts()\n"
          "first = part\n"
          "while part do\n"
          "  put(part.name, httpd.read(part, 1))\n"
          "  part = parts()\n"
          "end\n"
          "put(try(httpd.read, first), first.name)");
    expect(PART("a", "") "1--b\r\n--b-\r\n--bb" PART("b", "")
               PART("c", "") "23\r\n--b--",
           200,
           "a|1|b|nil|c|2|httpd.read: the part was left for the next one|a|");
    test_script_deinit(&s);
}

/* Also where the handler stops reading: the rest is the server's to drain. */
static void test_a_form_left_behind(void **state)
{
    (void)state;
    start("local part = httpd.multipart()()\n"
          "put(part.name, httpd.read(part, 2))");
    expect(two, 200, "a|on|");
    test_script_deinit(&s);
}

/* --- what is wrong -------------------------------------------------------- */

/* Raised by the loop, and the answer says whose fault it was; told by
 * httpd.read first, in words. */
static void test_faults_are_the_clients(void **state)
{
    (void)state;
    start(all_parts);
    expect(PART("a", "") "x", 400, NULL);
    expect("", 400, NULL);
    expect("--b\r\nContent-Type: text/plain\r\n\r\n", 400, NULL);
    expect("--b\nContent-Disposition: form-data; name=a\n\nx", 400, NULL);
    test_script_deinit(&s);
    start("local parts = httpd.multipart{part_bytes = 2}\n"
          "local part = parts()\n"
          "put(httpd.read(part, 'a'))\n"
          "put(httpd.read(part, 'a'))\n"
          "put(try(parts))\n"
          "put(try(parts), try(httpd.read, part))");
    /* The status of what is written without a header. */
    expect(PART("a", "") "xyz\r\n--b--", 413,
           "nil|too large|part 1: longer than part_bytes|"
           "nil|too large|part 1: longer than part_bytes|"
           "httpd.multipart: part 1: longer than part_bytes|"
           "httpd.multipart: part 1: longer than part_bytes|"
           "httpd.read: the part was left for the next one|");
    expect(PART("a", "") "xy", 400, NULL);
    test_script_deinit(&s);
}

/* A handler that only returns has not taken the form either. */
static void test_a_handler_that_returns(void **state)
{
    (void)state;
    start("for part in httpd.multipart{part_bytes = 5} do\n"
          "  local text, why = httpd.read(part, 'a')\n"
          "  if not text then return end\n"
          "end\n"
          "put('fine')");
    expect(PART("a", "") "xy\r\n--b--", 200, "fine|");
    expect(PART("a", "") "xy\r\n--b", 400, NULL);
    expect(PART("a", "") "xyzxyz\r\n--b--", 413, NULL);
    test_script_deinit(&s);
    /* Its own answer is its own. */
    start("local ok, why = pcall(function()\n"
          "  for part in httpd.multipart() do httpd.read(part, 'a') end\n"
          "end)\n"
          "httpd.header{[':status'] = 422}\n"
          "put(ok)");
#if !LH_LUA_51
    expect(PART("a", "") "xy\r\n--b", 422, "false|");
#endif
    test_script_deinit(&s);
}

static void test_each_limit(void **state)
{
    (void)state;
    start("for part in httpd.multipart{parts = 1, header_bytes = 60,\n"
          "                            name_bytes = 2} do\n"
          "  put(part.name, httpd.read(part, 'a'))\n"
          "end");
    expect(PART("ab", "") "x\r\n--b--", 200, "ab|x|");
    expect(PART("abc", "") "x\r\n--b--", 413, NULL);
    expect(PART("a", "\r\nX: 3456789012345678") "x\r\n--b--", 413, NULL);
    expect(PART("a", "") PART("a", "") "x\r\n--b--", 413, NULL);
    test_script_deinit(&s);
}

static void test_content_types(void **state)
{
    static const char *const plain[] = {"content-type", "text/plain", NULL};
    static const char *const none[] = {"content-type", "multipart/form-data",
                                       NULL};
    static const char *const twice[] = {
        "content-type", "multipart/form-data; boundary=b", "content-type",
        "multipart/form-data; boundary=c", NULL};

    (void)state;
    start(all_parts);
    struct test_loopback *l = post(plain);
    expect_answer(l, 415, NULL);
    expect_answer(post(NULL), 415, NULL);
    expect_answer(post(none), 400, NULL);
    expect_answer(post(twice), 400, NULL);
    test_script_deinit(&s);
}

/* Mistakes of the script stay its own. */
static void test_mistakes(void **state)
{
    (void)state;
    start("local function bad(l, t)\n"
          "  put((try(httpd.multipart, l, t):match('%((.*)%)')))\n"
          "end\n"
          "bad(1) bad({part = 1}) bad({1}) bad({parts = 0})\n"
          "bad({parts = '1'}) bad({part_bytes = 0/0}) bad({}, 'x')\n"
          "local parts = httpd.multipart()\n"
          "put(try(httpd.multipart), try(httpd.read, nil, 1))\n"
          "local part = parts()\n"
          "put(try(httpd.read, part, -1), part.other, part[1])\n"
          "put(try(httpd.read, setmetatable({}, getmetatable(part))))");
    expect(two, 200,
           "table expected, got number|"
           "the limits are parts, part_bytes, header_bytes and name_bytes|"
           "the limits are parts, part_bytes, header_bytes and name_bytes|"
           "parts is a number from 1|"
           "parts is a number from 1|"
           "part_bytes is a number from 1|"
           "number expected, got string|"
           "httpd.multipart: called before|"
           "httpd.read: httpd.multipart reads the body|"
           "bad argument #2 to 'httpd.read' (not a length)|nil|nil|"
           "bad argument #1 to 'httpd.read' (file, socket, subscription, "
           "websocket, "
           "part or nil expected, got table)|");
    test_script_deinit(&s);
}

/* Of a request before, or of another that is under way. */
static void test_a_part_is_its_requests(void **state)
{
    (void)state;
    start("if kept then\n"
          "  put(kept.name, try(httpd.read, kept), try(parts))\n"
          "  httpd.multipart()\n"
          "  return put(try(httpd.read, kept))\n"
          "end\n"
          "parts = httpd.multipart()\n"
          "kept = parts()\n"
          "put(httpd.read(kept, 'a'))");
    struct test_loopback *first = post(form_fields);
    send(first, PART("a", "") "x\r\n--b--", SIZE_MAX);
    assert_string_equal(first->body, "x|");
    struct test_loopback *second = post(form_fields);
    send(second, two, SIZE_MAX);
    assert_string_equal(second->body,
                        "a|httpd.read: the part is another request's|"
                        "httpd.multipart: the form is another request's|"
                        "httpd.read: the part is another request's|");
    test_script_done(&s);
    test_script_deinit(&s);
}

/* --- waiting -------------------------------------------------------------- */

/* A time-out loses nothing. */
static void test_timeouts(void **state)
{
    (void)state;
    start("local parts = httpd.multipart(nil, 1)\n"
          "local part = parts()\n"
          "put(httpd.read(part, 5, 2))\n"
          "put(httpd.read(part, 5))\n"
          "put(httpd.read(part, 5, 2))\n"
          "part = parts()");
    struct test_loopback *l = post(form_fields);
    test_loopback_body(l, PART("a", "") "12", strlen(PART("a", "") "12"));
    test_script_run(&s);
    test_script_advance(&s, 2001);
    test_script_run(&s);
    test_loopback_body(l, "345\r\n--", 7);
    test_script_run(&s);
    test_loopback_body(l, "b\r\n", 3);
    test_script_run(&s);
    /* The part's end is there, what follows is not. */
    test_script_advance(&s, 2001);
    test_script_run(&s);
    assert_false(l->ended);
    test_script_advance(&s, 1001);
    test_script_run(&s);
    expect_answer(l, 408, NULL);
    test_script_deinit(&s);
}

/* The client goes while it sends a part: told by the read, and an error of the
 * loop, so that half a form is not taken for a whole one. */
static void test_the_client_goes(void **state)
{
    (void)state;
    start("if seen then return put((unpack or table.unpack)(seen)) end\n"
          "local parts = httpd.multipart()\n"
          "local part = parts()\n"
          "seen = {httpd.read(part, 100)}\n"
          "seen = {seen[1], httpd.read(part, 100)}\n"
          "seen = {seen[1], tostring(seen[2]), seen[3], try(parts)}");
    struct test_loopback *l = post(form_fields);
    test_loopback_body(l, PART("a", "") "12", strlen(PART("a", "") "12"));
    test_script_run(&s);
    test_loopback_gone(l);
    test_script_run(&s);
    test_script_done(&s);
    l = test_script_request(&s, "POST", "/", form_fields, false);
    test_script_run(&s);
    expect_answer(l, 200, "nil|nil|closed|httpd.multipart: closed|");
    test_script_deinit(&s);
}

/* The client is held back while nobody reads, and in a long part that is. */
static void test_back_pressure(void **state)
{
    char piece[4096];
    size_t sent = 0, taken;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    start(
        "local part = httpd.multipart()()\n"
        "local n = 0\n"
        "for _ = 1, 3 do httpd.sleep(1) n = n + #httpd.read(part, 10000) end\n"
        "put(n)\n"
        "local rest = 0\n"
        "repeat\n"
        "  local d, why = httpd.read(part, 65536)\n"
        "  rest = rest + (d and #d or 0)\n"
        "until not d\n"
        "put(rest)");
    struct test_loopback *l = post(form_fields);
    test_loopback_body(l, PART("a", ""), strlen(PART("a", "")));
    test_script_run(&s);
    for (int second = 0; second < 3; second++) {
        while ((taken = test_loopback_body(l, piece, sizeof(piece))) > 0)
            sent += taken;
        test_script_run(&s);
        assert_true(sent <= 70000 + (size_t)second * 16384);
        test_script_advance(&s, 1001);
        test_script_run(&s);
    }
    while (sent < 1000000) {
        taken = test_loopback_body(l, piece, sizeof(piece));
        assert_true(taken > 0);
        sent += taken;
        test_script_run(&s);
    }
    test_loopback_body(l, "\r\n--b--", 7);
    test_loopback_body_end(l);
    test_script_run(&s);
    char expected[64];
    snprintf(expected, sizeof(expected), "30000|%zu|", sent - 30000);
    expect_answer(l, 200, expected);
    test_script_deinit(&s);
}

/* Where a loop's iterator would have to wait, 5.1 says that it cannot; with the
 * part read to its end nothing is waited for there. */
static void test_iterators_of_5_1(void **state)
{
    (void)state;
    start("for part in httpd.multipart() do\n"
          "  put(part.name, httpd.read(part, 1))\n"
          "end");
    struct test_loopback *l = post(form_fields);
    send(l, two, 1);
#if LH_LUA_51
    expect_answer(l, 500, NULL);
#else
    expect_answer(l, 200, "a|o|f|1|");
#endif
    test_script_deinit(&s);
}

/* What could not wait, or not for long enough, may be called again. */
static void test_once_more(void **state)
{
    (void)state;
    start("table.sort({2, 1}, function(a, b)\n"
          "  put(try(httpd.multipart))\n"
          "  return a < b\n"
          "end)\n"
          "local parts\n"
          "if _VERSION == 'Lua 5.1' and not jit then\n"
          "  parts = httpd.multipart()\n"
          "else\n"
          "  put(try(httpd.multipart, nil, 1))\n"
          "  parts = httpd.multipart()\n"
          "end\n"
          "put(httpd.read(parts(), 'a'))\n"
          "put(try(httpd.multipart))");
    struct test_loopback *l = post(form_fields);
    test_script_advance(&s, 1001);
    test_script_run(&s);
    send(l, two, SIZE_MAX);
#if LH_LUA_51
    expect_answer(l, 200,
                  "cannot suspend here|one|httpd.multipart: called before|");
#else
    expect_answer(l, 200,
                  "cannot suspend here|httpd.multipart: timeout|one|"
                  "httpd.multipart: called before|");
#endif
    test_script_deinit(&s);
}

/* A finalizer that asks for the form gets nothing, and disturbs nobody. */
static void test_finalizers(void **state)
{
    (void)state;
    start("local function lose()\n"
          "  local f = function() asked = {httpd.multipart()} end\n"
          "  if newproxy then getmetatable(newproxy(true)).__gc = f\n"
          "  else setmetatable({}, {__gc = f}) end\n"
          "end\n"
          "lose()\n"
          "collectgarbage() collectgarbage()\n"
          "put(asked[1], asked[2])\n"
          "for part in httpd.multipart() do\n"
          "  collectgarbage()\n"
          "  put(httpd.read(part, 'a'))\n"
          "end");
    expect(two, 200, "nil|not in a finalizer|one|1\n2\r\n3|");
    test_script_deinit(&s);
}

/* Each allocation fails once: the request does, and nothing is lost. */
static void test_memory(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 200; n++) {
        start(all_parts);
        struct test_loopback *l = post(form_fields);
        test_heap_install();
        test_heap_fail_at(n);
        send(l, two, SIZE_MAX);
        bool failed = test_heap_count() >= n;
        test_heap_fail_at(0);
        test_script_run(&s);
        assert_true(l->ended || l->aborted);
        if (l->ended && l->status == 200 && !failed)
            n = 200;
        test_script_done(&s);
        test_script_deinit(&s);
        test_heap_uninstall();
    }
}

#if !LH_LUA_51
/* A script that catches the error of a read does not take the form for whole.
 */
static void test_memory_of_a_part(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (unsigned long n = 1; n < 40; n++) {
        start("for part in httpd.multipart() do\n"
              "  if not pcall(httpd.read, part, 'a') then put('failed') end\n"
              "end\n"
              "put('end')");
        struct test_loopback *l = post(form_fields);
        test_heap_install();
        test_heap_fail_at(n);
        send(l, two, SIZE_MAX);
        test_heap_fail_at(0);
        test_script_run(&s);
        assert_false(l->body && strstr(l->body, "failed|end|"));
        failures += l->status == 500;
        test_script_done(&s);
        test_script_deinit(&s);
        test_heap_uninstall();
    }
    assert_true(failures > 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_in_their_order),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_without_a_length),
        cmocka_unit_test(test_what_was_not_read_is_skipped),
        cmocka_unit_test(test_a_form_left_behind),
        cmocka_unit_test(test_faults_are_the_clients),
        cmocka_unit_test(test_a_handler_that_returns),
        cmocka_unit_test(test_each_limit),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_a_part_is_its_requests),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_the_client_goes),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_iterators_of_5_1),
        cmocka_unit_test(test_once_more),
        cmocka_unit_test(test_finalizers),
        cmocka_unit_test(test_memory),
#if !LH_LUA_51
        cmocka_unit_test(test_memory_of_a_part),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
