/* Certificates and keys; test/data/tls/make.sh made the files. */
#include "base/mem.h"
#include "lib/heap.h"
#include "net/cred.h"
#include "net/keypair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DATA TEST_DATA "/tls/"

static char *path_of(const char *name)
{
    static char paths[2][512];
    static unsigned next;
    char *path = paths[next++ % 2];

    if (!name)
        return NULL;
    snprintf(path, sizeof(paths[0]), DATA "%s", name);
    return path;
}

static int add(struct lh_creds *creds, const char *chain, const char *key,
               struct lh_err *err)
{
    lhttpd_certificate_t from = lhttpd_certificate_init();

    from.chain_file = path_of(chain);
    from.key_file = path_of(key);
    return lh_creds_add(creds, &from, err);
}

static void accepts(const char *chain, const char *key)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err = {""};

    if (add(creds, chain, key, &err))
        fail_msg("%s %s: %s", chain, key, err.text);
    assert_false(lh_creds_empty(creds));
    assert_non_null(lh_creds_at(creds, 0)->names);
    assert_null(lh_creds_at(creds, 1));
    lh_creds_free(creds);
}

static void reads_every_kind_of_key(void **state)
{
    (void)state;
    accepts("ec256.pem", "ec256.key");
    accepts("ec384.pem", "ec384.key");
    accepts("ec521.pem", "ec521.key");
    accepts("rsa2048.pem", "rsa2048.key");
    accepts("rsa4096.pem", "rsa4096.key");
    accepts("ec256.pem", "ec256-sec1.key");
    accepts("rsa2048.pem", "rsa2048-pkcs1.key");
    accepts("ec256.der", "ec256.key.der");
    accepts("rsa2048.pem", "rsa2048.key.der");
    accepts("both.pem", "both.pem");
}

/* The words, with @ for the directory. */
static void refuses(const char *chain, const char *key, const char *words)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err = {""};
    char expected[LH_ERR_TEXT_BYTES], *to = expected;

    for (; *words; words++) {
        if (*words == '@')
            to = stpcpy(to, DATA);
        else
            *to++ = *words;
    }
    *to = '\0';
    assert_int_equal(add(creds, chain, key, &err), LHTTPD_ECERT);
    assert_string_equal(err.text, expected);
    assert_true(lh_creds_empty(creds));
    lh_creds_free(creds);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    refuses("none.pem", "ec256.key",
            "certificate '@none.pem': no such file or directory");
    refuses("ec256.pem", "none.key",
            "key '@none.key': no such file or directory");
    refuses("", "ec256.key", "certificate '@': is a directory");
    refuses("empty.pem", "ec256.key",
            "certificate '@empty.pem': it holds no certificate");
    refuses("garbage.pem", "ec256.key",
            "certificate '@garbage.pem': it holds no certificate");
    refuses("ec256.key", "ec256.key",
            "certificate '@ec256.key': it holds no certificate");
    refuses("ec256.pem", "ec256.pem",
            "key '@ec256.pem': it holds no private key");
    refuses("ec256.pem", "empty.pem",
            "key '@empty.pem': it holds no private key");
    refuses("cut.pem", "ec256.key",
            "certificate '@cut.pem': the PEM text is damaged or cut short");
    refuses("ec256.pem", "cut.key",
            "key '@cut.key': the PEM text is damaged or cut short");
    refuses("nonsense.pem", "ec256.key",
            "certificate '@nonsense.pem': the certificate is damaged");
    refuses("ec256.pem", "ec384.key",
            "certificate '@ec256.pem': the key in '@ec384.key' does not match");
    refuses("ec256.pem", "rsa2048.key",
            "certificate '@ec256.pem': the key in '@rsa2048.key' does not "
            "match");
    refuses("rsa2048.pem", "rsa4096.key",
            "certificate '@rsa2048.pem': the key in '@rsa4096.key' does not "
            "match");
    refuses("order.pem", "ec256.key",
            "certificate '@order.pem': the key in '@ec256.key' belongs to a "
            "further certificate; put that one first");
    refuses("rsa1024.pem", "rsa1024.key",
            "certificate '@rsa1024.pem': its RSA key has less than 2048 bits");
}

static void refuses_other_kinds(void **state)
{
    static const char *const kinds[] = {"ed25519", "secp256k1"};
    char chain[32], key[32];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct lh_creds *creds = lh_creds_new();
        struct lh_err err = {""};
        snprintf(chain, sizeof(chain), "%s.pem", kinds[i]);
        snprintf(key, sizeof(key), "%s.key", kinds[i]);
        assert_int_equal(add(creds, chain, key, &err), LHTTPD_ECERT);
        assert_non_null(strstr(err.text, "RSA"));
        assert_non_null(strstr(err.text, "P-256"));
        lh_creds_free(creds);
    }
}

