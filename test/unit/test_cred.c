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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    refuses(
        "cut.pem", "ec256.key",
        "certificate '@cut.pem': line 1: what begins here has no '-----END' "
        "after it; the text is damaged or cut short");
    refuses("ec256.pem", "cut.key",
            "key '@cut.key': line 1: what begins here has no '-----END' after "
            "it; the text is damaged or cut short");
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

static unsigned told_of;

static void count_told(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    assert_int_equal(entry->level, LHTTPD_LOG_WARNING);
    assert_non_null(strstr(entry->message, ".pem': it has expired at "));
    told_of++;
}

/* How many are told of that have expired behind `then`, up to `now`. */
static unsigned told(const struct lh_creds *creds, int64_t then, int64_t now)
{
    struct lh_log log = {.fn = count_told, .level = LHTTPD_LOG_WARNING};

    told_of = 0;
    lh_creds_tell_ended(creds, then, now, &log);
    return told_of;
}

static void tells_of_those_that_expire(void **state)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err = {""};

    (void)state;
    assert_true(lh_creds_next_end(creds, 0) == INT64_MAX);
    assert_int_equal(add(creds, "ec256.pem", "ec256.key", &err), 0);
    int64_t end = lh_creds_next_end(creds, 0);
    assert_true(end > 0 && end < INT64_MAX);
    assert_true(lh_creds_next_end(creds, end - 1) == end);
    assert_true(lh_creds_next_end(creds, end) == INT64_MAX);
    assert_int_equal(told(creds, 0, end - 1), 0);
    assert_int_equal(told(creds, end - 1, end), 1);
    assert_int_equal(told(creds, end - 3600, end + 3600), 1);
    assert_int_equal(told(creds, end, end + 1), 0);
    assert_int_equal(told(creds, end + 1, end - 1), 0); /* it was set back */
    lh_creds_free(creds);
}

