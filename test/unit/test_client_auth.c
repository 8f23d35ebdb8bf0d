/*
 * Certificates of clients, from BearSSL's client through the TLS transport on a
 * socket pair; and the sets of authorities that verify them.
 */
#include "net/client_ca.h"

#include "lib/heap.h"
#include "lib/pairs.h"
#include "lib/tls_client.h"
#if TEST_BEARSSL
#include "net/anchors_bearssl.h"
#else
#include "net/anchors.h"
#endif
#include "net/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA TEST_DATA "/tls/"

#define STEPS_MAX 200000

static struct lh_creds *creds;      /* the server's */
static struct test_pair clients[5]; /* what the client may show, by number */
static struct lh_tls_shared *shared;
static struct lh_net_pools pools;
static struct test_tls_client client;
static struct lh_transport *server;

enum { EC256, RSA2048, EC384, EC521, RSA4096 };

static int add_ca(const char *file, struct lh_err *err)
{
    lhttpd_client_ca_t ca = lhttpd_client_ca_init();

    ca.file = file;
    return lh_creds_add_client_ca(creds, &ca, err);
}

/* Both sides, but for the handshake.  `file`: the authority. */
static void begin(const char *file, bool optional)
{
    struct lh_err err;

    creds = lh_creds_new();
    test_pair_add(creds, "ec256");
    test_pair_add(creds, "rsa2048");
    if (file)
        assert_int_equal(add_ca(file, &err), 0);
    lh_creds_set_client_optional(creds, optional);
    assert_int_equal(lh_tls_shared_new(&shared, creds, true, &err), 0);
    lh_net_pools_init(&pools);
    pools.tls = lh_tls_worker_new(shared);
    assert_non_null(pools.tls);
}

static void end(void)
{
    assert_int_equal(pools.chunks.out, 0);
    lh_tls_worker_free(pools.tls);
    lh_net_pools_deinit(&pools);
    lh_tls_shared_free(shared);
    lh_creds_free(creds);
}

