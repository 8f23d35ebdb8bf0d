/*
 * A certificate chain and its private key: see keypair.h.  BearSSL decodes keys
 * and certificates; it does not give out a certificate's names without
 * validating a chain, so these few steps through its DER are ours (RFC 5280,
 * 4.1 and 4.2.1.6).
 */
#include "net/keypair.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/der.h"

#include <assert.h>
#include <string.h>

#define RSA_BITS_MIN 2048

#define TAG_DNS_NAME 0x82

static const uint8_t oid_common_name[] = {0x55, 0x04, 0x03};
static const uint8_t oid_alt_name[] = {0x55, 0x1D, 0x11};

/* Appends a name to the list, if it looks like one. */
static void names_add(char *names, size_t *end, struct lh_der name)
{
    if (name.n == 0 || memchr(name.p, '\0', name.n))
        return;
    for (size_t i = 0; i < name.n; i++)
        names[(*end)++] = lh_lower((char)name.p[i]);
    names[(*end)++] = '\0';
}

/* The common names of the subject, an old place for a host's name: a sequence
 * of sets, in each of which stand pairs of an attribute and its value. */
static void names_of_subject(struct lh_der subject, char *names, size_t *end)
{
    struct lh_der set, pair, oid, value;
    uint8_t tag;

    while (lh_der_expect(&subject, LH_DER_SET, &set)) {
        while (lh_der_expect(&set, LH_DER_SEQUENCE, &pair)) {
            if (lh_der_expect(&pair, LH_DER_OID, &oid) &&
                lh_der_is(oid, oid_common_name, sizeof(oid_common_name)) &&
                lh_der_next(&pair, &tag, &value))
                names_add(names, end, value);
        }
    }
}

/* The DNS names of the extension subjectAltName, whose value is an octet
 * string that holds the list. */
static void names_of_extensions(struct lh_der list, char *names, size_t *end)
{
    struct lh_der extension, oid, value, general_names, name;
    uint8_t tag;

    while (lh_der_expect(&list, LH_DER_SEQUENCE, &extension)) {
        if (!lh_der_expect(&extension, LH_DER_OID, &oid) ||
            !lh_der_is(oid, oid_alt_name, sizeof(oid_alt_name)))
            continue;
        while (lh_der_next(&extension, &tag, &value) && tag != LH_DER_OCTETS)
            ; /* whether it is critical */
        if (tag != LH_DER_OCTETS ||
            !lh_der_expect(&value, LH_DER_SEQUENCE, &general_names))
            continue;
        while (lh_der_next(&general_names, &tag, &name)) {
            if (tag == TAG_DNS_NAME)
                names_add(names, end, name);
        }
    }
}

/* The alternative names, or where there are none the subject's common name. */
static void leaf_read_names(struct lh_der certificate, char *names)
{
    struct lh_der outer, tbs, part, subject, extensions = {0};
    size_t end = 0;
    uint8_t tag;

    if (lh_der_expect(&certificate, LH_DER_SEQUENCE, &outer) &&
        lh_der_expect(&outer, LH_DER_SEQUENCE, &tbs) &&
        lh_der_next(&tbs, &tag, &part) &&
        (tag != LH_DER_VERSION ||
         lh_der_next(&tbs, &tag, &part)) && /* serial */
        lh_der_next(&tbs, &tag, &part) &&   /* algorithm */
        lh_der_next(&tbs, &tag, &part) &&   /* issuer */
        lh_der_next(&tbs, &tag, &part) &&   /* validity */
        lh_der_expect(&tbs, LH_DER_SEQUENCE, &subject)) {
        while (lh_der_next(&tbs, &tag, &part)) {
            if (tag == LH_DER_EXTENSIONS)
                lh_der_expect(&part, LH_DER_SEQUENCE, &extensions);
        }
        names_of_extensions(extensions, names, &end);
        if (end == 0)
            names_of_subject(subject, names, &end);
    }
    names[end] = '\0';
}

/* The decoder of the key is ready at once, so that a pair without a key can
 * be asked for its kind: it has none. */
void lh_keypair_init(struct lh_keypair *pair)
{
    memset(pair, 0, sizeof(*pair));
    br_skey_decoder_init(&pair->key);
}

void lh_keypair_deinit(struct lh_keypair *pair)
{
    for (size_t i = 0; i < pair->chain_n; i++)
        lh_free(pair->chain[i].data);
    lh_free(pair->names);
    explicit_bzero(pair, sizeof(*pair));
}

/* Only the outer element is looked at here.  What is inside is decoded when
 * all is there, by lh_keypair_check(). */