static void refuses_other_kinds(void **state)
{
    static const char *const kinds[] = {"secp256k1", "ed25519"};
    char chain[32], key[32];

    (void)state;
    for (size_t i = 0; i < (TEST_BEARSSL ? 2 : 1); i++) {
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

/* --- What a text may look like ------------------------------------------ */

static char text[65536];
static size_t text_n;

static void text_add(const char *p, size_t n)
{
    assert_true(n < sizeof(text) - text_n);
    memcpy(text + text_n, p, n);
    text_n += n;
    text[text_n] = '\0';
}

static void text_add_file(const char *name)
{
    text_n += slurp(name, text + text_n, sizeof(text) - text_n);
    text[text_n] = '\0';
}

/* Puts `by` in the place of every `what`. */
static void text_replace(const char *what, const char *by)
{
    static char old[sizeof(text)];
    char *at = old, *next;

    memcpy(old, text, text_n + 1);
    text_n = 0;
    while ((next = strstr(at, what))) {
        text_add(at, (size_t)(next - at));
        text_add(by, strlen(by));
        at = next + strlen(what);
    }
    text_add(at, strlen(at));
}

/* The text as a chain, with the key of that name. */
static int add_text(struct lh_creds *creds, const char *key, struct lh_err *err)
{
    lhttpd_certificate_t from = lhttpd_certificate_init();

    from.chain = text;
    from.chain_size = text_n;
    from.key_file = path_of(key);
    return lh_creds_add(creds, &from, err);
}

/* Is it read as what ec256.pem holds, leaf and middle? */
static void reads_all(const char *what)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err = {""};

    assert_int_equal(add(creds, "ec256.pem", "ec256.key", &err), 0);
    if (add_text(creds, "ec256.key", &err))
        fail_msg("%s: %s", what, err.text);
    const struct lh_keypair *a = lh_creds_at(creds, 0);
    const struct lh_keypair *b = lh_creds_at(creds, 1);
    if (a->chain_n != b->chain_n)
        fail_msg("%s: %zu of %zu", what, b->chain_n, a->chain_n);
    for (size_t i = 0; i < a->chain_n; i++) {
        assert_int_equal(a->chain[i].data_len, b->chain[i].data_len);
        assert_memory_equal(a->chain[i].data, b->chain[i].data,
                            a->chain[i].data_len);
    }
    lh_creds_free(creds);
}

static void reads_what_people_make(void **state)
{
    static const struct {
        const char *what, *by;
    } changes[] = {
        {"-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----"}, /* cat */
        {"\n", "\r\n"},
        {"\n", "\r"}, /* old Macs */
        {"\n", "\n    "},
        {"\n", "\n\t"},
        {"\n", "  \n"},
        {"\n", "\n\n"},
        {"CERTIFICATE-----\n", "CERTIFICATE-----"},
        {"-----BEGIN CERT", "\xef\xbb\xbf-----BEGIN CERT"}, /* BOM */
        {"-----BEGIN CERT", "  0 s:CN=x\n   i:CN=y\n-----BEGIN CERT"},
        {"-----BEGIN CERT", "0 begins DER as well\n-----BEGIN CERT"},
        {"-----BEGIN CERT", "subject=-------------\n  \t-----BEGIN CERT"},
        {"CERTIFICATE-----\n", " X509 CERTIFICATE \t-----\n"},
        {"CERTIFICATE-----\n", "CERTIFICATE-----\nComment: x\n\n"},
        {"-----END CERTIFICATE-----\n", "-----END CERTIFICATE-----\n\x1a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        text_n = 0;
        text_add_file("ec256.pem");
        text_replace(changes[i].what, changes[i].by);
        if (strstr(changes[i].by, "Comment"))
            text_replace("-----END CERTIFICATE-----\nComment: x\n\n",
                         "-----END CERTIFICATE-----\n");
        reads_all(changes[i].by);
    }
}

/* Keys, parameters and lists stand beside certificates. */
static void reads_among_others(void **state)
{
    static const char *const others[] = {
        "EC PARAMETERS",       "DH PARAMETERS", "PUBLIC KEY",
        "CERTIFICATE REQUEST", "X509 CRL",      "ENCRYPTED PRIVATE KEY"};
    struct lh_err err;
    char object[128];

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        text_n = 0;
        snprintf(object, sizeof(object),
                 "-----BEGIN %s-----\nAAEC\n-----END %s-----", others[i],
                 others[i]);
        text_add(object, strlen(object));
        text_add_file("ec256.key");
        text_add_file("ec256.pem");
        text_add(object, strlen(object));
        reads_all(others[i]);
        struct lh_creds *creds = lh_creds_new();
        lhttpd_certificate_t from = lhttpd_certificate_init();
        from.chain_file = path_of("ec256.pem");
        from.key = text;
        from.key_size = text_n;
        assert_int_equal(lh_creds_add(creds, &from, &err),
                         strstr(others[i], "PRIVATE") ? LHTTPD_ECERT : 0);
        lh_creds_free(creds);
    }
}

/* What it is trusted for is left out: no client wants it. */
static void reads_trusted_certificates(void **state)
{
    (void)state;
    text_n = 0;
    text_add_file("ec256.pem");
    *strstr(strstr(text, "-----END") + 1, "-----BEGIN") = '\0';
    text_n = strlen(text);
    text_add_file("trusted.pem");
    reads_all("trusted");
}

/* Nothing that looks like an object is left out without a word. */
static void refuses_what_it_cannot_read(void **state)
{
    static const struct {
        const char *what, *by, *words;
    } cases[] = {
        {"-----END CERTIFICATE-----\n-----BEGIN",
         "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n-----BEGIN",
         "what begins here has no"},
        {"-----END CERTIFICATE-----", "-----END CERTIFICATE", "not the end"},
        {"-----END CERTIFICATE", "-----END X509", "not the end"},
        {"-----BEGIN CERTIFICATE-----", "", "with no '-----BEGIN'"},
        {"-----BEGIN CERTIFICATE-----\n", "-----BEGIN\n-----", "no name"},
        {"-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERT\nIFICATE-----\n",
         "no name"},
        {"CERTIFICATE-----", "PKCS7-----", "a PKCS7 cannot be read"},
        {"CERTIFICATE-----", "CERTIFICATES-----", "a CERTIFICATES cannot be"},
        {"\n", "\\n", "not base64"},
        {"\nM", "\n> M", "not base64"},
        {"\nM", "\n=M", "not base64"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lh_creds *creds = lh_creds_new();
        struct lh_err err = {""};
        text_n = 0;
        text_add_file("ec256.pem");
        text_replace(cases[i].what, cases[i].by);
        assert_int_equal(add_text(creds, "ec256.key", &err), LHTTPD_ECERT);
        if (!strstr(err.text, cases[i].words) ||
            !strstr(err.text, "certificate in memory: line "))
            fail_msg("%zu: %s", i, err.text);
        lh_creds_free(creds);
    }
}

static void says_utf16(void **state)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err;

    (void)state;
    text_n = 0;
    text_add_file("ec256.pem");
    for (size_t i = text_n; i-- > 0;) {
        text[2 * i + 1] = '\0';
        text[2 * i] = text[i];
    }
    text_n *= 2;
    for (int i = 0; i < 2; i++) { /* the last octet left out: big-endian */
        assert_int_equal(add_text(creds, "ec256.key", &err), LHTTPD_ECERT);
        assert_string_equal(err.text,
                            "certificate in memory: it is UTF-16 text; save it "
                            "as UTF-8 or ASCII");
        memmove(text + 1, text, text_n);
        text[0] = '\0';
    }
    lh_creds_free(creds);
}

static void says_pkcs12(void **state)
{
    static const char *const files[] = {"\x30\x82\x03\xff\2\1\3\x30",
                                        "\x30\x80\2\1\3", "\x30\x06\2\1\3"};
    static const size_t sizes[] = {8, 5, 5};
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        text_n = 0;
        text_add(files[i], sizes[i]);
        assert_int_equal(add_text(creds, "ec256.key", &err), LHTTPD_ECERT);
        assert_string_equal(err.text,
                            "certificate in memory: it is PKCS #12; convert it "
                            "to PEM (openssl pkcs12 -in FILE -nodes -out NEW)");
        lhttpd_certificate_t from = lhttpd_certificate_init();
        from.chain_file = path_of("ec256.pem");
        from.key = text;
        from.key_size = text_n;
        assert_int_equal(lh_creds_add(creds, &from, &err), LHTTPD_ECERT);
        assert_non_null(strstr(err.text, "key in memory: it is PKCS #12"));
    }
    lh_creds_free(creds);
}