static int set_up(void **state)
{
    static const char *const pairs[] = {"ec256", "rsa2048", "ec384", "ec521",
                                        "rsa4096"};

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        test_pair_read(&clients[i], pairs[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        test_pair_free(&clients[i]);
    return 0;
}

/* False: no memory for it. */
static bool connect_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    client.fd = fds[1];
    server = lh_tls_new(&pools, fds[0]);
    if (!server)
        close(fds[0]);
    return server;
}

/* The client has a chain, and a key for its signature: which may be another. */
static void show(const br_x509_certificate *chain, size_t n,
                 const br_skey_decoder_context *key)
{
    const br_ec_private_key *ec = br_skey_decoder_get_ec(key);

    if (ec)
        br_ssl_client_set_single_ec(&client.ssl, chain, n, ec, BR_KEYTYPE_SIGN,
                                    BR_KEYTYPE_EC, br_ec_get_default(),
                                    br_ecdsa_sign_asn1_get_default());
    else
        br_ssl_client_set_single_rsa(&client.ssl, chain, n,
                                     br_skey_decoder_get_rsa(key),
                                     br_rsa_pkcs1_sign_get_default());
}

/* -1: none. */
static void make_client(int number)
{
    test_tls_client_init(&client, -1);
    if (number < 0)
        return;
    const struct test_pair *pair = &clients[number];
    show(pair->chain, pair->chain_n, &pair->key);
}

static bool shake(bool resume)
{
    bool moved = true;
    size_t n;

    test_tls_client_start(&client, "a.example.org", resume, 0);
    for (int i = 0; i < STEPS_MAX; i++) {
        enum lh_net got = LH_NET_OK;
        moved = test_tls_client_pump(&client);
        if (!server->ops->peek(server, &n))
            got = server->ops->receive(server);
        if (server->ops->send(server) == LH_NET_LOST || got == LH_NET_LOST ||
            got == LH_NET_EOF)
            return false;
        if (lh_tls_state(server) == LH_TLS_READY &&
            test_tls_client_open(&client))
            return true;
        moved |= got == LH_NET_OK;
        if (!moved && br_ssl_engine_last_error(&client.ssl.eng))
            return false;
    }
    fail_msg("the handshake does not end");
    return false;
}

static void hang_up(void)
{
    int fd = server->fd;

    server->ops->free(server);
    server = NULL;
    close(fd);
    close(client.fd);
}

static bool connect_with(int number)
{
    make_client(number);
    assert_true(connect_pair());
    return shake(false);
}

static void says(const char *words)
{
    char why[LH_TLS_FAILURE_BYTES];

    assert_true(lh_tls_failure(server, why));
    assert_string_equal(why, words);
}

/* The server is gone; what it sent before is there. */
static void client_got_alert(int alert)
{
    for (int i = 0; i < 20; i++)
        test_tls_client_pump(&client);
    assert_int_equal(br_ssl_engine_last_error(&client.ssl.eng),
                     BR_ERR_RECV_FATAL_ALERT + alert);
}

/* --- what verifies -------------------------------------------------------- */

static void every_type_of_key_is_verified(void **state)
{
    static const char *const subjects[] = {
        "CN=ec256,O=lhttpd test", "CN=rsa2048,O=lhttpd test",
        "CN=ec384,O=lhttpd test", "CN=ec521,O=lhttpd test",
        "CN=rsa4096,O=lhttpd test"};

    (void)state;
    for (int optional = 0; optional < 2; optional++) {
        begin(DATA "root.pem", optional);
        for (int i = 0; i < 5; i++) {
            assert_true(connect_with(i));
            const struct lh_client_cert *cert = lh_tls_client(server);
            assert_int_equal(cert->verify, LH_CLIENT_SUCCESS);
            assert_string_equal(cert->subject, subjects[i]);
            const struct test_pair *pair = &clients[i];
            br_sha256_context hash;
            uint8_t out[br_sha256_SIZE];
            br_sha256_init(&hash);
            br_sha256_update(&hash, pair->chain[0].data,
                             pair->chain[0].data_len);
            br_sha256_out(&hash, out);
            assert_memory_equal(cert->fingerprint, out, sizeof(out));
            lh_tls_forget_client(server);
            assert_null(lh_tls_client(server));
            hang_up();
        }
        end();
    }
}

/* Nobody is asked where there is no authority, and nothing is held. */
static void nobody_is_asked_without_authorities(void **state)
{
    (void)state;
    begin(NULL, false);
    assert_true(connect_with(EC256));
    assert_null(lh_tls_client(server));
    hang_up();
    end();
}

/* --- what does not -------------------------------------------------------- */

static void a_certificate_is_required_or_not(void **state)
{
    (void)state;
    begin(DATA "root.pem", false);
    assert_false(connect_with(-1));
    says("the client has sent no certificate");
    client_got_alert(40);
    hang_up();
    end();
    begin(DATA "root.pem", true);
    assert_true(connect_with(-1));
    assert_int_equal(lh_tls_client(server)->verify, LH_CLIENT_NONE);
    hang_up();
    end();
}

static void another_authority_is_unknown(void **state)
{
    (void)state;
    begin(DATA "common.pem", false);
    assert_false(connect_with(RSA2048));
    says("the client's certificate: unknown issuer");
    client_got_alert(48);
    hang_up();
    end();
    begin(DATA "common.pem", true);
    assert_true(connect_with(RSA2048));
    const struct lh_client_cert *cert = lh_tls_client(server);
    assert_int_equal(cert->verify, LH_CLIENT_FAILED);
    assert_string_equal(lh_client_fault_words(cert->fault), "unknown issuer");
    assert_string_equal(cert->subject, "CN=rsa2048,O=lhttpd test");
    hang_up();
    end();
}

/* Who shows a certificate has to have its key: also where it does not verify,
 * for a script may look at the fingerprint alone. */
static void a_certificate_of_somebody_else_is_refused(void **state)
{
    static const char *const authorities[] = {DATA "root.pem",
                                              DATA "common.pem"};
    const struct test_pair *pair = &clients[EC256];
    br_skey_decoder_context other = pair->key;

    (void)state;
    other.key.ec.x = other.key_data;
    memcpy(other.key_data, pair->key.key.ec.x, pair->key.key.ec.xlen);
    other.key_data[other.key.ec.xlen - 1] ^= 1;
    for (size_t i = 0; i < 2; i++) {
        begin(authorities[i], true);
        make_client(-1);
        show(pair->chain, pair->chain_n, &other);
        assert_true(connect_pair());
        assert_false(shake(false));
        says("the client has not shown that it has its certificate's key");
        client_got_alert(51);
        hang_up();
        end();
    }
}

static void long_chains_are_refused(void **state)
{
    const struct test_pair *pair = &clients[EC256];
    br_x509_certificate chain[17];

    (void)state;
    for (size_t i = 0; i < 17; i++)
        chain[i] = pair->chain[i > 0];
    for (int optional = 0; optional < 2; optional++) {
        begin(DATA "common.pem", optional);
        make_client(-1);
        show(chain, 17, &pair->key);
        assert_true(connect_pair());
        assert_int_equal(shake(false), optional);
        if (optional)
            assert_int_equal(lh_tls_client(server)->fault, LH_CLIENT_TOO_LONG);
        else
            says("the client's certificate: its chain or its subject is too "
                 "long");
        hang_up();
        end();
    }
}

/* Octets that are no certificate, by a client that believes in them. */
static void damaged_certificates_are_refused(void **state)
{
    const struct test_pair *pair = &clients[EC256];
    uint8_t der[2048];
    br_x509_certificate chain[] = {{der, pair->chain[0].data_len},
                                   pair->chain[1]};

    (void)state;
    begin(DATA "root.pem", false);
    for (size_t i = 0; i < chain[0].data_len; i += 7) {
        memcpy(der, pair->chain[0].data, chain[0].data_len);
        der[i] ^= 0x40;
        make_client(-1);
        show(chain, 2, &pair->key);
        assert_true(connect_pair());
        assert_false(shake(false));
        hang_up();
    }
    end();
}

/* --- sessions ------------------------------------------------------------- */

#if TEST_BEARSSL /* this client brings no tickets to OpenSSL: see test_tls13   \
                  */

static bool resume_with(const char *file, bool optional)
{
    begin(file, optional);
    assert_true(connect_pair());
    bool done = shake(true);
    return done;
}

static void a_session_keeps_what_was_verified(void **state)
{
    (void)state;
    begin(DATA "root.pem", true);
    assert_true(connect_with(EC384));
    hang_up();
    for (int i = 0; i < 2; i++) {
        assert_true(connect_pair());
        assert_true(shake(true));
        assert_true(lh_tls_is_resumed(server));
        const struct lh_client_cert *cert = lh_tls_client(server);
        assert_int_equal(cert->verify, LH_CLIENT_SUCCESS);
        assert_string_equal(cert->subject, "CN=ec384,O=lhttpd test");
        hang_up();
    }
    end();
    /* a server that was started anew knows no session */
    assert_true(resume_with(DATA "root.pem", true));
    assert_false(lh_tls_is_resumed(server));
    hang_up();
    end();
}

static struct lh_creds *creds_with(const char *file, bool optional)
{
    struct lh_creds *before = creds, *made;
    struct lh_err err;

    creds = made = lh_creds_new();
    test_pair_add(made, "ec256");
    assert_int_equal(add_ca(file, &err), 0);
    lh_creds_set_client_optional(made, optional);
    creds = before;
    return made;
}

/* Nor when it had been made while certificates were optional. */
static void sessions_are_not_carried_over_to_other_authorities(void **state)
{
    static const struct {
        const char *file;
        bool optional, resumed;
    } later[] = {
        {DATA "root.pem", true, true},
        {DATA "root.pem", false, false},
        {DATA "middle.pem", true, false},
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        begin(DATA "root.pem", true);
        assert_true(connect_with(EC256));
        hang_up();
        struct lh_creds *other = creds_with(later[i].file, later[i].optional);
        lh_tls_worker_give(pools.tls, other);
        lh_creds_free(other);
        assert_true(connect_pair());
        assert_true(shake(true));
        assert_int_equal(lh_tls_is_resumed(server), later[i].resumed);
        assert_int_equal(lh_tls_client(server)->verify, LH_CLIENT_SUCCESS);
        hang_up();
        end();
    }
}

/* Who knows a session's number, which is no secret, need not have its key: a
 * client that names it and leaves out its suite gets a full handshake, and
 * shows there what it has. */
static void a_session_that_does_not_fit_verifies_nobody(void **state)
{
    static const uint16_t first[] = {
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256};
    static const uint16_t other[] = {
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256};
    br_ssl_session_parameters known;

    (void)state;
    begin(DATA "root.pem", true);
    make_client(EC384);
    br_ssl_engine_set_suites(&client.ssl.eng, first, 1);
    assert_true(connect_pair());
    assert_true(shake(false));
    br_ssl_engine_get_session_parameters(&client.ssl.eng, &known);
    hang_up();
    make_client(-1);
    br_ssl_engine_set_suites(&client.ssl.eng, other, 1);
    memset(known.master_secret, 0, sizeof(known.master_secret));
    br_ssl_engine_set_session_parameters(&client.ssl.eng, &known);
    assert_true(connect_pair());
    assert_true(shake(true));
    assert_false(lh_tls_is_resumed(server));
    const struct lh_client_cert *cert = lh_tls_client(server);
    assert_int_equal(cert->verify, LH_CLIENT_NONE);
    assert_string_equal(cert->subject, "");
    hang_up();
    end();
}

#endif

/* --- memory --------------------------------------------------------------- */

/* Whatever fails: the handshake does, or the certificate is verified.  It is
 * never taken for none, or for one that does not verify. */
static void lack_of_memory_is_no_verdict(void **state)
{
    (void)state;
    for (int optional = 0; optional < 2; optional++) {
        begin(DATA "root.pem", optional);
        for (unsigned long n = 1; n <= 14; n++) {
            make_client(EC256);
            test_heap_install();
            test_heap_fail_at(n);
            if (connect_pair()) {
                if (shake(false))
                    assert_int_equal(lh_tls_client(server)->verify,
                                     LH_CLIENT_SUCCESS);
                hang_up();
            } else {
                close(client.fd);
            }
            test_heap_fail_at(0);
            test_heap_uninstall();
        }
        assert_true(connect_with(EC256));
        hang_up();
        end();
    }
}

static void nothing_is_lost_when_reading_fails(void **state)
{
    struct lh_err err;

    (void)state;
    test_heap_install();
    unsigned long n = 0;
    int r;
    do {
        creds = lh_creds_new();
        test_heap_fail_at(++n);
        r = add_ca(DATA "ec256.pem", &err);
        test_heap_fail_at(0);
        lh_creds_free(creds);
        assert_int_equal(test_heap_live(), 0);
        assert_true(r == 0 || r == LHTTPD_ENOMEM);
    } while (r < 0);
    assert_true(n > 6);
    test_heap_uninstall();
}

/* --- authorities ---------------------------------------------------------- */

static void what_is_no_authority_is_refused_in_words(void **state)
{
    static const struct {
        const char *file, *words;
    } bad[] = {
        {DATA "nowhere.pem", "no such file"},
        {DATA "empty.pem", "it holds no certificate"},
        {DATA "ec256.key", "it holds no certificate"},
        {DATA "nonsense.pem", "the 1. certificate is damaged"},
        {DATA "secp256k1.pem", "the 1. certificate is damaged, or its key"},
        {DATA "rsa1024.pem", "its key is not RSA (2048 bits or more)"},
    };
    lhttpd_client_ca_t none = lhttpd_client_ca_init();
    struct lh_err err;

    (void)state;
    creds = lh_creds_new();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(add_ca(bad[i].file, &err), LHTTPD_ECERT);
        if (!strstr(err.text, "client CA '") || !strstr(err.text, bad[i].words))
            fail_msg("%s: %s", bad[i].file, err.text);
    }
    assert_int_equal(lh_creds_add_client_ca(creds, &none, &err), LHTTPD_ECERT);
    assert_string_equal(err.text, "client CA in memory: none was given");
    assert_null(lh_creds_client_ca(creds));
    lh_creds_free(creds);
}

