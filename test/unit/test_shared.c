/* Operations on shared values: what each does, and what it says. */
#include "base/shared.h"

#include "base/mem.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MOST ((size_t)1 << 20)

static struct lh_store store;
static struct lh_shared_call c;

static int set_up(void **state)
{
    (void)state;
    test_heap_install();
    lh_store_init(&store, 1000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lh_store_deinit(&store);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
    return 0;
}

static const struct lh_value none = {.kind = LH_VALUE_NONE};

static struct lh_value integer(int64_t i)
{
    return (struct lh_value){.kind = LH_VALUE_INTEGER, .integer = i};
}

static struct lh_value text(const char *s)
{
    return (struct lh_value){.kind = LH_VALUE_TEXT, .text = lh_str_of(s)};
}

/* On the key "k". */
static enum lh_shared_result run(enum lh_shared_op op, struct lh_value value,
                                 struct lh_value other)
{
    c = (struct lh_shared_call){
        .op = op,
        .key = LH_STR("k"),
        .hash = 17,
        .value = value,
        .other = other,
        .live_ms = LH_NEVER,
    };
    lh_shared_run(&c, &store, 1000, MOST);
    return c.result;
}

static void expect(struct lh_value value)
{
    assert_int_equal(run(LH_SHARED_GET, none, none), LH_SHARED_OK);
    assert_true(lh_value_equal(&c.answer, &value));
}

static void test_add_and_delete(void **state)
{
    (void)state;
    expect(none);
    assert_int_equal(run(LH_SHARED_DELETE, none, none), LH_SHARED_NO);
    assert_int_equal(run(LH_SHARED_ADD, text("1"), none), LH_SHARED_OK);
    assert_int_equal(run(LH_SHARED_ADD, text("2"), none), LH_SHARED_NO);
    expect(text("1"));
    assert_int_equal(run(LH_SHARED_SET, text("3"), none), LH_SHARED_OK);
    expect(text("3"));
    assert_int_equal(run(LH_SHARED_DELETE, none, none), LH_SHARED_OK);
    expect(none);
    assert_int_equal(run(LH_SHARED_SET, none, none), LH_SHARED_OK);
}

static void test_incr(void **state)
{
    struct lh_value half = {.kind = LH_VALUE_NUMBER, .number = 0.5};

    (void)state;
    assert_int_equal(run(LH_SHARED_INCR, integer(2), none), LH_SHARED_ABSENT);
    assert_int_equal(run(LH_SHARED_INCR, integer(2), integer(40)),
                     LH_SHARED_OK);
    assert_int_equal(c.answer.kind, LH_VALUE_INTEGER);
    assert_int_equal(c.answer.integer, 42);
    assert_int_equal(run(LH_SHARED_INCR, integer(-2), integer(7)),
                     LH_SHARED_OK);
    expect(integer(40));
    assert_int_equal(run(LH_SHARED_INCR, half, none), LH_SHARED_OK);
    assert_int_equal(c.answer.kind, LH_VALUE_NUMBER);
    assert_true(c.answer.number == 40.5);
    /* One more than the largest is no integer any more. */
    run(LH_SHARED_SET, integer(INT64_MAX), none);
    assert_int_equal(run(LH_SHARED_INCR, integer(1), none), LH_SHARED_OK);
    assert_int_equal(c.answer.kind, LH_VALUE_NUMBER);
    assert_true(c.answer.number == 9223372036854775808.0);
    run(LH_SHARED_SET, text("1"), none);
    assert_int_equal(run(LH_SHARED_INCR, integer(1), none),
                     LH_SHARED_NOT_NUMBER);
    expect(text("1"));
}

static void test_cas(void **state)
{
    (void)state;
    assert_int_equal(run(LH_SHARED_CAS, text("b"), text("a")), LH_SHARED_NO);
    assert_int_equal(run(LH_SHARED_CAS, text("a"), none), LH_SHARED_OK);
    assert_int_equal(run(LH_SHARED_CAS, text("a"), none), LH_SHARED_NO);
    assert_int_equal(run(LH_SHARED_CAS, text("b"), text("a")), LH_SHARED_OK);
    expect(text("b"));
    assert_int_equal(run(LH_SHARED_CAS, none, text("b")), LH_SHARED_OK);
    expect(none);
}

static struct lh_value number(double d)
{
    return (struct lh_value){.kind = LH_VALUE_NUMBER, .number = d};
}

/* Integers and floats are equal where they are the same number; above 2^53 one
 * double stands for several integers. */
static void test_cas_of_numbers(void **state)
{
    static const struct {
        int64_t i;
        double d;
        bool equal;
    } cases[] = {
        {1, 1, true},
        {1, 1.5, false},
        {0, -0.0, true},
        {INT64_C(1) << 53, 0x1p53, true},
        {(INT64_C(1) << 53) + 1, 0x1p53, false},
        {-(INT64_C(1) << 53) - 1, -0x1p53, false},
        {INT64_MAX, 0x1p63, false},
        {INT64_MIN, -0x1p63, true},
        {INT64_MIN, -0x1p64, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int expected = cases[i].equal ? LH_SHARED_OK : LH_SHARED_NO;
        run(LH_SHARED_SET, integer(cases[i].i), none);
        assert_int_equal(run(LH_SHARED_CAS, text("x"), number(cases[i].d)),
                         expected);
        run(LH_SHARED_SET, number(cases[i].d), none);
        assert_int_equal(run(LH_SHARED_CAS, text("x"), integer(cases[i].i)),
                         expected);
    }
}

/* Who has no integers gives back what it has got, rounded. */
static void test_cas_without_integers(void **state)
{
    (void)state;
    run(LH_SHARED_SET, integer((INT64_C(1) << 53) + 1), none);
    c = (struct lh_shared_call){.op = LH_SHARED_CAS,
                                .key = LH_STR("k"),
                                .hash = 17,
                                .value = text("x"),
                                .other = number(0x1p53),
                                .doubles = true};
    lh_shared_run(&c, &store, 1000, MOST);
    assert_int_equal(c.result, LH_SHARED_OK);
    expect(text("x"));
}

static void test_what_is_too_large(void **state)
{
    static char large[MOST];

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    run(LH_SHARED_SET, text("1"), none);
    assert_int_equal(run(LH_SHARED_SET, text(large), none),
                     LH_SHARED_TOO_LARGE);
    expect(text("1"));
}

/* It owns what it carries, and what it brings back. */
static void test_a_call_on_its_way(void **state)
{
    char name[] = "k", value[] = "value";

    (void)state;
    c = (struct lh_shared_call){.op = LH_SHARED_SET,
                                .key = lh_str_of(name),
                                .hash = 17,
                                .live_ms = LH_NEVER,
                                .value = text(value)};
    struct lh_shared_call *call = lh_shared_call_new(sizeof(*call), &c);
    name[0] = value[0] = '?';
    lh_shared_run(call, &store, 1000, MOST);
    lh_shared_call_free(call);
    expect(text("value"));
    call = lh_shared_call_new(sizeof(*call), &c);
    lh_shared_keep(call);
    run(LH_SHARED_DELETE, none, none);
    assert_true(lh_str_equal(call->answer.text, LH_STR("value")));
    lh_shared_call_free(call);
    lh_shared_call_free(NULL);
}

static void test_keys(void **state)
{
    static const char names[] = "abcdefghijklmnopqrstuvwxyz";
    struct lh_str key;
    size_t at = 0, n = 0;

    (void)state;
    for (size_t i = 0; i < 26; i++) {
        struct lh_str k = {names, i};
        struct lh_value v = integer(1);
        assert_int_equal(lh_store_set(&store, 1000, i, k, &v, LH_NEVER, MOST),
                         0);
    }
    c = (struct lh_shared_call){.op = LH_SHARED_KEYS, .key = LH_STR("abc")};
    lh_shared_run(&c, &store, 1000, MOST);
    lh_shared_run(&c, &store, 1000, MOST); /* another worker's come behind */
    assert_int_equal(c.result, LH_SHARED_OK);
    for (; lh_shared_next_key(&c, &at, &key); n++)
        assert_true(lh_str_equal(key, (struct lh_str){names, 3 + n % 23}));
    assert_int_equal(n, 46);
    lh_free(c.octets);
    for (unsigned long fail = 1; fail < 3; fail++) {
        c = (struct lh_shared_call){.op = LH_SHARED_KEYS};
        test_heap_fail_at(fail);
        lh_shared_run(&c, &store, 1000, MOST);
        test_heap_fail_at(0);
        assert_int_equal(c.result, LH_SHARED_MEMORY);
        lh_free(c.octets);
    }
}

static void test_failing_allocations(void **state)
{
    (void)state;
    run(LH_SHARED_SET, text("1"), none);
    test_heap_fail_at(1);
    assert_int_equal(run(LH_SHARED_SET, text("2"), none), LH_SHARED_MEMORY);
    test_heap_fail_at(1);
    assert_null(lh_shared_call_new(sizeof(c), &c));
    test_heap_fail_at(0);
    run(LH_SHARED_GET, none, none);
    test_heap_fail_at(1);
    lh_shared_keep(&c);
    test_heap_fail_at(0);
    assert_int_equal(c.result, LH_SHARED_MEMORY);
    assert_int_equal(c.answer.kind, LH_VALUE_NONE);
    expect(text("1"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_add_and_delete),
        TEST(test_incr),
        TEST(test_cas),
        TEST(test_cas_of_numbers),
        TEST(test_cas_without_integers),
        TEST(test_what_is_too_large),
        TEST(test_a_call_on_its_way),
        TEST(test_keys),
        TEST(test_failing_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
