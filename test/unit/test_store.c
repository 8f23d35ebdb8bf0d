/* Shared values of one worker: times to live, the bound, memory that fails, and
 * long random sequences against a model that is a plain array. */
#include "base/hash.h"
#include "base/store.h"

#include "lhttpd.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct lh_hash_key key = {{1, 2}};
static struct lh_store store;
static uint64_t now_ms;

static int set_up(void **state)
{
    (void)state;
    test_heap_install();
    now_ms = 1000;
    lh_store_init(&store, now_ms);
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

static struct lh_value text(const char *s)
{
    return (struct lh_value){.kind = LH_VALUE_TEXT, .text = lh_str_of(s)};
}

static int set_for(const char *name, struct lh_value v, uint64_t deadline_ms,
                   size_t most)
{
    struct lh_str k = lh_str_of(name);

    return lh_store_set(&store, now_ms, lh_hash(&key, k), k, &v, deadline_ms,
                        most);
}

static void set(const char *name, const char *value)
{
    assert_int_equal(set_for(name, text(value), LH_NEVER, SIZE_MAX), 0);
}

static struct lh_value get(const char *name)
{
    struct lh_str k = lh_str_of(name);

    return lh_store_get(&store, now_ms, lh_hash(&key, k), k);
}

static void expect(const char *name, const char *value)
{
    struct lh_value v = get(name);

    assert_int_equal(v.kind, value ? LH_VALUE_TEXT : LH_VALUE_NONE);
    if (value)
        assert_true(lh_str_equal(v.text, lh_str_of(value)));
}

static void test_values_are_kept(void **state)
{
    struct lh_value v = {.kind = LH_VALUE_INTEGER, .integer = INT64_MIN};

    (void)state;
    expect("a", NULL);
    set("a", "1");
    set("", "empty name");
    set("b", "");
    expect("a", "1");
    expect("", "empty name");
    expect("b", "");
    set("a", "2");
    expect("a", "2");
    assert_int_equal(store.n, 3);
    assert_int_equal(set_for("a", v, LH_NEVER, SIZE_MAX), 0);
    assert_int_equal(get("a").integer, INT64_MIN);
    v.kind = LH_VALUE_NONE;
    assert_int_equal(set_for("a", v, LH_NEVER, SIZE_MAX), 0);
    assert_int_equal(set_for("a", v, LH_NEVER, SIZE_MAX), 0);
    expect("a", NULL);
    assert_int_equal(store.n, 2);
}

static void test_some_live_for_a_time(void **state)
{
    (void)state;
    set_for("a", text("x"), now_ms + 100, SIZE_MAX);
    set_for("b", text("x"), now_ms + 100, SIZE_MAX);
    set_for("c", text("x"), now_ms + 100, SIZE_MAX);
    set_for("a", text("y"), LH_STORE_KEEP_TIME, SIZE_MAX);
    set_for("b", text("y"), LH_NEVER, SIZE_MAX);
    now_ms += 99;
    expect("a", "y");
    expect("c", "x");
    now_ms += 1;
    expect("a", NULL);
    expect("b", "y");
    expect("c", NULL);
    assert_int_equal(store.n, 1);
    /* What is not there has no time to keep. */
    set_for("a", text("z"), LH_STORE_KEEP_TIME, SIZE_MAX);
    now_ms += 1000000;
    expect("a", "z");
}

static void test_past_the_bound_the_oldest_goes(void **state)
{
    char name[8];

    (void)state;
    set("0", "x");
    size_t one = store.bytes;
    for (int i = 1; i < 10; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(set_for(name, text("x"), LH_NEVER, one * 4), 0);
    }
    assert_int_equal(store.n, 4);
    assert_int_equal(store.evicted, 6);
    set("6", "y"); /* the newest now */
    assert_int_equal(set_for("a", text("x"), LH_NEVER, one * 4), 0);
    expect("6", "y");
    expect("7", NULL);
    /* The bound was lowered. */
    assert_int_equal(set_for("b", text("x"), LH_NEVER, one), 0);
    assert_int_equal(store.n, 1);
    /* What is too large for all of it changes nothing. */
    assert_int_equal(set_for("c", text("xy"), LH_NEVER, one), LHTTPD_EINVAL);
    assert_int_equal(set_for("b", text("xy"), LH_NEVER, one), LHTTPD_EINVAL);
    expect("b", "x");
}

static void test_failing_allocations(void **state)
{
    (void)state;
    for (unsigned long n = 1; n <= 2; n++) {
        test_heap_fail_at(n);
        assert_int_equal(set_for("a", text("x"), LH_NEVER, SIZE_MAX),
                         LHTTPD_ENOMEM);
        test_heap_fail_at(0);
        expect("a", NULL);
    }
    set("a", "x");
    test_heap_fail_at(1);
    assert_int_equal(set_for("a", text("y"), LH_NEVER, SIZE_MAX),
                     LHTTPD_ENOMEM);
    test_heap_fail_at(0);
    expect("a", "x");
    /* A table that cannot grow serves all the same. */
    char name[8];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "%d", i);
        test_heap_fail_at(store.n >= store.slots_n);
        set(name, name);
        test_heap_fail_at(0);
    }
    assert_int_equal(store.slots_n, 16);
    expect("0", "0");
    expect("99", "99");
}

