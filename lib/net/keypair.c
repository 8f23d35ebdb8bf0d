/*
 * A certificate chain and its private key: see keypair.h.  The TLS library
 * decodes keys and certificates; the few steps through the DER of a leaf to its
 * names are ours (RFC 5280, 4.1 and 4.2.1.6).
 */
#include "net/keypair.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/der.h"
#include "net/key.h"

#include <assert.h>
#include <string.h>

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

void lh_keypair_init(struct lh_keypair *pair)
{
    memset(pair, 0, sizeof(*pair));
}

void lh_keypair_deinit(struct lh_keypair *pair)
{
    for (size_t i = 0; i < pair->chain_n; i++)
        lh_free(pair->chain[i].data);
    lh_key_free(pair->key);
    lh_free(pair->names);
    memset(pair, 0, sizeof(*pair));
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
    struct lh_chain_link *to = &pair->chain[pair->chain_n];
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
    lh_key_free(pair->key);
    pair->key = NULL;
    return lh_key_read(&pair->key, der, n);
}

/* Is the key that of a certificate behind the first? */
static bool belongs_further_on(const struct lh_keypair *pair)
{
    for (size_t i = 1; i < pair->chain_n; i++) {
        if (lh_key_compare(pair->key, &pair->chain[i]) == LH_KEYPAIR_OK)
            return true;
    }
    return false;
}

enum lh_keypair_fault lh_keypair_check(struct lh_keypair *pair)
{
    assert(pair->chain_n);
    enum lh_keypair_fault fault =
        lh_key_check_leaf(pair->chain[0].data, pair->chain[0].data_len);
    if (!fault)
        fault = pair->key ? lh_key_compare(pair->key, &pair->chain[0])
                          : LH_KEYPAIR_BAD_KEY;
    if (fault == LH_KEYPAIR_OTHER_KEY && belongs_further_on(pair))
        fault = LH_KEYPAIR_WRONG_ORDER;
    if (!fault)
        fault = lh_key_take_chain(pair->key, pair->chain, pair->chain_n);
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
    return lh_key_is_of_kind(a->key, b->key) && has_names_of(a, b) &&
           has_names_of(b, a);
}
