/*
 * Digests: see digest.h.  They are not the TLS library's, for a build without
 * one needs them too.
 */
#include "base/digest.h"

#include <string.h>

#define SHA_BLOCK ((size_t)64)

static uint32_t turn_left(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

static uint32_t load_big32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
           p[3];
}

static void store_big32(uint8_t *p, uint32_t x)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(x >> (24 - 8 * i));
}

/* --- SHA-1 ---------------------------------------------------------------- */

/* FIPS 180-4, 4.1.1 and 4.2.1: the function of a step, and its constant. */
static uint32_t sha1_mix(unsigned step, const uint32_t v[5])
{
    uint32_t b = v[1], c = v[2], d = v[3];

    if (step < 20)
        return ((b & c) | (~b & d)) + 0x5A827999;
    if (step < 40)
        return (b ^ c ^ d) + 0x6ED9EBA1;
    if (step < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC;
    return (b ^ c ^ d) + 0xCA62C1D6;
}

/* FIPS 180-4, 6.1.2: one block goes into the state. */
static void sha1_block(uint32_t state[5], const uint8_t *block)
{
    uint32_t w[80], v[5];

    for (size_t i = 0; i < 16; i++)
        w[i] = load_big32(block + 4 * i);
    for (unsigned i = 16; i < 80; i++)
        w[i] = turn_left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(v, state, sizeof(v));
    for (unsigned i = 0; i < 80; i++) {
        uint32_t a = turn_left(v[0], 5) + sha1_mix(i, v) + v[4] + w[i];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = turn_left(v[1], 30);
        v[1] = v[0];
        v[0] = a;
    }
    for (unsigned i = 0; i < 5; i++)
        state[i] += v[i];
}

/* The rest of n octets with the padding, one block or two (FIPS 180-4, 5.1.1);
 * how many octets these are. */
static size_t sha_last_blocks(uint8_t last[2 * SHA_BLOCK], const uint8_t *rest,
                              size_t n)
{
    size_t left = n % SHA_BLOCK;
    size_t octets = left < SHA_BLOCK - 8 ? SHA_BLOCK : 2 * SHA_BLOCK;
    uint64_t bits = (uint64_t)n * 8;

    memset(last, 0, 2 * SHA_BLOCK);
    if (left)
        memcpy(last, rest, left);
    last[left] = 0x80;
    store_big32(last + octets - 8, (uint32_t)(bits >> 32));
    store_big32(last + octets - 4, (uint32_t)bits);
    return octets;
}

void lh_sha1(const void *p, size_t n, uint8_t out[LH_SHA1_BYTES])
{
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476,
                         0xC3D2E1F0};
    uint8_t last[2 * SHA_BLOCK];
    size_t at = 0;

    for (; n - at >= SHA_BLOCK; at += SHA_BLOCK)
        sha1_block(state, (const uint8_t *)p + at);
    size_t octets =
        sha_last_blocks(last, n > at ? (const uint8_t *)p + at : p, n);
    for (size_t i = 0; i < octets; i += SHA_BLOCK)
        sha1_block(state, last + i);
    for (size_t i = 0; i < 5; i++)
        store_big32(out + 4 * i, state[i]);
}

/* --- SHA-256 -------------------------------------------------------------- */

/* FIPS 180-4, 4.2.2. */
static const uint32_t sha256_constants[64] = {
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1,
    0x923F82A4, 0xAB1C5ED5, 0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3,
    0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174, 0xE49B69C1, 0xEFBE4786,
    0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147,
    0x06CA6351, 0x14292967, 0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13,
    0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85, 0xA2BFE8A1, 0xA81A664B,
    0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A,
    0x5B9CCA4F, 0x682E6FF3, 0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208,
    0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2};

static uint32_t turn_right(uint32_t x, unsigned by)
{
    return x >> by | x << (32 - by);
}

/* FIPS 180-4, 6.2.2, 1: the block, spread over the steps. */
static void sha256_spread(uint32_t w[64], const uint8_t *block)
{
    for (size_t i = 0; i < 16; i++)
        w[i] = load_big32(block + 4 * i);
    for (unsigned i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = (turn_right(b, 17) ^ turn_right(b, 19) ^ b >> 10) + w[i - 7] +
               (turn_right(a, 7) ^ turn_right(a, 18) ^ a >> 3) + w[i - 16];
    }
}

