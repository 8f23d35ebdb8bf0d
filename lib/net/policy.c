/*
 * The server policy: see policy.h.  Among the pairs that carry the name which
 * the client asked for (exactly, else by a wildcard), the first added that the
 * client can verify; without such a name among all of them.
 */
#include "net/policy.h"

#include "net/key_bearssl.h"

#include <string.h>

/* BearSSL's bit masks of a client's hashes: RSA by the hash's number, ECDSA 8
 * higher. */
#define ECDSA_SHIFT   8
#define ALGORITHM_TAG 0xFF00u /* algo_id of a hash that is computed already */

#define HASH_BYTES_MAX  64
#define ECDSA_BYTES_MAX 139 /* P-521, DER */

struct hash {
    unsigned id;
    const br_hash_class *class;
    const unsigned char *oid;
};

/* In the order of our choice; nothing below SHA-256. */
static const struct hash hashes[] = {
    {br_sha256_ID, &br_sha256_vtable, BR_HASH_OID_SHA256},
    {br_sha384_ID, &br_sha384_vtable, BR_HASH_OID_SHA384},
    {br_sha512_ID, &br_sha512_vtable, BR_HASH_OID_SHA512},
};

#define HASHES (sizeof(hashes) / sizeof(hashes[0]))

/* The first of ours that the client takes, by the mask of its hashes; NULL:
 * none. */
static const struct hash *hash_choose(uint32_t mask)
{
    for (size_t i = 0; i < HASHES; i++) {
        if (mask >> hashes[i].id & 1)
            return &hashes[i];
    }
    return NULL;
}

/* The hash that was chosen with the suite, when it is time to sign with it. */
static const struct hash *hash_by_algorithm(unsigned algorithm)
{
    for (size_t i = 0; i < HASHES; i++) {
        if (algorithm == ALGORITHM_TAG + hashes[i].id)
            return &hashes[i];
    }
    return NULL;
}

/* The first common suite for this kind of key; the list is in our order. */
static uint16_t suite_choose(const br_ssl_server_context *cc, unsigned kind)
{
    size_t n;
    const br_suite_translated *suites = br_ssl_server_get_client_suites(cc, &n);

    for (size_t i = 0; i < n; i++) {
        if ((unsigned)suites[i][1] >> 12 == kind)
            return suites[i][0];
    }
    return 0;
}

/* Can the client use this pair?  Then *choices is filled. */
static bool pair_fits(const struct lh_keypair *pair,
                      const br_ssl_server_context *cc,
                      br_ssl_server_choices *choices)
{
    uint32_t mask = br_ssl_server_get_client_hashes(cc);
    unsigned kind = BR_SSLKEYX_ECDHE_RSA;
    const br_ec_private_key *ec = br_skey_decoder_get_ec(&pair->key->decoder);

    if (ec) {
        kind = BR_SSLKEYX_ECDHE_ECDSA;
        mask >>= ECDSA_SHIFT;
        if (!(br_ssl_server_get_client_curves(cc) >> ec->curve & 1))
            return false;
    }
    const struct hash *hash = hash_choose(mask);
    uint16_t suite = suite_choose(cc, kind);
    if (!hash || !suite)
        return false;
    choices->cipher_suite = suite;
    choices->algo_id = ALGORITHM_TAG + hash->id;
    choices->chain = pair->key->chain;
    choices->chain_len = pair->key->chain_n;
    return true;
}

/* How well a pair answers the name that the client asked for, in the order of
 * preference. */
enum match { MATCH_EXACT, MATCH_WILDCARD, MATCH_ANY };

static bool policy_choose_by(struct lh_policy *policy,
                             const br_ssl_server_context *cc,
                             br_ssl_server_choices *choices, enum match match)
{
    const struct lh_keypair *pair;

    for (size_t i = 0; (pair = lh_creds_at(policy->creds, i)); i++) {
        if (match != MATCH_ANY &&
            !lh_keypair_has_name(pair, policy->server_name,
                                 match == MATCH_WILDCARD))
            continue;
        if (pair_fits(pair, cc, choices)) {
            policy->chosen = pair;
            return true;
        }
    }
    return false;
}

/* Called by the engine once for each full handshake, when all of the
 * ClientHello is read.  A session that it found may not have fitted (its suite
 * is not offered any more): what that told of a certificate is not this
 * client's, who only knows the session's number. */
static int policy_choose(const br_ssl_server_policy_class **self,
                         const br_ssl_server_context *cc,
                         br_ssl_server_choices *choices)
{
    struct lh_policy *policy = (struct lh_policy *)(void *)self;

    bool found = policy_choose_by(policy, cc, choices, MATCH_EXACT) ||
                 policy_choose_by(policy, cc, choices, MATCH_WILDCARD) ||
                 policy_choose_by(policy, cc, choices, MATCH_ANY);
    policy->refused = !found;
    if (policy->client)
        *policy->client = (struct lh_client_cert){.verify = LH_CLIENT_NONE};
    return found;
}

/* Key exchanges without ECDHE: we offer none. */
static uint32_t policy_keyx(const br_ssl_server_policy_class **self,
                            unsigned char *data, size_t *n)
{
    (void)self;
    (void)data;
    (void)n;
    return 0;
}

/* PKCS#1 v1.5, as TLS 1.2 wants it.  The signature is as long as the modulus.
 */
static size_t sign_rsa(const br_rsa_private_key *key, const struct hash *hash,
                       const unsigned char *value, size_t value_n,
                       unsigned char *out, size_t room)
{
    size_t n = (key->n_bitlen + 7) / 8;

    if (n > room)
        return 0;
    br_rsa_pkcs1_sign sign = br_rsa_pkcs1_sign_get_default();
    return sign(hash->oid, value, value_n, key, out) ? n : 0;
}

/* Called by the engine to sign its half of the key exchange: `data` has the
 * hash and takes the signature.  0: it cannot be done, and the handshake
 * fails. */
static size_t policy_sign(const br_ssl_server_policy_class **self,
                          unsigned algorithm, unsigned char *data,
                          size_t value_n, size_t room)
{
    const struct lh_policy *policy = (const struct lh_policy *)(void *)self;
    const struct hash *hash = hash_by_algorithm(algorithm);
    unsigned char value[HASH_BYTES_MAX]; /* `data` is overwritten */

    if (!hash || !policy->chosen || value_n > sizeof(value))
        return 0;
    memcpy(value, data, value_n);
    const br_skey_decoder_context *key = &policy->chosen->key->decoder;
    const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(key);
    if (rsa)
        return sign_rsa(rsa, hash, value, value_n, data, room);
    if (room < ECDSA_BYTES_MAX)
        return 0;
    br_ecdsa_sign sign = br_ecdsa_sign_asn1_get_default();
    return sign(br_ec_get_default(), hash->class, value,
                br_skey_decoder_get_ec(key), data);
}

static const br_ssl_server_policy_class policy_class = {
    .context_size = sizeof(struct lh_policy),
    .choose = policy_choose,
    .do_keyx = policy_keyx,
    .do_sign = policy_sign,
};

void lh_policy_init(struct lh_policy *policy)
{
    *policy = (struct lh_policy){.vtable = &policy_class};
}

void lh_policy_begin(struct lh_policy *policy, struct lh_creds *creds,
                     const char *server_name)
{
    policy->creds = lh_creds_share(creds);
    policy->server_name = server_name;
    policy->refused = false;
}

void lh_policy_end(struct lh_policy *policy)
{
    policy->chosen = NULL;
    lh_creds_free(policy->creds);
    policy->creds = NULL;
}
