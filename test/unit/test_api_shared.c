/*
 * httpd.shared in a handler and while a script loads, without a server: keys
 * that begin with "far" belong to another worker, which answers when the test
 * says so.
 */
#include "base/hub.h"
#include "base/mem.h"
#include "base/shared.h"
#include "lhttpd.h"

#include "lib/heap.h"
#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MOST ((size_t)64 << 10)

static struct {
    struct test_script s;
    struct lh_hub hub;
    struct lh_store store;
    struct lh_shared_call *sent[4];
    unsigned sent_n;
} t;

/* --- the hub -------------------------------------------------------------- */

static void run(struct lh_shared_call *call)
{
    call->hash = lh_hash(&t.hub.key, call->key);
    lh_shared_run(call, &t.store, t.s.t.ctx.now_ms, MOST);
}

static bool ask_own(struct lh_hub *hub, struct lh_context *ctx,
                    struct lh_shared_call *call)
{
    (void)hub;
    (void)ctx;
    if (call->op == LH_SHARED_KEYS ||
        (call->key.n >= 3 && memcmp(call->key.p, "far", 3) == 0))
        return false;
    run(call);
    return true;
}

static void ask_owner(struct lh_hub *hub, struct lh_context *ctx,
                      struct lh_shared_call *call)
{
    (void)hub;
    (void)ctx;
    assert_true(t.sent_n < 4);
    t.sent[t.sent_n++] = call;
}

static int ask_and_wait(struct lh_hub *hub, const struct lh_shared_call *what,
                        struct lh_shared_call *answer)
{
    (void)hub;
    *answer = *what;
    run(answer);
    lh_shared_keep(answer);
    return answer->result == LH_SHARED_MEMORY ? LHTTPD_ENOMEM : 0;
}

/* The other worker has had its turn. */
static void answer_all(void)
{
    unsigned n = t.sent_n;

    t.sent_n = 0;
    for (unsigned i = 0; i < n; i++) {
        run(t.sent[i]);
        lh_shared_keep(t.sent[i]);
        t.sent[i]->on_answer(t.sent[i]);
    }
    test_script_run(&t.s);
}

/* --- scripts -------------------------------------------------------------- */

static void start(const char *source)
{
    char all[8192];

    snprintf(all, sizeof(all),
             "shared = httpd.shared\n"
             "function say(...)\n"
             "  local all = {}\n"
             "  for i = 1, select('#', ...) do\n"
             "    all[i] = tostring((select(i, ...)))\n"
             "  end\n"
             "  return table.concat(all, ' ')\n"
             "end\n"
             "function try(...)\n"
             "  local _, why = pcall(...)\n"
             "  return (tostring(why):gsub('^[^:]*:%%d*: ', ''))\n"
             "end\n"
             "function on(name, f)\n"
             "  httpd.register_handler(name, function()\n"
             "    httpd.write(nil, f() or '')\n"
             "  end)\n"
             "end\n%s",
             source);
    lh_store_init(&t.store, 1000);
    t.sent_n = 0;
    t.hub.ask_own = ask_own;
    t.hub.ask_owner = ask_owner;
    t.hub.ask_and_wait = ask_and_wait;
    test_script_init(&t.s);
    t.s.t.ctx.hub = &t.hub;
    test_script_load(&t.s, "test.lua", all);
    if (t.s.error)
        fail_msg("%s", t.s.err.text);
}

static void end(void)
{
    test_script_deinit(&t.s);
    for (unsigned i = 0; i < t.sent_n; i++)
        t.sent[i]->on_answer(t.sent[i]); /* nobody wants it any more */
    lh_store_deinit(&t.store);
}

static struct test_loopback *get(const char *target)
{
    struct test_loopback *l =
        test_script_request(&t.s, "GET", target, NULL, false);

    test_script_run(&t.s);
    return l;
}

static void expect_body(const struct test_loopback *l, const char *body)
{
    assert_string_equal(l->body ? l->body : "", body);
    assert_true(l->ended);
}

/* The same with keys of this worker and of the other one. */
static void expect_both(const char *code, const char *body)
{
    static const char *const prefixes[] = {"near", "far"};
    char source[2048];

    for (int i = 0; i < 2; i++) {
        snprintf(source, sizeof(source),
                 "on('/', function() local k = '%s' %s end)", prefixes[i],
                 code);
        start(source);
        struct test_loopback *l = get("/");
        for (int n = 0; n < 20; n++)
            answer_all();
        expect_body(l, body);
        end();
    }
}