/* From memory as from a file; each one more to what there was. */
static void authorities_add_up(void **state)
{
    lhttpd_client_ca_t ca = lhttpd_client_ca_init();
    static char pem[65536];
    struct lh_err err;
    uint8_t digest[br_sha256_SIZE];

    (void)state;
    FILE *f = fopen(DATA "root.pem", "r");
    ca.pem = pem;
    ca.pem_size = fread(pem, 1, sizeof(pem), f);
    fclose(f);
    creds = lh_creds_new();
    assert_int_equal(lh_creds_add_client_ca(creds, &ca, &err), 0);
    struct lh_client_ca *set = lh_creds_client_ca(creds);
    assert_int_equal(lh_anchors_count(set->anchors), 1);
    memcpy(digest, set->digest, sizeof(digest));
    assert_int_equal(add_ca(DATA "ec256.pem", &err), 0);
    set = lh_creds_client_ca(creds);
    assert_int_equal(lh_anchors_count(set->anchors), 3);
#if TEST_BEARSSL
    assert_int_equal(set->anchors->list[0].flags, BR_X509_TA_CA);
    assert_int_equal(set->anchors->list[1].flags, 0); /* a leaf: itself alone */
#endif
    assert_memory_not_equal(set->digest, digest, sizeof(digest));
    lh_creds_free(creds);
    creds = lh_creds_new();
    assert_int_equal(add_ca(DATA "root.pem", &err), 0);
    assert_memory_equal(lh_creds_client_ca(creds)->digest, digest,
                        sizeof(digest));
    lh_creds_free(creds);
}