static void wants_one_key(void **state)
{
    struct lh_err err;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct lh_creds *creds = lh_creds_new();
        lhttpd_certificate_t from = lhttpd_certificate_init();
        text_n = 0;
        text_add_file(i == 1 ? "encrypted-pkcs8.key" : "ec256.key");
        text_add_file(i == 2 ? "encrypted-pkcs1.key" : "ec384.key");
        from.chain_file = path_of("ec256.pem");
        from.key = text;
        from.key_size = text_n;
        assert_int_equal(lh_creds_add(creds, &from, &err), LHTTPD_ECERT);
        assert_string_equal(err.text, "key in memory: it holds several private "
                                      "keys; leave the certificate's only");
        text_n = 0;
        text_add("-----BEGIN OPENSSH PRIVATE KEY-----AAEC"
                 "-----END OPENSSH PRIVATE KEY-----",
                 72);
        from.key_size = text_n;
        assert_int_equal(lh_creds_add(creds, &from, &err), LHTTPD_ECERT);
        assert_non_null(strstr(err.text, "a OPENSSH PRIVATE KEY cannot be"));
        lh_creds_free(creds);
    }
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

/* --- sets that follow each other ------------------------------------------ */

static int replace(struct lh_creds **out, const struct lh_creds *old,
                   const char *chain, const char *key, struct lh_err *err)
{
    lhttpd_certificate_t from = lhttpd_certificate_init();

    from.chain_file = path_of(chain);
    from.key_file = path_of(key);
    return lh_creds_replace(out, old, &from, err);
}

static void replaces_the_one_of_the_same_names_and_key_type(void **state)
{
    struct lh_creds *old = lh_creds_new(), *new, *more;
    struct lh_err err = {""};

    (void)state;
    assert_int_equal(add(old, "ec256.pem", "ec256.key", &err), 0);
    assert_int_equal(add(old, "rsa2048.pem", "rsa2048.key", &err), 0);
    assert_int_equal(replace(&new, old, "cut.pem", "cut.key", &err),
                     LHTTPD_ECERT);
    assert_int_equal(replace(&new, old, "both.pem", "both.pem", &err), 0);
    assert_ptr_not_equal(lh_creds_at(new, 0), lh_creds_at(old, 0));
    assert_ptr_equal(lh_creds_at(new, 1), lh_creds_at(old, 1));
    assert_null(lh_creds_at(new, 2));
    lh_creds_free(old);
    assert_int_equal(replace(&more, new, "ec384.pem", "ec384.key", &err), 0);
    assert_ptr_equal(lh_creds_at(more, 1), lh_creds_at(new, 1));
    assert_non_null(lh_creds_at(more, 2));
    lh_creds_free(new);
    lh_creds_free(more);
}

struct lines {
    unsigned notices, warnings;
    char last[2048];
};

