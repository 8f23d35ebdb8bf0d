/* SHA-1 and base64, by the vectors of their standards. */
#include "base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bearssl.h>
#include <cmocka.h>

static void expect_sha1(const char *text, const char *hex)
{
    uint8_t out[LH_SHA1_BYTES];
    char made[2 * LH_SHA1_BYTES + 1];

    lh_sha1(text, strlen(text), out);
    for (size_t i = 0; i < sizeof(out); i++)
        snprintf(made + 2 * i, 3, "%02x", out[i]);
    assert_string_equal(made, hex);
}

static void test_sha1(void **state)
{
    (void)state;
    expect_sha1("", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    expect_sha1("abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    expect_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

/* Of every length around the ends of blocks, as another implementation. */
static void test_sha1_of_any_length(void **state)
{
    uint8_t octets[300], out[LH_SHA1_BYTES], other[LH_SHA1_BYTES];

    (void)state;
    for (size_t n = 0; n < sizeof(octets); n++) {
        br_sha1_context sha1;
        octets[n] = (uint8_t)(n * 167 + 13);
        lh_sha1(octets, n, out);
        br_sha1_init(&sha1);
        br_sha1_update(&sha1, octets, n);
        br_sha1_out(&sha1, other);
        assert_memory_equal(out, other, sizeof(out));
    }
}

/* RFC 4648, 10. */
static void test_base64(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff", "+/8="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char out[16];
        size_t n = lh_base64(vectors[i][0], strlen(vectors[i][0]), out);
        assert_int_equal(n, strlen(vectors[i][1]));
        assert_memory_equal(out, vectors[i][1], n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha1),
        cmocka_unit_test(test_sha1_of_any_length),
        cmocka_unit_test(test_base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