enum lh_keypair_fault lh_keypair_add(struct lh_keypair *pair,
                                     const uint8_t *der, size_t n, bool trusted)
{
    struct lh_der rest = {der, n}, content;

    if (!lh_der_expect(&rest, LH_DER_SEQUENCE, &content) ||
        (rest.n && !trusted))
        return LH_KEYPAIR_BAD_CERT;
    n -= rest.n;
    if (pair->chain_n == LH_KEYPAIR_CHAIN_MAX)
        return LH_KEYPAIR_TOO_LONG;
    br_x509_certificate *to = &pair->chain[pair->chain_n];
    to->data = lh_memdup(der, n);
    if (!to->data)
        return LH_KEYPAIR_NO_MEMORY;
    to->data_len = n;
    pair->chain_n++;
    return LH_KEYPAIR_OK;
}

enum lh_keypair_fault lh_keypair_set_key(struct lh_keypair *pair,
                                         const uint8_t *der, size_t n)
{
    br_skey_decoder_init(&pair->key);
    br_skey_decoder_push(&pair->key, der, n);
    return br_skey_decoder_last_error(&pair->key) ? LH_KEYPAIR_BAD_KEY
                                                  : LH_KEYPAIR_OK;
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
static enum lh_keypair_fault compare(const struct lh_keypair *pair,
                                     const br_x509_pkey *public)
{
    if (br_skey_decoder_key_type(&pair->key) != public->key_type)
        return LH_KEYPAIR_OTHER_KEY;
    if (public->key_type == BR_KEYTYPE_RSA)
        return compare_rsa(br_skey_decoder_get_rsa(&pair->key),
                           &public->key.rsa);
    return compare_ec(br_skey_decoder_get_ec(&pair->key), &public->key.ec);
}

/* Decodes certificate i; its public key is valid as long as `decoder`. */
static enum lh_keypair_fault
certificate_decode(const struct lh_keypair *pair, size_t i,
                   br_x509_decoder_context *decoder)
{
    br_x509_decoder_init(decoder, NULL, NULL);
    br_x509_decoder_push(decoder, pair->chain[i].data, pair->chain[i].data_len);
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

/* Is the key that of a certificate behind the first? */
static bool belongs_further_on(const struct lh_keypair *pair)
{
    br_x509_decoder_context decoder;

    for (size_t i = 1; i < pair->chain_n; i++) {
        if (certificate_decode(pair, i, &decoder) == LH_KEYPAIR_OK &&
            compare(pair, br_x509_decoder_get_pkey(&decoder)) == LH_KEYPAIR_OK)
            return true;
    }
    return false;
}

enum lh_keypair_fault lh_keypair_check(struct lh_keypair *pair)
{
    br_x509_decoder_context decoder;

    assert(pair->chain_n);
    enum lh_keypair_fault fault = certificate_decode(pair, 0, &decoder);
    if (fault)
        return fault;
    const br_x509_pkey *public = br_x509_decoder_get_pkey(&decoder);
    fault = check_strength(public);
    if (!fault)
        fault = compare(pair, public);
    if (fault == LH_KEYPAIR_OTHER_KEY && belongs_further_on(pair))
        fault = LH_KEYPAIR_WRONG_ORDER;
    if (fault)
        return fault;
    struct lh_der leaf = {pair->chain[0].data, pair->chain[0].data_len};
    pair->names = lh_alloc(leaf.n); /* each name has two octets before it */
    if (!pair->names)
        return LH_KEYPAIR_NO_MEMORY;
    leaf_read_names(leaf, pair->names);
    return LH_KEYPAIR_OK;
}

bool lh_keypair_has_name(const struct lh_keypair *pair, const char *wanted,
                         bool wildcards)
{
    struct lh_str name = lh_str_of(wanted);
    const char *dot = strchr(wanted, '.');
    struct lh_str parent = lh_str_of(dot);

    for (const char *own = pair->names; *own; own += strlen(own) + 1) {
        if (lh_str_equal_nocase(lh_str_of(own), name))
            return true;
        if (wildcards && own[0] == '*' && dot && dot != wanted &&
            lh_str_equal_nocase(lh_str_of(own + 1), parent))
            return true;
    }
    return false;
}

static bool has_names_of(const struct lh_keypair *pair,
                         const struct lh_keypair *other)
{
    for (const char *name = other->names; *name; name += strlen(name) + 1) {
        if (!lh_keypair_has_name(pair, name, false))
            return false;
    }
    return true;
}

bool lh_keypair_is_alike(const struct lh_keypair *a, const struct lh_keypair *b)
{
    return br_skey_decoder_key_type(&a->key) ==
               br_skey_decoder_key_type(&b->key) &&
           has_names_of(a, b) && has_names_of(b, a);
}
