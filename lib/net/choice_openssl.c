/*
 * Which certificate a client gets: see handshake_openssl.h.  Among the pairs
 * that carry the name which the client asked for (exactly, else by a wildcard),
 * the first added that the client can verify; without such a name among all of
 * them.  OpenSSL's own choice knows one pair for each type of key.
 */
#include "net/handshake_openssl.h"
#include "net/suites_openssl.h"

/* Signature schemes (RFC 8446, 4.2.3). */
#define ECDSA_SHA256   0x0403u
#define ECDSA_SHA384   0x0503u
#define ECDSA_SHA512   0x0603u
#define ED25519_SCHEME 0x0807u

static bool is_scheme_of_rsa(unsigned scheme, bool tls13)
{
    bool pss = scheme == 0x0804 || scheme == 0x0805 || scheme == 0x0806;
    bool pkcs1 = scheme == 0x0401 || scheme == 0x0501 || scheme == 0x0601;

    return pss || (pkcs1 && !tls13);
}

/* TLS 1.3 ties the hash to the curve; 1.2 does not. */
static bool is_scheme_of_ec(unsigned scheme, int curve, bool tls13)
{
    if (tls13)
        return scheme == (curve == NID_secp384r1   ? ECDSA_SHA384
                          : curve == NID_secp521r1 ? ECDSA_SHA512
                                                   : ECDSA_SHA256);
    return scheme == ECDSA_SHA256 || scheme == ECDSA_SHA384 ||
           scheme == ECDSA_SHA512;
}

static bool can_sign(const struct lh_key *key, unsigned scheme, bool tls13)
{
    switch (key->type) {
    case LH_KEY_RSA:
        return is_scheme_of_rsa(scheme, tls13);
    case LH_KEY_EC:
        return is_scheme_of_ec(scheme, key->curve, tls13);
    case LH_KEY_ED25519:
        return scheme == ED25519_SCHEME;
    case LH_KEY_OTHER:
        break;
    }
    return false;
}

static bool takes_scheme(SSL *ssl, const struct lh_key *key, bool tls13)
{
    int n = SSL_get_sigalgs(ssl, -1, NULL, NULL, NULL, NULL, NULL);
    unsigned char low, high;

    for (int i = 0; i < n; i++) {
        SSL_get_sigalgs(ssl, i, NULL, NULL, NULL, &low, &high);
        if (can_sign(key, (unsigned)high << 8 | low, tls13))
            return true;
    }
    return false;
}

/* Who names no groups takes all (RFC 8422, 4). */
static bool takes_curve(SSL *ssl, int curve)
{
    int groups[64], n = (int)SSL_get1_groups(ssl, NULL);

    if (n <= 0 || n > 64)
        return true;
    SSL_get1_groups(ssl, groups);
    for (int i = 0; i < n; i++) {
        if (groups[i] == curve)
            return true;
    }
    return false;
}

/* Can the client use this pair?  In TLS 1.2 the suite tells whose signature it
 * is, and the groups which curves its keys may be on. */
static bool client_takes_pair(SSL *ssl, const struct lh_key *key)
{
    bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;

    if (!takes_scheme(ssl, key, tls13))
        return false;
    if (tls13)
        return true;
    return lh_suites_have(SSL_get_client_ciphers(ssl),
                          key->type == LH_KEY_RSA) &&
           (key->type != LH_KEY_EC || takes_curve(ssl, key->curve));
}

static bool has_suite(const SSL *ssl)
{
    const STACK_OF(SSL_CIPHER) *list = SSL_get_client_ciphers(ssl);

    return SSL_version(ssl) == TLS1_3_VERSION || lh_suites_have(list, true) ||
           lh_suites_have(list, false);
}

/* How well a pair answers the name, in the order of preference. */
enum name_match { NAME_EXACT, NAME_WILDCARD, NAME_ANY, NAME_MATCHES };

static const struct lh_key *choose_by(SSL *ssl, const struct lh_handshake *h,
                                      enum name_match match)
{
    const struct lh_keypair *pair;

    for (size_t i = 0; (pair = lh_creds_at(h->creds, i)); i++) {
        if (match != NAME_ANY &&
            !lh_keypair_has_name(pair, h->hello.name, match == NAME_WILDCARD))
            continue;
        if (client_takes_pair(ssl, pair->key))
            return pair->key;
    }
    return NULL;
}

/* Called once for each full handshake.  Without a certificate OpenSSL finds
 * that nothing is in common, and says so with the right alert. */
int lh_handshake_choose(SSL *ssl, void *unused)
{
    struct lh_handshake *h = lh_tls_bio_handshake(ssl);

    (void)unused;
    if (h->pauses) {
        h->pauses = false;
        return -1; /* SSL_ERROR_WANT_X509_LOOKUP; asked again, it goes on */
    }
    for (int match = 0; match < NAME_MATCHES && !h->chosen; match++)
        h->chosen = choose_by(ssl, h, (enum name_match)match);
    if (!h->chosen) {
        h->no_pair = true;
        h->no_suite = !has_suite(ssl);
        return 1;
    }
    return SSL_use_cert_and_key(ssl, h->chosen->leaf, h->chosen->pkey,
                                h->chosen->others, 1);
}