static void says_how_to_decrypt(void **state)
{
    static const char *const keys[] = {"encrypted-pkcs8.key",
                                       "encrypted-pkcs1.key"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct lh_creds *creds = lh_creds_new();
        struct lh_err err = {""};
        assert_int_equal(add(creds, "ec256.pem", keys[i], &err), LHTTPD_ECERT);
        assert_non_null(strstr(err.text, keys[i]));
        assert_non_null(strstr(err.text, "without a passphrase"));
        assert_non_null(strstr(err.text, "openssl pkey"));
        lh_creds_free(creds);
    }
}

static size_t slurp(const char *name, char *out, size_t room)
{
    FILE *file = fopen(path_of(name), "rb");

    assert_non_null(file);
    size_t n = fread(out, 1, room, file);
    fclose(file);
    assert_true(n && n < room);
    return n;
}

static void reads_memory(void **state)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err = {""};
    char chain[4096], key[4096];
    lhttpd_certificate_t from = lhttpd_certificate_init();

    (void)state;
    from.chain = chain;
    from.chain_size = slurp("ec384.pem", chain, sizeof(chain));
    from.key = key;
    from.key_size = slurp("ec384.key", key, sizeof(key));
    assert_int_equal(lh_creds_add(creds, &from, &err), 0);
    from.chain_size = slurp("ec521.pem", chain, sizeof(chain));
    assert_int_equal(lh_creds_add(creds, &from, &err), LHTTPD_ECERT);
    assert_string_equal(err.text, "certificate in memory: the key in memory "
                                  "does not match");
    from.key = NULL;
    assert_int_equal(lh_creds_add(creds, &from, &err), LHTTPD_ECERT);
    assert_string_equal(err.text, "key in memory: none was given");
    assert_non_null(lh_creds_at(creds, 0));
    assert_null(lh_creds_at(creds, 1));
    lh_creds_free(creds);
}

/* Every text cut at every octet, and every octet of the DER changed: an answer,
 * never a crash. */
static void survives_damage(void **state)
{
    struct lh_err err;
    char chain[4096], key[4096];
    lhttpd_certificate_t from = lhttpd_certificate_init();

    (void)state;
    from.chain = chain;
    from.key = key;
    size_t chain_n = slurp("ec256.der", chain, sizeof(chain));
    from.key_size = slurp("ec256.key.der", key, sizeof(key));
    for (size_t i = 0; i < 2 * chain_n; i++) {
        struct lh_creds *creds = lh_creds_new();
        from.chain_size = i < chain_n ? i : chain_n;
        if (i >= chain_n)
            chain[i - chain_n] ^= 0x55;
        int code = lh_creds_add(creds, &from, &err);
        assert_true(code == LHTTPD_ECERT || (code == 0 && i >= chain_n));
        if (i >= chain_n)
            chain[i - chain_n] ^= 0x55;
        lh_creds_free(creds);
    }
    from.chain_size = chain_n;
    size_t key_n = from.key_size;
    for (from.key_size = 0; from.key_size < key_n; from.key_size++) {
        struct lh_creds *creds = lh_creds_new();
        assert_int_equal(lh_creds_add(creds, &from, &err), LHTTPD_ECERT);
        lh_creds_free(creds);
    }
}

static void keeps_the_chain(void **state)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err;

    (void)state;
    assert_int_equal(add(creds, "ec256.pem", "ec256.key", &err), 0);
    assert_int_equal(lh_creds_at(creds, 0)->chain_n, 2);
    lh_creds_free(creds);
    lh_creds_free(NULL);
}

static void fails_at_every_allocation(void **state)
{
    struct lh_err err;
    int code = LHTTPD_ENOMEM;

    (void)state;
    test_heap_install();
    for (unsigned long n = 1; code; n++) {
        assert_true(n < 100);
        test_heap_fail_at(n);
        struct lh_creds *creds = lh_creds_new();
        code =
            creds ? add(creds, "ec256.pem", "ec256.key", &err) : LHTTPD_ENOMEM;
        assert_true(code == 0 || code == LHTTPD_ENOMEM);
        lh_creds_free(creds);
        assert_int_equal(test_heap_live(), 0);
    }
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_key),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(refuses_other_kinds),
        cmocka_unit_test(says_how_to_decrypt),
        cmocka_unit_test(reads_memory),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(keeps_the_chain),
        cmocka_unit_test(fails_at_every_allocation),
    };

    return cmocka_run_group_tests_name("cred", tests, NULL, NULL);
}