static bool count_key(void *context, struct lh_str k)
{
    int *count = context;

    assert_int_equal(k.p[0], 'a');
    return ++*count < 3;
}

static void test_keys_by_prefix(void **state)
{
    int count = 0;

    (void)state;
    set("a", "1");
    set("ab", "2");
    set("b", "3");
    assert_true(lh_store_keys(&store, now_ms, LH_STR("a"), count_key, &count));
    assert_int_equal(count, 2);
    set("ac", "4");
    set("ad", "5");
    count = 0;
    assert_false(lh_store_keys(&store, now_ms, LH_STR("a"), count_key, &count));
    assert_int_equal(count, 3);
}

static struct lh_store *the_copy(void *context, uint64_t hash)
{
    (void)hash;
    return context;
}

static void test_a_copy_has_the_same(void **state)
{
    struct lh_store copy;
    struct lh_str k = LH_STR("b");

    (void)state;
    set("a", "1");
    set_for("b", text("2"), now_ms + 10, SIZE_MAX);
    lh_store_init(&copy, now_ms);
    test_heap_fail_at(3);
    assert_int_equal(lh_store_copy(&store, now_ms, the_copy, &copy),
                     LHTTPD_ENOMEM);
    test_heap_fail_at(0);
    assert_int_equal(lh_store_copy(&store, now_ms, the_copy, NULL),
                     LHTTPD_ENOMEM);
    assert_int_equal(lh_store_copy(&store, now_ms, the_copy, &copy), 0);
    assert_int_equal(copy.n, 2);
    struct lh_value v = lh_store_get(&copy, now_ms + 9, lh_hash(&key, k), k);
    assert_true(lh_str_equal(v.text, LH_STR("2")));
    v = lh_store_get(&copy, now_ms + 10, lh_hash(&key, k), k);
    assert_int_equal(v.kind, LH_VALUE_NONE);
    lh_store_deinit(&copy);
}

static void test_numbers_are_equal_as_in_lua(void **state)
{
    struct lh_value i = {.kind = LH_VALUE_INTEGER, .integer = 1},
                    f = {.kind = LH_VALUE_NUMBER, .number = 1.0},
                    b = {.kind = LH_VALUE_BOOLEAN, .boolean = true},
                    none = {.kind = LH_VALUE_NONE}, t = text("1");

    (void)state;
    assert_true(lh_value_equal(&i, &f));
    assert_true(lh_value_equal(&f, &i));
    assert_true(lh_value_equal(&none, &none));
    assert_true(lh_value_equal(&b, &b));
    assert_false(lh_value_equal(&i, &t));
    assert_false(lh_value_equal(&i, &b));
    assert_false(lh_value_equal(&none, &b));
    f.number = 1.5;
    assert_false(lh_value_equal(&i, &f));
}

/* --- the model ------------------------------------------------------------ */

#define NAMES 40
#define STEPS 20000

static struct {
    int value; /* 0: none */
    uint64_t ends_ms;
} model[NAMES];

static unsigned seed = 1;

static unsigned pick(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return seed / 65536 % n;
}

static void check_all(void)
{
    char name[8], value[16];
    size_t n = 0;

    for (int i = 0; i < NAMES; i++) {
        bool there = model[i].value && model[i].ends_ms > now_ms;
        snprintf(name, sizeof(name), "%d", i);
        snprintf(value, sizeof(value), "%d", model[i].value);
        expect(name, there ? value : NULL);
        n += there;
    }
    assert_int_equal(store.n, n);
}

static void test_random_sequences(void **state)
{
    const struct lh_value none = {.kind = LH_VALUE_NONE};
    char name[8], value[16];

    (void)state;
    for (int step = 1; step <= STEPS; step++) {
        unsigned i = pick(NAMES), live = pick(3) ? 0 : 1 + pick(500);
        snprintf(name, sizeof(name), "%u", i);
        snprintf(value, sizeof(value), "%d", step);
        model[i].value = pick(4) ? step : 0;
        model[i].ends_ms = live ? now_ms + live : LH_NEVER;
        assert_int_equal(set_for(name, model[i].value ? text(value) : none,
                                 model[i].ends_ms, SIZE_MAX),
                         0);
        now_ms += pick(10);
        if (step % 100 == 0)
            check_all();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_values_are_kept),
        TEST(test_some_live_for_a_time),
        TEST(test_past_the_bound_the_oldest_goes),
        TEST(test_failing_allocations),
        TEST(test_keys_by_prefix),
        TEST(test_a_copy_has_the_same),
        TEST(test_numbers_are_equal_as_in_lua),
        TEST(test_random_sequences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