/* Some system's list of all authorities of the web is too long for that. */
static void too_many_names_are_refused(void **state)
{
    lhttpd_client_ca_t ca = lhttpd_client_ca_init();
    static char one[4096], pem[4096 * 1600];
    struct lh_err err;

    (void)state;
    FILE *f = fopen(DATA "root.pem", "r");
    size_t n = fread(one, 1, sizeof(one) - 1, f);
    fclose(f);
    for (int i = 0; i < 1500; i++)
        memcpy(pem + (size_t)i * n, one, n);
    ca.pem = pem;
    ca.pem_size = 1500 * n;
    creds = lh_creds_new();
    assert_int_equal(lh_creds_add_client_ca(creds, &ca, &err), LHTTPD_ECERT);
    assert_non_null(strstr(err.text, "1500 authorities"));
    lh_creds_free(creds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_of_key_is_verified),
        cmocka_unit_test(nobody_is_asked_without_authorities),
        cmocka_unit_test(a_certificate_is_required_or_not),
        cmocka_unit_test(another_authority_is_unknown),
        cmocka_unit_test(a_certificate_of_somebody_else_is_refused),
        cmocka_unit_test(long_chains_are_refused),
        cmocka_unit_test(damaged_certificates_are_refused),
#if TEST_BEARSSL
        cmocka_unit_test(a_session_keeps_what_was_verified),
        cmocka_unit_test(sessions_are_not_carried_over_to_other_authorities),
        cmocka_unit_test(a_session_that_does_not_fit_verifies_nobody),
#endif
        cmocka_unit_test(lack_of_memory_is_no_verdict),
        cmocka_unit_test(nothing_is_lost_when_reading_fails),
        cmocka_unit_test(what_is_no_authority_is_refused_in_words),
        cmocka_unit_test(authorities_add_up),
        cmocka_unit_test(too_many_names_are_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
