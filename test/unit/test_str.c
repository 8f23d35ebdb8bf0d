/* Slices and their parsers. */
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_str(struct lh_str s, const char *expected)
{
    assert_int_equal(s.n, strlen(expected));
    assert_memory_equal(s.p, expected, s.n);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(lh_str_equal(LH_STR("ab"), lh_str_of("ab")));
    assert_false(lh_str_equal(LH_STR("ab"), LH_STR("aB")));
    assert_false(lh_str_equal(LH_STR("ab"), LH_STR("abc")));
    assert_true(lh_str_equal(lh_str_of(NULL), LH_STR("")));
    assert_false(lh_str_equal(LH_STR("a\0b"), LH_STR("a\0c")));
    assert_true(lh_str_equal_nocase(LH_STR("Host-Z@"), LH_STR("hOST-z@")));
    assert_false(lh_str_equal_nocase(LH_STR("host"), LH_STR("hosts")));
    /* Only letters have two cases: '@' and backquote, '[' and '{' do not. */
    assert_false(lh_str_equal_nocase(LH_STR("@["), LH_STR("`{")));
    assert_false(lh_str_equal_nocase(LH_STR("\xc4"), LH_STR("\xe4")));
}

static void test_trim(void **state)
{
    (void)state;
    assert_str(lh_str_trim(LH_STR(" \t a b\t ")), "a b");
    assert_str(lh_str_trim(LH_STR("a")), "a");
    assert_int_equal(lh_str_trim(LH_STR(" \t ")).n, 0);
    assert_int_equal(lh_str_trim(LH_STR("")).n, 0);
    assert_str(lh_str_trim(LH_STR("\n a\r")), "\n a\r");
}

static void test_elements(void **state)
{
    /* RFC 9110, 5.6.1.2: these are two elements. */
    static const char *const two[] = {"foo,bar", "foo ,bar,",
                                      "foo , ,bar,charlie"};
    struct lh_str rest, element;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        rest = lh_str_of(two[i]);
        assert_true(lh_str_next_element(&rest, &element));
        assert_str(element, "foo");
        assert_true(lh_str_next_element(&rest, &element));
        assert_str(element, "bar");
        assert_int_equal(lh_str_next_element(&rest, &element), i == 2);
    }
    rest = LH_STR(",   ,");
    assert_false(lh_str_next_element(&rest, &element));
    rest = lh_str_of(NULL);
    assert_false(lh_str_next_element(&rest, &element));
}

static bool to_u64(const char *s, uint64_t max, uint64_t *value)
{
    return lh_str_to_u64(lh_str_of(s), max, value);
}

static void test_to_u64(void **state)
{
    static const char *const bad[] = {
        "",   "-1",  "+1",  " 1", "1 ",
        "1a", "0x1", "1.0", "99", "18446744073709551616"};
    uint64_t v = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bool is_99 = strcmp(bad[i], "99") == 0;
        assert_false(to_u64(bad[i], is_99 ? 98 : UINT64_MAX, &v));
        assert_int_equal(v, 1);
    }
    assert_true(to_u64("0", 0, &v));
    assert_int_equal(v, 0);
    assert_false(to_u64("1", 0, &v));
    assert_false(to_u64("7", 5, &v));
    assert_true(to_u64("00099", 99, &v));
    assert_int_equal(v, 99);
    assert_true(to_u64("18446744073709551615", UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    assert_false(to_u64("18446744073709551615", UINT64_MAX - 1, &v));
    assert_false(to_u64("184467440737095516150", UINT64_MAX, &v));
    for (uint64_t max = 0; max < 1200; max += 13) {
        char digits[20];
        size_t n = lh_u64_to_dec(digits, max);
        assert_true(lh_str_to_u64((struct lh_str){digits, n}, max, &v));
        assert_int_equal(v, max);
        n = lh_u64_to_dec(digits, max + 1);
        assert_false(lh_str_to_u64((struct lh_str){digits, n}, max, &v));
    }
}

static void test_hex(void **state)
{
    uint64_t v = 1;

    (void)state;
    assert_true(lh_str_hex_to_u64(LH_STR("1aF"), &v));
    assert_int_equal(v, 0x1af);
    assert_true(lh_str_hex_to_u64(LH_STR("ffffffffffffffff"), &v));
    assert_true(v == UINT64_MAX);
    assert_false(lh_str_hex_to_u64(LH_STR("00000000000000001"), &v));
    assert_false(lh_str_hex_to_u64(LH_STR(""), &v));
    assert_false(lh_str_hex_to_u64(LH_STR("0x1"), &v));
    assert_false(lh_str_hex_to_u64(LH_STR("1g"), &v));
    for (int c = 0; c < 256; c++) {
        const char *digits = "0123456789abcdefABCDEF";
        const char *at = c ? strchr(digits, c) : NULL;
        int expected = at ? (int)(at - digits) : -1;
        expected -= expected > 15 ? 6 : 0;
        assert_int_equal(lh_hex_digit((char)c), expected);
    }
}

static void test_to_dec(void **state)
{
    char out[20];

    (void)state;
    assert_int_equal(lh_u64_to_dec(out, 0), 1);
    assert_memory_equal(out, "0", 1);
    assert_int_equal(lh_u64_to_dec(out, 1200), 4);
    assert_memory_equal(out, "1200", 4);
    assert_int_equal(lh_u64_to_dec(out, UINT64_MAX), 20);
    assert_memory_equal(out, "18446744073709551615", 20);
    for (uint64_t power = 1, n = 1; n <= 20; power *= 10, n++) {
        char expected[24];
        for (uint64_t v = power - 1; v <= power + 1; v++) {
            int length = snprintf(expected, sizeof(expected), "%llu",
                                  (unsigned long long)v);
            assert_int_equal(lh_u64_to_dec(out, v), length);
            assert_memory_equal(out, expected, (size_t)length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),    cmocka_unit_test(test_trim),
        cmocka_unit_test(test_elements), cmocka_unit_test(test_to_u64),
        cmocka_unit_test(test_hex),      cmocka_unit_test(test_to_dec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