static void keep_line(void *context, const lhttpd_log_entry_t *entry)
{
    struct lines *lines = context;

    lines->notices += entry->level == LHTTPD_LOG_NOTICE;
    lines->warnings += entry->level == LHTTPD_LOG_WARNING;
    snprintf(lines->last, sizeof(lines->last), "%s", entry->message);
}

static void copy(const char *from, const char *to)
{
    char command[1200];

    snprintf(command, sizeof(command), "cp " DATA "%s %s", from, to);
    assert_int_equal(system(command), 0);
}

static bool has_name(const struct lh_creds *creds, const char *name)
{
    return lh_keypair_has_name(lh_creds_at(creds, 0), name, false);
}

static void reads_its_files_again(void **state)
{
    char dir[] = "/tmp/test_cred.XXXXXX", chain[64], key[64];
    lhttpd_certificate_t from = lhttpd_certificate_init();
    struct lines lines = {0};
    struct lh_log log = {
        .level = LHTTPD_LOG_DEBUG, .fn = keep_line, .context = &lines};
    struct lh_creds *a = lh_creds_new(), *b;
    struct lh_err err = {""};

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(chain, sizeof(chain), "%s/chain.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    copy("ec256.pem", chain);
    copy("ec256.key", key);
    from.chain_file = chain;
    from.key_file = key;
    assert_int_equal(lh_creds_add(a, &from, &err), 0);
    lh_creds_look(a, &log);
    assert_int_equal(lines.notices, 0);
    copy("ec384.pem", chain);
    assert_int_equal(lh_creds_read_again(&b, a, &log, &err), LHTTPD_ECERT);
    assert_non_null(strstr(err.text, "does not match"));
    copy("ec384.key", key);
    assert_int_equal(lh_creds_read_again(&b, a, &log, &err), 0);
    assert_true(has_name(a, "a.example.org"));
    assert_true(has_name(b, "b.example.org"));
    lh_creds_free(a);
    /* It could be read when the server started. */
    assert_int_equal(unlink(key), 0);
    assert_int_equal(lh_creds_read_again(&a, b, &log, &err), LHTTPD_ECERT);
    assert_non_null(strstr(err.text, key));
    /* It could not. */
    lh_creds_look(b, &log);
    assert_int_equal(lines.notices, 1);
    assert_non_null(strstr(lines.last, key));
    copy("ec256.pem", chain);
    assert_int_equal(lh_creds_read_again(&a, b, &log, &err), 1);
    assert_int_equal(lines.warnings, 1);
    assert_non_null(strstr(lines.last, key));
    assert_ptr_equal(lh_creds_at(a, 0), lh_creds_at(b, 0));
    lh_creds_free(b);
    /* It is there again. */
    copy("ec256.key", key);
    assert_int_equal(lh_creds_read_again(&b, a, &log, &err), 0);
    assert_true(has_name(b, "a.example.org"));
    lh_creds_free(a);
    lh_creds_free(b);
    assert_int_equal(lines.warnings, 1);
    unlink(chain);
    unlink(key);
    assert_int_equal(rmdir(dir), 0);
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
        struct lh_creds *again = NULL, *other = NULL;
        if (code == 0)
            code = lh_creds_read_again(&again, creds, NULL, &err);
        if (code == 0)
            code = replace(&other, again, "ec256.pem", "ec256.key", &err);
        assert_true(code == 0 || code == LHTTPD_ENOMEM);
        lh_creds_free(creds);
        lh_creds_free(again);
        lh_creds_free(other);
        assert_int_equal(test_heap_live(), 0);
    }
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_key),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(replaces_the_one_of_the_same_names_and_key_type),
        cmocka_unit_test(reads_its_files_again),
        cmocka_unit_test(tells_of_those_that_expire),
        cmocka_unit_test(refuses_other_kinds),
        cmocka_unit_test(says_how_to_decrypt),
        cmocka_unit_test(reads_what_people_make),
        cmocka_unit_test(reads_among_others),
        cmocka_unit_test(reads_trusted_certificates),
        cmocka_unit_test(refuses_what_it_cannot_read),
        cmocka_unit_test(says_utf16),
        cmocka_unit_test(says_pkcs12),
        cmocka_unit_test(wants_one_key),
        cmocka_unit_test(reads_memory),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(keeps_the_chain),
        cmocka_unit_test(fails_at_every_allocation),
    };

    return cmocka_run_group_tests_name("cred", tests, NULL, NULL);
}
