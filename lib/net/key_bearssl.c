/*
 * A private key and its chain as BearSSL has them: see key.h.  What its engine
 * is given points into the key and into the chain.
 */
#include "net/key_bearssl.h"

#include "base/mem.h"

#include <string.h>

#define RSA_BITS_MIN 2048

const char lh_key_kinds[] =
    "RSA (2048 to 4096 bits) or EC on P-256, P-384 or P-521";

enum lh_keypair_fault lh_key_read(struct lh_key **out, const uint8_t *der,
                                  size_t n)
{
    struct lh_key *key = lh_calloc(1, sizeof(*key));

    if (!key)
        return LH_KEYPAIR_NO_MEMORY;
    br_skey_decoder_init(&key->decoder);
    br_skey_decoder_push(&key->decoder, der, n);
    if (br_skey_decoder_last_error(&key->decoder)) {
        lh_key_free(key);
        return LH_KEYPAIR_BAD_KEY;
    }
    *out = key;
    return LH_KEYPAIR_OK;
}

void lh_key_free(struct lh_key *key)
{
    if (!key)
        return;
    explicit_bzero(key, sizeof(*key));
    lh_free(key);
}

/* The length of a number, big endian, without the zeros that some tools write
 * in front of it. */
static size_t bits_of(const uint8_t *n, size_t bytes)
{
    while (bytes && *n == 0) {
        n++;
        bytes--;
    }
    if (!bytes)
        return 0;
    size_t bits = 8 * bytes;
    for (unsigned top = *n; !(top & 0x80); top <<= 1)
        bits--;
    return bits;
}

/* Numbers of different encoded lengths may be the same.  Zero is equal to
 * nothing, for it is no key. */
static bool same_number(const uint8_t *a, size_t a_n, const uint8_t *b,
                        size_t b_n)
{
    size_t bits = bits_of(a, a_n), bytes = (bits + 7) / 8;

    return bits && bits == bits_of(b, b_n) &&
           memcmp(a + a_n - bytes, b + b_n - bytes, bytes) == 0;
}

/* The i15 code: BearSSL 0.6's faster ones refuse keys of 4096 bits. */
static enum lh_keypair_fault compare_rsa(const br_rsa_private_key *key,
                                         const br_rsa_public_key *public)
{
    uint8_t modulus[BR_X509_BUFSIZE_KEY];
    size_t n = br_rsa_i15_compute_modulus(NULL, key);

    if (n == 0 || n > sizeof(modulus) ||
        br_rsa_i15_compute_modulus(modulus, key) != n)
        return LH_KEYPAIR_BAD_KEY;
    return same_number(modulus, n, public->n, public->nlen)
               ? LH_KEYPAIR_OK
               : LH_KEYPAIR_OTHER_KEY;
}

/* The public point is computed from the private key: the file of a key need
 * not have it. */
static enum lh_keypair_fault compare_ec(const br_ec_private_key *key,
                                        const br_ec_public_key *public)
{
    uint8_t point[BR_EC_KBUF_PUB_MAX_SIZE];
    br_ec_public_key own;

    if (!br_ec_compute_pub(br_ec_get_default(), &own, point, key))
        return LH_KEYPAIR_BAD_KEY;
    return own.curve == public->curve && own.qlen == public->qlen &&
                   memcmp(own.q, public->q, own.qlen) == 0
               ? LH_KEYPAIR_OK
               : LH_KEYPAIR_OTHER_KEY;
}

/* Does the key belong to this public key? */
static enum lh_keypair_fault compare_public(const br_skey_decoder_context *key,
                                            const br_x509_pkey *public)
{
    if (br_skey_decoder_key_type(key) != public->key_type)
        return LH_KEYPAIR_OTHER_KEY;
    if (public->key_type == BR_KEYTYPE_RSA)
        return compare_rsa(br_skey_decoder_get_rsa(key), &public->key.rsa);
    return compare_ec(br_skey_decoder_get_ec(key), &public->key.ec);
}

/* Its public key is valid as long as `decoder`.  What is sound and only of a
 * kind that BearSSL does not know is told from what is damaged. */
static enum lh_keypair_fault
certificate_decode(const uint8_t *der, size_t n,
                   br_x509_decoder_context *decoder)
{
    br_x509_decoder_init(decoder, NULL, NULL);
    br_x509_decoder_push(decoder, der, n);
    switch (br_x509_decoder_last_error(decoder)) {
    case 0:
        return LH_KEYPAIR_OK;
    case BR_ERR_X509_UNSUPPORTED:
    case BR_ERR_X509_LIMIT_EXCEEDED:
    case BR_ERR_X509_WRONG_KEY_TYPE:
        return LH_KEYPAIR_CERT_KIND;
    default:
        return LH_KEYPAIR_BAD_CERT;
    }
}

static enum lh_keypair_fault check_strength(const br_x509_pkey *key)
{
    if (key->key_type == BR_KEYTYPE_RSA)
        return bits_of(key->key.rsa.n, key->key.rsa.nlen) < RSA_BITS_MIN
                   ? LH_KEYPAIR_WEAK
                   : LH_KEYPAIR_OK;
    switch (key->key.ec.curve) {
    case BR_EC_secp256r1:
    case BR_EC_secp384r1:
    case BR_EC_secp521r1:
        return LH_KEYPAIR_OK;
    default:
        return LH_KEYPAIR_CERT_KIND;
    }
}

enum lh_keypair_fault lh_key_check_leaf(const uint8_t *der, size_t n)
{
    br_x509_decoder_context decoder;
    enum lh_keypair_fault fault = certificate_decode(der, n, &decoder);

    return fault ? fault : check_strength(br_x509_decoder_get_pkey(&decoder));
}

enum lh_keypair_fault lh_key_compare(const struct lh_key *key,
                                     const struct lh_chain_link *certificate)
{
    br_x509_decoder_context decoder;
    enum lh_keypair_fault fault =
        certificate_decode(certificate->data, certificate->data_len, &decoder);

    return fault ? fault
                 : compare_public(&key->decoder,
                                  br_x509_decoder_get_pkey(&decoder));
}

enum lh_keypair_fault lh_key_take_chain(struct lh_key *key,
                                        const struct lh_chain_link *chain,
                                        size_t n)
{
    for (size_t i = 0; i < n; i++)
        key->chain[i] = (br_x509_certificate){chain[i].data, chain[i].data_len};
    key->chain_n = n;
    return LH_KEYPAIR_OK;
}

static int type_of(const struct lh_key *key)
{
    return key ? br_skey_decoder_key_type(&key->decoder) : 0;
}

bool lh_key_is_of_kind(const struct lh_key *key, const struct lh_key *other)
{
    return type_of(key) == type_of(other);
}
