/* SHA-1, SHA-256, HMAC and base64, by the vectors of their standards. */
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

static void expect_hex(const uint8_t out[LH_SHA256_BYTES], const char *hex)
{
    char made[2 * LH_SHA256_BYTES + 1];

    for (size_t i = 0; i < LH_SHA256_BYTES; i++)
        snprintf(made + 2 * i, 3, "%02x", out[i]);
    assert_string_equal(made, hex);
}

static void test_sha256(void **state)
{
    static char million[1000000];
    uint8_t out[LH_SHA256_BYTES];

    (void)state;
    lh_sha256("", 0, out);
    expect_hex(out, "e3b0c44298fc1c149afbf4c8996fb924"
                    "27ae41e4649b934ca495991b7852b855");
    lh_sha256("abc", 3, out);
    expect_hex(out, "ba7816bf8f01cfea414140de5dae2223"
                    "b00361a396177a9cb410ff61f20015ad");
    lh_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
              out);
    expect_hex(out, "248d6a61d20638b8e5c026930c3e6039"
                    "a33ce45964ff2167f6ecedd419db06c1");
    memset(million, 'a', sizeof(million));
    lh_sha256(million, sizeof(million), out);
    expect_hex(out, "cdc76e5c9914fb9281a1c7e284d73e67"
                    "f1809a48a497200e046d39ccc7112cd0");
}

/* Octets and keys of every length around the ends of blocks. */
static void test_sha256_of_any_length(void **state)
{
    uint8_t octets[300], out[LH_SHA256_BYTES], other[LH_SHA256_BYTES];

    (void)state;
    for (size_t n = 0; n < sizeof(octets); n++) {
        br_sha256_context sha256;
        br_hmac_key_context key;
        br_hmac_context hmac;
        octets[n] = (uint8_t)(n * 167 + 13);
        lh_sha256(octets, n, out);
        br_sha256_init(&sha256);
        br_sha256_update(&sha256, octets, n);
        br_sha256_out(&sha256, other);
        assert_memory_equal(out, other, sizeof(out));
        br_hmac_key_init(&key, &br_sha256_vtable, octets, n);
        br_hmac_init(&hmac, &key, 0);
        br_hmac_update(&hmac, octets, 299 - n);
        br_hmac_out(&hmac, other);
        lh_hmac_sha256(octets, n, octets, 299 - n, out);
        assert_memory_equal(out, other, sizeof(out));
    }
}

/* RFC 4231, 4.2 to 4.8; 4.6 is of a truncated one. */
static void test_hmac(void **state)
{
    static const char *const first[] = {
        "Hi There", "what do ya want for nothing?",
        "Test Using Larger Than Block-Size Key - Hash Key First",
        "This is a test using a larger than block-size key and a larger than "
        "block-size data. The key needs to be hashed before being used by the "
        "HMAC algorithm."};
    uint8_t out[LH_SHA256_BYTES], key[131], data[50];

    (void)state;
    memset(key, 0x0b, 20);
    lh_hmac_sha256(key, 20, first[0], strlen(first[0]), out);
    expect_hex(out, "b0344c61d8db38535ca8afceaf0bf12b"
                    "881dc200c9833da726e9376c2e32cff7");
    lh_hmac_sha256("Jefe", 4, first[1], strlen(first[1]), out);
    expect_hex(out, "5bdcc146bf60754e6a042426089575c7"
                    "5a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    memset(data, 0xdd, sizeof(data));
    lh_hmac_sha256(key, 20, data, sizeof(data), out);
    expect_hex(out, "773ea91e36800e46854db8ebd09181a7"
                    "2959098b3ef8c122d9635514ced565fe");
    lh_hmac_sha256(key, 131, first[2], strlen(first[2]), out);
    expect_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f"
                    "8e0bc6213728c5140546040f0ee37f54");
    lh_hmac_sha256(key, 131, first[3], strlen(first[3]), out);
    expect_hex(out, "9b09ffa71b942fcb27635fbcd5b0e944"
                    "bfdc63644f0713938a7f51535c3a35e2");
    memset(data, 0xcd, sizeof(data));
    for (uint8_t i = 0; i < 25; i++)
        key[i] = (uint8_t)(i + 1);
    lh_hmac_sha256(key, 25, data, sizeof(data), out);
    expect_hex(out, "82558a389a443c0ea4cc819899f2083a"
                    "85f0faa3e578f8077a2e3ff46729665b");
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(lh_octets_equal("a", "b", 0));
    assert_true(lh_octets_equal("same", "same", 4));
    assert_false(lh_octets_equal("same", "samf", 4));
    assert_false(lh_octets_equal("same", "tame", 4));
}

static void expect_octets(const char *text, const char *octets)
{
    uint8_t out[32];
    size_t made;

    assert_true(lh_unbase64(text, strlen(text), out, &made));
    assert_int_equal(made, strlen(octets));
    assert_memory_equal(out, octets, made);
}

static void test_unbase64(void **state)
{
    static const char *const wrong[] = {
        "A",     "Zm9vY",  "Zg=",  "Zg===", "=",        "====", "Zm9v=",
        "Zm 9v", "Zm9v\n", "Z===", "Zh==",  "Zm9vYmF=", "Zm9=", "Zg==Zg==",
    };
    uint8_t out[32];
    size_t made;

    (void)state;
    expect_octets("", "");
    expect_octets("Zg==", "f");
    expect_octets("Zm8=", "fo");
    expect_octets("Zm9v", "foo");
    expect_octets("Zm9vYg", "foob");
    expect_octets("Zm9vYmE", "fooba");
    expect_octets("+/8=", "\xfb\xff");
    expect_octets("-_8", "\xfb\xff");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (lh_unbase64(wrong[i], strlen(wrong[i]), out, &made))
            fail_msg("'%s' is taken", wrong[i]);
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
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_sha256_of_any_length),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_unbase64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