static void test_each_operation(void **state)
{
    (void)state;
    expect_both("return say(shared.get(k), shared.set(k, 'a\\0b'),"
                " #shared.get(k), shared.set(k, true), shared.get(k),"
                " shared.set(k, false), shared.get(k), shared.set(k, nil),"
                " shared.get(k))",
                "nil true 3 true true true false true nil");
    expect_both("return say(shared.add(k, 1), shared.add(k, 2),"
                " shared.get(k) == 1, shared.delete(k), shared.delete(k))",
                "true false true true false");
    expect_both("return say(shared.incr(k, 1)) .. say("
                "shared.incr(k, 2, 40) == 42, shared.incr(k, -2) == 40,"
                " shared.set(k, 'x')) .. say(shared.incr(k, 1))",
                "nil not foundtrue true truenil not a number");
    expect_both("return say(shared.cas(k, 1, 2), shared.cas(k, nil, 1),"
                " shared.cas(k, 1, 2), shared.get(k) == 2,"
                " shared.cas(k, 2, nil), shared.get(k))",
                "false true true true true nil");
    expect_both("return say(shared.set(k, ('x'):rep(70000)))", "nil too large");
    expect_both("return say(shared.set(k .. '1', 1), shared.set(k .. '2', 1),"
                " shared.set('other', 1), #shared.keys(k), #shared.keys())",
                "true true true 2 3");
    /* Inside pcall and coroutines, but for what 5.1 cannot do. */
    expect_both("return coroutine.wrap(function()"
                " return say(shared.set(k, 1), shared.get(k) == 1) end)()",
                "true true");
}

/* 5.3 and later tell integers from floats; the others have floats alone. */
static void test_numbers_stay_what_they_are(void **state)
{
    (void)state;
    expect_both("local kind = math.type or function() return 'integer' end\n"
                "shared.set(k, 2^53) local float = shared.get(k)\n"
                "shared.set(k, 7)\n"
                "return say(float == 2^53, kind(shared.get(k)),"
                " kind(shared.incr(k, 1)))",
                "true integer integer");
}

/* An integer that no double is equal to: as Lua compares the two. */
static void test_large_integers(void **state)
{
    (void)state;
    expect_both("local odd = math.type and math.tointeger(2^53) + 1\n"
                "shared.set(k, odd or 2^53)\n"
                "return say(shared.cas(k, 2^53, 1) == not odd,"
                " shared.get(k) == (odd or 1))",
                "true true");
}

static void test_a_time_to_live(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  shared.set('a', 1, 0.5) shared.add('b', 1, 2)\n"
          "  httpd.sleep(1)\n"
          "  return say(shared.get('a'), shared.get('b') ~= nil)\n"
          "end)");
    struct test_loopback *l = get("/");
    test_script_advance(&t.s, 1000);
    expect_body(l, "nil true");
    end();
}

/* --- who does not wait for the answer ------------------------------------- */

static const char asker[] =
    "on('/', function() return say(shared.set('far', 'x', nil, 1)) end)\n"
    "on('/get', function() return say(shared.get('far')) end)\n";

static void test_a_time_out(void **state)
{
    (void)state;
    start(asker);
    struct test_loopback *l = get("/");
    test_script_advance(&t.s, 1000);
    expect_body(l, "nil timeout");
    answer_all(); /* it was done all the same */
    l = get("/get");
    answer_all();
    expect_body(l, "x");
    end();
}

static void test_a_client_that_goes_does_not_end_it(void **state)
{
    (void)state;
    start(asker);
    test_loopback_gone(get("/"));
    test_script_run(&t.s);
    lh_vm_stopping(t.s.vm);
    test_script_run(&t.s);
    assert_int_equal(t.s.t.ctx.counters.tasks, 1);
    answer_all();
    assert_int_equal(t.s.t.ctx.counters.tasks, 0);
    end();
}

static void test_a_cut_ends_it(void **state)
{
    (void)state;
    start(asker);
    struct test_loopback *l = get("/");
    lh_vm_stopping(t.s.vm);
    lh_vm_cut(t.s.vm);
    test_script_run(&t.s);
    assert_true(l->ended);
    assert_int_equal(t.s.t.ctx.counters.tasks, 0);
    answer_all();
    end();
}

static void test_a_vm_that_goes(void **state)
{
    (void)state;
    start(asker);
    get("/");
    end();
}

/* --- where it may be called ----------------------------------------------- */

static void test_while_loading(void **state)
{
    (void)state;
    start("local a = say(shared.set('far', 'x'), shared.get('far'),\n"
          "  shared.add('near', 1), #shared.keys('far'))\n"
          "on('/', function() return a .. say(shared.get('near') == 1) end)");
    test_script_expect(&t.s, "/", 200, "true x true 1true");
    end();
}