/* One block goes into the state. */
static void sha256_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64], v[8];

    sha256_spread(w, block);
    memcpy(v, state, sizeof(v));
    for (unsigned i = 0; i < 64; i++) {
        uint32_t a = v[0], e = v[4];
        uint32_t one =
            v[7] + sha256_constants[i] + w[i] + ((e & v[5]) ^ (~e & v[6])) +
            (turn_right(e, 6) ^ turn_right(e, 11) ^ turn_right(e, 25));
        uint32_t two =
            ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2])) +
            (turn_right(a, 2) ^ turn_right(a, 13) ^ turn_right(a, 22));
        memmove(v + 1, v, 7 * sizeof(v[0]));
        v[4] += one;
        v[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += v[i];
}

/* Of the block `first`, where there is one, and the octets behind it. */
static void sha256_behind(const uint8_t *first, const void *p, size_t n,
                          uint8_t out[LH_SHA256_BYTES])
{
    uint32_t state[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
                         0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
    uint8_t last[2 * SHA_BLOCK];
    size_t at = 0;

    if (first)
        sha256_block(state, first);
    for (; n - at >= SHA_BLOCK; at += SHA_BLOCK)
        sha256_block(state, (const uint8_t *)p + at);
    size_t octets = sha_last_blocks(last, n > at ? (const uint8_t *)p + at : p,
                                    n + (first ? SHA_BLOCK : 0));
    for (size_t i = 0; i < octets; i += SHA_BLOCK)
        sha256_block(state, last + i);
    for (size_t i = 0; i < 8; i++)
        store_big32(out + 4 * i, state[i]);
}

void lh_sha256(const void *p, size_t n, uint8_t out[LH_SHA256_BYTES])
{
    sha256_behind(NULL, p, n, out);
}

/* --- with a key ----------------------------------------------------------- */

/* RFC 2104, 2. */
void lh_hmac_sha256(const void *key, size_t key_n, const void *p, size_t n,
                    uint8_t out[LH_SHA256_BYTES])
{
    uint8_t block[SHA_BLOCK] = {0}, inner[LH_SHA256_BYTES];

    if (key_n > SHA_BLOCK)
        lh_sha256(key, key_n, block);
    else if (key_n)
        memcpy(block, key, key_n);
    for (unsigned i = 0; i < SHA_BLOCK; i++)
        block[i] ^= 0x36;
    sha256_behind(block, p, n, inner);
    for (unsigned i = 0; i < SHA_BLOCK; i++)
        block[i] ^= 0x36 ^ 0x5C;
    sha256_behind(block, inner, sizeof(inner), out);
}

/* Through a volatile, so that no compiler stops at the first difference. */
bool lh_octets_equal(const void *a, const void *b, size_t n)
{
    const uint8_t *left = a, *right = b;
    volatile uint8_t differs = 0;

    for (size_t i = 0; i < n; i++)
        differs = (uint8_t)(differs | (left[i] ^ right[i]));
    return differs == 0;
}

/* --- base64 --------------------------------------------------------------- */

size_t lh_base64(const void *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/=";
    const uint8_t *octets = p;
    size_t made = 0;

    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t bits = (uint32_t)octets[i] << 16;
        bits |= have > 1 ? (uint32_t)octets[i + 1] << 8 : 0;
        bits |= have > 2 ? octets[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            out[made++] = digits[k > have ? 64 : bits >> (18 - 6 * k) & 63];
    }
    return made;
}

/* -1: no digit of either alphabet. */
static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* The bits of the last digit that belong to no octet are zero: else many texts
 * would stand for the same octets. */
bool lh_unbase64(const char *p, size_t n, uint8_t *out, size_t *made)
{
    uint32_t bits = 0;
    unsigned have = 0; /* bits of no octet yet */

    *made = 0;
    if (n % 4 == 0)
        for (unsigned i = 0; i < 2 && n && p[n - 1] == '='; i++)
            n--;
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit(p[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (unsigned)digit;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        out[(*made)++] = (uint8_t)(bits >> have);
        bits &= (1u << have) - 1;
    }
    return n % 4 != 1 && bits == 0;
}
