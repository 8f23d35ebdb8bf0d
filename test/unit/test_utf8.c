/* Which octets are UTF-8. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* By the definition (RFC 3629, 3 and 4): writes the character, 0 if it has no
 * form. */
static size_t encode(uint32_t c, uint8_t out[4])
{
    if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
        return 0;
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(0xf00 >> n | c);
    return n;
}

static bool is_utf8(const void *p, size_t n)
{
    struct lh_utf8 u = {0, 0, 0};

    return lh_utf8_feed(&u, p, n) && lh_utf8_ends(&u);
}

static void test_every_character(void **state)
{
    uint8_t octets[4];

    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        size_t n = encode(c, octets);
        if (n == 0)
            continue;
        assert_true(is_utf8(octets, n));
        for (size_t k = 1; k < n; k++)
            assert_false(is_utf8(octets, k));
    }
}

/* All sequences of three octets, and of four that begin like one: so many are
 * characters as there are. */
static void test_nothing_else(void **state)
{
    unsigned two = 0, three = 0;

    (void)state;
    for (uint32_t i = 0x80; i <= 0xff; i++) {
        for (uint32_t k = 0; k <= 0xff; k++) {
            uint8_t p[3] = {(uint8_t)i, (uint8_t)k, 0};
            two += is_utf8(p, 2);
            struct lh_utf8 u = {0, 0, 0};
            if (!lh_utf8_feed(&u, p, 2) || lh_utf8_ends(&u))
                continue;
            for (uint32_t m = 0; m <= 0xff; m++) {
                p[2] = (uint8_t)m;
                three += is_utf8(p, 3);
            }
        }
    }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);
}

/* The first octet that cannot be right is enough. */
static void test_it_fails_at_the_first_wrong_octet(void **state)
{
    static const char *const wrong[] = {
        "\x80",
        "\xbf",
        "\xc0",
        "\xc1",
        "\xf5",
        "\xff",
        "\xc2\x41",
        "\xe0\x9f",
        "\xed\xa0",
        "\xf0\x8f",
        "\xf4\x90",
        "\xe1\x80\xc0",
        "\xf1\x80\x80\x00",
        "\xf1\xc0",
        "abcdefgh12345678\xfe",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *p = wrong[i];
        size_t n = strlen(p) + (strcmp(p, "\xf1\x80\x80") == 0);
        struct lh_utf8 u = {0, 0, 0};
        assert_true(lh_utf8_feed(&u, (const uint8_t *)p, n - 1));
        assert_false(lh_utf8_feed(&u, (const uint8_t *)p + n - 1, 1));
    }
}

static void test_any_cut_is_the_same(void **state)
{
    static const char text[] =
        "plain text of some words, \xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\x8d, and "
        "more of them\xef\xbf\xbf";
    size_t n = sizeof(text) - 1;

    (void)state;
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            const uint8_t *p = (const uint8_t *)text;
            struct lh_utf8 u = {0, 0, 0};
            assert_true(lh_utf8_feed(&u, p, a));
            assert_true(lh_utf8_feed(&u, p + a, b - a));
            assert_true(lh_utf8_feed(&u, p + b, n - b));
            assert_true(lh_utf8_ends(&u));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_nothing_else),
        cmocka_unit_test(test_it_fails_at_the_first_wrong_octet),
        cmocka_unit_test(test_any_cut_is_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
