/*
 * A private key and its chain as OpenSSL has them: see key.h.  All of it is
 * counted by OpenSSL, so a handshake keeps what it uses.  Whatever fails here
 * leaves OpenSSL's queue of errors empty.
 */
#include "net/key_openssl.h"

#include "base/mem.h"

#include <string.h>

#define RSA_BITS_MIN 2048

const char lh_key_kinds[] =
    "RSA (2048 to 16384 bits), EC on P-256, P-384 or P-521, or Ed25519";

/* --- kinds ---------------------------------------------------------------- */

static const int curves[] = {NID_X9_62_prime256v1, NID_secp384r1,
                             NID_secp521r1};

/* 0: one that is not used here. */
static int curve_of(const EVP_PKEY *pkey)
{
    char name[64];
    size_t n;

    if (!EVP_PKEY_get_group_name(pkey, name, sizeof(name), &n))
        return 0;
    int curve = OBJ_txt2nid(name);
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++) {
        if (curves[i] == curve)
            return curve;
    }
    return 0;
}

enum lh_key_type lh_key_type_of(const EVP_PKEY *pkey)
{
    switch (pkey ? EVP_PKEY_get_base_id(pkey) : 0) {
    case EVP_PKEY_RSA:
        return LH_KEY_RSA;
    case EVP_PKEY_EC:
        return curve_of(pkey) ? LH_KEY_EC : LH_KEY_OTHER;
    case EVP_PKEY_ED25519:
        return LH_KEY_ED25519;
    default:
        return LH_KEY_OTHER;
    }
}

static enum lh_keypair_fault fault_of_kind(const EVP_PKEY *pkey)
{
    enum lh_key_type type = lh_key_type_of(pkey);
    int bits = type == LH_KEY_RSA ? EVP_PKEY_get_bits(pkey) : 0;

    if (type == LH_KEY_OTHER || bits > OPENSSL_RSA_MAX_MODULUS_BITS)
        return LH_KEYPAIR_CERT_KIND;
    return type == LH_KEY_RSA && bits < RSA_BITS_MIN ? LH_KEYPAIR_WEAK
                                                     : LH_KEYPAIR_OK;
}

/* --- the key -------------------------------------------------------------- */

/* The public half need not stand beside the private one; where it does, both
 * have to belong together: what one signs, the other verifies. */
static bool is_sound(const struct lh_key *key)
{
    const EVP_MD *hash = key->type == LH_KEY_ED25519 ? NULL : EVP_sha256();
    static const uint8_t text[] = "trial";
    uint8_t signature[OPENSSL_RSA_MAX_MODULUS_BITS / 8];
    size_t n = sizeof(signature);
    EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
    bool sound =
        sign && verify &&
        EVP_DigestSignInit(sign, NULL, hash, NULL, key->pkey) == 1 &&
        EVP_DigestSign(sign, signature, &n, text, sizeof(text)) == 1 &&
        EVP_DigestVerifyInit(verify, NULL, hash, NULL, key->pkey) == 1 &&
        EVP_DigestVerify(verify, signature, n, text, sizeof(text)) == 1;

    EVP_MD_CTX_free(sign);
    EVP_MD_CTX_free(verify);
    return sound;
}

static enum lh_keypair_fault key_decode(struct lh_key *key, const uint8_t *der,
                                        size_t n)
{
    const uint8_t *p = der;

    key->pkey = d2i_AutoPrivateKey(NULL, &p, (long)n);
    if (!key->pkey)
        return LH_KEYPAIR_BAD_KEY;
    key->type = lh_key_type_of(key->pkey);
    if (key->type == LH_KEY_EC)
        key->curve = curve_of(key->pkey);
    return key->type != LH_KEY_OTHER && is_sound(key) ? LH_KEYPAIR_OK
                                                      : LH_KEYPAIR_BAD_KEY;
}

enum lh_keypair_fault lh_key_read(struct lh_key **out, const uint8_t *der,
                                  size_t n)
{
    struct lh_key *key = lh_calloc(1, sizeof(*key));

    if (!key)
        return LH_KEYPAIR_NO_MEMORY;
    enum lh_keypair_fault fault = key_decode(key, der, n);
    ERR_clear_error();
    if (fault)
        lh_key_free(key);
    else
        *out = key;
    return fault;
}

void lh_key_free(struct lh_key *key)
{
    if (!key)
        return;
    lh_staple_free(key->staple);
    EVP_PKEY_free(key->pkey);
    X509_free(key->leaf);
    sk_X509_pop_free(key->others, X509_free);
    lh_free(key);
}

/* --- its certificates ----------------------------------------------------- */

/* All of the octets have to be the certificate. */
static X509 *decode_whole(const uint8_t *der, size_t n)
{
    const uint8_t *p = der;
    X509 *certificate = d2i_X509(NULL, &p, (long)n);

    if (certificate && p != der + n) {
        X509_free(certificate);
        certificate = NULL;
    }
    if (!certificate)
        ERR_clear_error();
    return certificate;
}

enum lh_keypair_fault lh_key_check_leaf(const uint8_t *der, size_t n)
{
    X509 *certificate = decode_whole(der, n);

    if (!certificate)
        return LH_KEYPAIR_BAD_CERT;
    enum lh_keypair_fault fault = fault_of_kind(X509_get0_pubkey(certificate));
    X509_free(certificate);
    ERR_clear_error();
    return fault;
}

enum lh_keypair_fault lh_key_compare(const struct lh_key *key,
                                     const struct lh_chain_link *link)
{
    X509 *certificate = decode_whole(link->data, link->data_len);

    if (!certificate)
        return LH_KEYPAIR_BAD_CERT;
    const EVP_PKEY *public = X509_get0_pubkey(certificate);
    bool equal = public && EVP_PKEY_eq(public, key->pkey) == 1;
    X509_free(certificate);
    ERR_clear_error();
    return equal ? LH_KEYPAIR_OK : LH_KEYPAIR_OTHER_KEY;
}

/* OpenSSL sends what it has decoded, so that none may be damaged. */
enum lh_keypair_fault lh_key_take_chain(struct lh_key *key,
                                        const struct lh_chain_link *chain,
                                        size_t n)
{
    key->leaf = decode_whole(chain[0].data, chain[0].data_len);
    key->others = sk_X509_new_null();
    if (!key->leaf || !key->others)
        return LH_KEYPAIR_NO_MEMORY; /* it was decoded before */
    for (size_t i = 1; i < n; i++) {
        X509 *certificate = decode_whole(chain[i].data, chain[i].data_len);
        if (!certificate)
            return LH_KEYPAIR_BAD_CERT;
        if (!sk_X509_push(key->others, certificate)) {
            X509_free(certificate);
            return LH_KEYPAIR_NO_MEMORY;
        }
    }
    return LH_KEYPAIR_OK;
}

bool lh_key_is_of_kind(const struct lh_key *key, const struct lh_key *other)
{
    return (key ? key->type : LH_KEY_OTHER) ==
           (other ? other->type : LH_KEY_OTHER);
}
