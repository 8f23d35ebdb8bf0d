/* A chain and its key; test/data/tls/make.sh made the files. */
#include "net/keypair.h"

#include "base/mem.h"
#include "net/pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DATA TEST_DATA "/tls/"

static size_t slurp(const char *name, const char *ending, char *out,
                    size_t room)
{
    char path[512];

    snprintf(path, sizeof(path), DATA "%s%s", name, ending);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(out, 1, room, file);
    fclose(file);
    assert_true(n < room);
    return n;
}

static int take(void *context, const struct lh_pem_object *o)
{
    struct lh_keypair *pair = context;

    if (strcmp(o->label, "CERTIFICATE") == 0)
        assert_int_equal(lh_keypair_add(pair, o->der, o->n, false),
                         LH_KEYPAIR_OK);
    else
        assert_int_equal(lh_keypair_set_key(pair, o->der, o->n), LH_KEYPAIR_OK);
    return 0;
}

static struct lh_keypair *read_pair(const char *chain, const char *key)
{
    struct lh_keypair *pair = lh_alloc(sizeof(*pair));
    static char text[16384];
    struct lh_err err;

    assert_non_null(pair);
    lh_keypair_init(pair);
    assert_int_equal(lh_pem_each(text, slurp(chain, ".pem", text, sizeof(text)),
                                 take, pair, &err),
                     0);
    assert_int_equal(lh_pem_each(text, slurp(key, ".key", text, sizeof(text)),
                                 take, pair, &err),
                     0);
    return pair;
}

static struct lh_keypair *load(const char *name)
{
    struct lh_keypair *pair =
        read_pair(name, strcmp(name, "common") == 0 ? "ec256" : name);

    assert_int_equal(lh_keypair_check(pair), LH_KEYPAIR_OK);
    return pair;
}

static void unload(struct lh_keypair *pair)
{
    lh_keypair_deinit(pair);
    lh_free(pair);
}

static void finds_faults(void **state)
{
    static const struct {
        const char *chain, *key;
        enum lh_keypair_fault fault;
    } cases[] = {
        {"ec256", "ec256", LH_KEYPAIR_OK},
        {"rsa4096", "rsa4096", LH_KEYPAIR_OK},
        {"ec256", "ec384", LH_KEYPAIR_OTHER_KEY},
        {"rsa2048", "rsa4096", LH_KEYPAIR_OTHER_KEY},
        {"ec256", "rsa2048", LH_KEYPAIR_OTHER_KEY},
        {"rsa2048", "ec256", LH_KEYPAIR_OTHER_KEY},
        {"order", "ec256", LH_KEYPAIR_WRONG_ORDER},
        {"rsa1024", "rsa1024", LH_KEYPAIR_WEAK},
        {"secp256k1", "ec256", LH_KEYPAIR_CERT_KIND},
#if TEST_BEARSSL
        {"ed25519", "ec256", LH_KEYPAIR_CERT_KIND},
#else
        {"ed25519", "ec256", LH_KEYPAIR_OTHER_KEY},
        {"ed25519", "ed25519", LH_KEYPAIR_OK},
#endif
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lh_keypair *pair = read_pair(cases[i].chain, cases[i].key);
        assert_int_equal(lh_keypair_check(pair), cases[i].fault);
        unload(pair);
    }
}

static void has_an_end(void **state)
{
    static const uint8_t empty[] = {0x30, 0x00}, tail[] = {0x30, 0x00, 0x00};
    struct lh_keypair pair;

    (void)state;
    lh_keypair_init(&pair);
    assert_int_equal(lh_keypair_add(&pair, tail, 3, true), LH_KEYPAIR_OK);
    assert_int_equal(pair.chain[--pair.chain_n].data_len, 2);
    lh_free(pair.chain[0].data);
    assert_int_equal(lh_keypair_add(&pair, tail, 3, false),
                     LH_KEYPAIR_BAD_CERT);
    for (int i = 0; i < LH_KEYPAIR_CHAIN_MAX; i++)
        assert_int_equal(lh_keypair_add(&pair, empty, 2, false), LH_KEYPAIR_OK);
    assert_int_equal(lh_keypair_add(&pair, empty, 2, false),
                     LH_KEYPAIR_TOO_LONG);
    assert_int_equal(lh_keypair_set_key(&pair, empty, 2), LH_KEYPAIR_BAD_KEY);
    assert_int_equal(lh_keypair_check(&pair), LH_KEYPAIR_BAD_CERT);
    lh_keypair_deinit(&pair);
}

static void knows_names(void **state)
{
    struct lh_keypair *plain = load("ec256"), *wild = load("ec384");
    struct lh_keypair *common = load("common");

    (void)state;
    assert_true(lh_keypair_has_name(plain, "a.example.org", false));
    assert_true(lh_keypair_has_name(plain, "A.Example.ORG", false));
    assert_true(lh_keypair_has_name(plain, "a2.example.org", false));
    assert_false(lh_keypair_has_name(plain, "ec256", true)); /* the CN */
    assert_false(lh_keypair_has_name(plain, "a.example.or", true));
    assert_false(lh_keypair_has_name(plain, "", true));
    assert_true(lh_keypair_has_name(wild, "www.example.net", true));
    assert_true(lh_keypair_has_name(wild, "WWW.example.NET", true));
    assert_false(lh_keypair_has_name(wild, "www.example.net", false));
    assert_false(lh_keypair_has_name(wild, "example.net", true));
    assert_false(lh_keypair_has_name(wild, "a.b.example.net", true));
    assert_false(lh_keypair_has_name(wild, ".example.net", true));
    assert_true(lh_keypair_has_name(wild, "b.example.org", true));
    assert_false(lh_keypair_has_name(wild, "x.example.org", true));
    assert_true(lh_keypair_has_name(common, "common.example.org", false));
    unload(plain);
    unload(wild);
    unload(common);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_faults),
        cmocka_unit_test(has_an_end),
        cmocka_unit_test(knows_names),
    };

    return cmocka_run_group_tests_name("keypair", tests, NULL, NULL);
}