/* Where the handler cannot wait nothing is done. */
static void test_where_nothing_can_wait(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local why\n"
          "  local function inside()\n"
          "    why = why or try(shared.set, 'far', 1) return ''\n"
          "  end\n"
          "  string.gsub('x', '.', inside)\n"
          "  return why .. say(shared.get('near'))\n"
          "end)");
    test_script_expect(&t.s, "/", 200, "cannot suspend herenil");
    assert_int_equal(t.sent_n, 0);
    end();
}

static void test_a_finalizer_is_refused(void **state)
{
    (void)state;
    start("on('/', function()\n"
          "  local said\n"
          "  local function gc() said = say(shared.get('near')) end\n"
          "  if newproxy then\n"
          "    getmetatable(newproxy(true)).__gc = gc\n"
          "  else\n"
          "    setmetatable({}, {__gc = gc})\n"
          "  end\n"
          "  collectgarbage() collectgarbage()\n"
          "  return said\n"
          "end)");
    test_script_expect(&t.s, "/", 200, "nil not in a finalizer");
    end();
}

static void test_mistakes(void **state)
{
    static const char *const cases[][2] = {
        {"shared.get",
         "bad argument #1 to 'httpd.shared.get' (string expected, got nil)"},
        {"shared.set, 'k', {}",
         "bad argument #2 to 'httpd.shared.set' (string, number or boolean "
         "expected, got table)"},
        {"shared.set, 'k', 1, -1",
         "bad argument #3 to 'httpd.shared.set' (a time is not negative)"},
        {"shared.add, 'k'",
         "bad argument #2 to 'httpd.shared.add' (string, number or boolean "
         "expected, got nil)"},
        {"shared.incr, 'k', 'x'",
         "bad argument #2 to 'httpd.shared.incr' (number expected, got "
         "string)"},
        {"shared.incr, 'k', 1, 'x'",
         "bad argument #3 to 'httpd.shared.incr' (number expected, got "
         "string)"},
        {"shared.cas, 'k', {}, 1",
         "bad argument #2 to 'httpd.shared.cas' (string, number or boolean "
         "expected, got table)"},
        {"shared.keys, {}",
         "bad argument #1 to 'httpd.shared.keys' (string expected, got "
         "table)"},
        {"shared.delete, 'k', 'x'",
         "bad argument #2 to 'httpd.shared.delete' (number expected, got "
         "string)"},
    };
    char source[512];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(source, sizeof(source),
                 "on('/', function() return try(%s) end)", cases[i][0]);
        start(source);
        test_script_expect(&t.s, "/", 200, cases[i][1]);
        end();
    }
}

static void test_without_a_server(void **state)
{
    (void)state;
    test_script_start_handler(
        &t.s, "httpd.write(nil, tostring(pcall(httpd.shared.get, 'a')))");
    test_script_expect(&t.s, "/", 200, "false");
    test_script_deinit(&t.s);
}

/* The n-th allocation of the library's fails: an error, nothing is left. */
static void test_failing_allocations(void **state)
{
    bool failed = true;

    (void)state;
    test_heap_install();
    start("on('/', function()\n"
          "  local a, why, code = shared.set('far', 'x')\n"
          "  if not a then return say(why, code) end\n"
          "  return say(shared.get('far')) .. #shared.keys()\n"
          "end)");
    for (unsigned long n = 1; failed && n < 30; n++) {
        struct test_loopback *l =
            test_script_request(&t.s, "GET", "/", NULL, false);
        test_heap_fail_at(n);
        test_script_run(&t.s);
        for (int i = 0; i < 3; i++)
            answer_all();
        failed = test_heap_count() >= n;
        test_heap_fail_at(0);
        if (!failed)
            expect_body(l, "x1");
        assert_int_equal(t.s.t.ctx.counters.tasks, 0);
        test_script_done(&t.s);
    }
    assert_false(failed);
    end();
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_operation),
        cmocka_unit_test(test_numbers_stay_what_they_are),
        cmocka_unit_test(test_large_integers),
        cmocka_unit_test(test_a_time_to_live),
        cmocka_unit_test(test_a_time_out),
        cmocka_unit_test(test_a_client_that_goes_does_not_end_it),
        cmocka_unit_test(test_a_cut_ends_it),
        cmocka_unit_test(test_a_vm_that_goes),
        cmocka_unit_test(test_while_loading),
        cmocka_unit_test(test_where_nothing_can_wait),
        cmocka_unit_test(test_a_finalizer_is_refused),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_without_a_server),
        cmocka_unit_test(test_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
