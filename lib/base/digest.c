/*
 * Digests: see digest.h.  They are not the TLS library's, for a build without
 * one needs them too.
 */
#include "base/digest.h"

#include <string.h>

#define SHA_BLOCK 64

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

    for (unsigned i = 0; i < 16; i++)
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
    for (unsigned i = 0; i < 5; i++)
        store_big32(out + 4 * i, state[i]);
}

size_t lh_base64(const void *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *octets = p;
    size_t made = 0;

    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t bits = (uint32_t)octets[i] << 16;
        bits |= have > 1 ? (uint32_t)octets[i + 1] << 8 : 0;
        bits |= have > 2 ? octets[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            out[made++] = k > have ? '=' : digits[bits >> (18 - 6 * k) & 63];
    }
    return made;
}
