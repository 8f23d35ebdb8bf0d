/* Fields: lists, names, values, authorities. */
#include "http/field.h"

#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char block[256];

static void test_add_and_find(void **state)
{
    struct lh_arena a;
    struct lh_fields f = {.n = 0};

    (void)state;
    lh_arena_init(&a, NULL, block, sizeof(block));
    assert_null(lh_fields_find(&f, LH_STR("a")));
    for (int i = 0; i < 100; i++)
        assert_true(lh_fields_add(&f, &a, i == 50 ? LH_STR("b") : LH_STR("a"),
                                  LH_STR("12345")));
    assert_int_equal(f.n, 100);
    assert_int_equal(f.bytes, 100 * (1 + 5 + 32));
    assert_ptr_equal(lh_fields_find(&f, LH_STR("a")), &f.v[0]);
    assert_ptr_equal(lh_fields_find(&f, LH_STR("b")), &f.v[50]);
    assert_null(lh_fields_find(&f, LH_STR("A")));
    lh_arena_reset(&a);
}

static void expect_join(const struct lh_fields *f, const char *name,
                        const char *expected)
{
    struct lh_arena a;
    bool failed = true;

    lh_arena_init(&a, NULL, block, sizeof(block));
    struct lh_str s = lh_fields_join(f, &a, lh_str_of(name), &failed);
    assert_false(failed);
    if (expected)
        assert_true(lh_str_equal(s, lh_str_of(expected)));
    else
        assert_null(s.p);
    lh_arena_reset(&a);
}

static void test_join(void **state)
{
    static const char *const given[] = {
        "a", "1",      "cookie", "x=1", "a", "",   "b",
        "",  "cookie", "y=2",    "b",   "2", NULL,
    };
    struct lh_field room[8];
    struct lh_fields f = {.v = room, .room = 8};

    (void)state;
    for (int i = 0; given[i]; i += 2)
        assert_true(lh_fields_add(&f, NULL, lh_str_of(given[i]),
                                  lh_str_of(given[i + 1])));
    expect_join(&f, "a", "1, ");
    expect_join(&f, "b", ", 2");
    expect_join(&f, "cookie", "x=1; y=2");
    expect_join(&f, "c", NULL);
}

static void test_no_memory(void **state)
{
    struct lh_field room[2];
    struct lh_fields f = {.v = room, .room = 2};
    struct lh_arena a;
    bool failed = false;

    (void)state;
    lh_arena_init(&a, NULL, NULL, 0);
    assert_true(lh_fields_add(&f, &a, LH_STR("a"), LH_STR("b")));
    assert_true(lh_fields_add(&f, &a, LH_STR("a"), LH_STR("b")));
    test_heap_install();
    test_heap_fail_at(1);
    assert_false(lh_fields_add(&f, &a, LH_STR("a"), LH_STR("b")));
    assert_int_equal(f.n, 2);
    test_heap_fail_at(1);
    assert_null(lh_fields_join(&f, &a, LH_STR("a"), &failed).p);
    assert_true(failed);
    test_heap_uninstall();
}

/* RFC 9110, 5.6.2: tchar. */
static void test_token_chars(void **state)
{
    static const char tchars[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    (void)state;
    for (int c = 0; c < 256; c++) {
        int expected = c && strchr(tchars, c) ? lh_lower((char)c) : 0;
        assert_int_equal(lh_token_lower[c], expected);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_true(lh_field_name_valid(LH_STR("X-Name_1!")));
    assert_false(lh_field_name_valid(LH_STR("")));
    assert_false(lh_field_name_valid(LH_STR("a b")));
    assert_false(lh_field_name_valid(LH_STR("a:")));
    assert_false(lh_field_name_valid(LH_STR("\xc3\xa4")));
}

static void test_values(void **state)
{
    (void)state;
    assert_true(lh_field_value_valid(LH_STR("")));
    assert_true(lh_field_value_valid(LH_STR("a \t b \xff")));
    assert_false(lh_field_value_valid(LH_STR(" a")));
    assert_false(lh_field_value_valid(LH_STR("a\t")));
    assert_false(lh_field_value_valid(LH_STR("a\rb")));
    assert_false(lh_field_value_valid(LH_STR("a\nb")));
    assert_false(lh_field_value_valid(LH_STR("a\0b")));
    assert_false(lh_field_value_valid(LH_STR("a\x7f")));
    assert_false(lh_field_value_valid(LH_STR("a\x1f")));
}

static void test_connection_specific(void **state)
{
    static const char *const yes[] = {"Connection", "keep-alive",
                                      "Proxy-Connection", "TRANSFER-ENCODING",
                                      "upgrade"};
    static const char *const no[] = {"",   "connectiom", "content-length",
                                     "te", "upgrades",   "transfer-encodin_"};

    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(lh_field_is_connection_specific(lh_str_of(yes[i])));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(lh_field_is_connection_specific(lh_str_of(no[i])));
}

static void test_header_only(void **state)
{
    static const char *const yes[] = {"content-length", "Content-Length",
                                      "Host", "connection",
                                      "Transfer-Encoding"};
    static const char *const no[] = {"", "etag", "content-type", "hosts"};

    (void)state;
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(lh_field_is_header_only(lh_str_of(yes[i])));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(lh_field_is_header_only(lh_str_of(no[i])));
}

/* Hosts of RFC 3986, 1.1.2 and 3.2.2, and what is none. */
static void test_authorities(void **state)
{
    static const char *const good[] = {
        "example.com",   "Example.COM:8042",   "192.0.2.16:80", "[2001:db8::7]",
        "[::1]:443",     "[::ffff:192.0.2.1]", "a_b~c-d.e",     "a%20b",
        "a!$&'()*+,;=b", "localhost:",         "a%20",          "a:65535",
        "[::]",
    };
    static const char *const bad[] = {
        "",         ":80",     "me@a",    "a/b",  "a b",    "a:b",
        "a:65536",  "a:+1",    "a%2",     "a%zz", "[::1",   "[]",
        "[a]",      "[::1]a",  "[::1%0]", "a?",   "a#",     "a\\b",
        "\xc3\xa4", "a:80:80", "<a>",     "a\"",  "[v1.a]", "::1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!lh_authority_valid(lh_str_of(good[i])))
            fail_msg("refused: %s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (lh_authority_valid(lh_str_of(bad[i])))
            fail_msg("taken: %s", bad[i]);
    }
    assert_false(lh_authority_valid(LH_STR("a\0b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_find),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_token_chars),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_connection_specific),
        cmocka_unit_test(test_header_only),
        cmocka_unit_test(test_authorities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
