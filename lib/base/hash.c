/* A keyed hash: see hash.h. */
#include "base/hash.h"

struct sip_state {
    uint64_t v[4];
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

/* Additions, rotations and exclusive ors alone, whose time does not depend on
 * what is hashed. */
static void sip_round(struct sip_state *s)
{
    uint64_t *v = s->v;

    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* The 2 of SipHash-2-4: rounds for each word. */
static void mix_word(struct sip_state *s, uint64_t word)
{
    s->v[3] ^= word;
    sip_round(s);
    sip_round(s);
    s->v[0] ^= word;
}

/* The first octet is the lowest, on every machine. */
static uint64_t word_of(const char *p, size_t n)
{
    uint64_t word = 0;

    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return word;
}

/* The constants are the algorithm's own, as is 0xff before its last 4 rounds.
 * The last word has the octets that are left and on top the length, so that "a"
 * and "a\0" differ. */
uint64_t lh_hash(const struct lh_hash_key *key, struct lh_str s)
{
    struct sip_state state = {{
        key->k[0] ^ 0x736f6d6570736575,
        key->k[1] ^ 0x646f72616e646f6d,
        key->k[0] ^ 0x6c7967656e657261,
        key->k[1] ^ 0x7465646279746573,
    }};
    size_t at = 0;

    if (!s.p)
        s = LH_STR(""); /* nothing may be added to NULL */
    for (; s.n - at >= 8; at += 8)
        mix_word(&state, word_of(s.p + at, 8));
    mix_word(&state, word_of(s.p + at, s.n - at) | (uint64_t)s.n << 56);
    state.v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&state);
    return state.v[0] ^ state.v[1] ^ state.v[2] ^ state.v[3];
}
