/* The TLS transport by OpenSSL, against OpenSSL's client on a socket pair. */
#include "lib/aside.h"
#include "lib/pairs.h"
#include "net/away.h"
#include "net/tls_context_openssl.h"
#include "net/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/kdf.h>

#define DATA TEST_DATA "/tls/"

#define STEPS_MAX 2000 /* of a loop that must come to an end */

static struct lh_creds *creds;
static struct lh_tls_shared *shared;
static struct lh_net_pools pools;
static bool aside;  /* a helper does what is long of a handshake */
static bool offers; /* the kernel is offered keys, and refuses: it is no TCP */
static unsigned went; /* steps that it had */
static struct lh_transport *server;
static SSL_CTX *client_ctx;
static SSL *client;
static SSL_SESSION *session; /* the newest that came, or NULL */
static int client_fd;

static int keep_session(SSL *ssl, SSL_SESSION *new)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = new;
    return 1;
}

static void begin(const char *ca, bool optional)
{
    lhttpd_client_ca_t from = lhttpd_client_ca_init();
    struct lh_err err;

    creds = lh_creds_new();
    test_pair_add(creds, "ec256");
    test_pair_add(creds, "rsa2048");
    test_pair_add(creds, "ed25519");
    from.file = ca;
    if (ca)
        assert_int_equal(lh_creds_add_client_ca(creds, &from, &err), 0);
    lh_creds_set_client_optional(creds, optional);
    assert_int_equal(lh_tls_shared_new(&shared, creds, true, &err), 0);
    if (offers)
        lh_tls_use_kernel(shared);
    lh_net_pools_init(&pools);
    pools.tls = lh_tls_worker_new(shared);
    assert_non_null(pools.tls);
    if (aside)
        test_aside_begin(&pools);
    client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(client_ctx, keep_session);
}

static void end(void)
{
    SSL_SESSION_free(session);
    session = NULL;
    SSL_CTX_free(client_ctx);
    lh_away_end(&pools);
    assert_int_equal(pools.chunks.out, 0);
    lh_tls_worker_free(pools.tls); /* asserts that nothing is out */
    lh_net_pools_deinit(&pools);
    lh_tls_shared_free(shared);
    lh_creds_free(creds);
}

static int set_up(void **state)
{
    (void)state;
    begin(NULL, false);
    return 0;
}

static void hang_up(void)
{
    int fd = server->fd;

    server->ops->free(server);
    server = NULL;
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN); /* else its session is bad */
    SSL_free(client);
    close(fd);
    close(client_fd);
}

static int tear_down(void **state)
{
    (void)state;
    if (server) /* the test failed */
        hang_up();
    end();
    return 0;
}

/* A client that is not started yet; `name` NULL: it sends none. */
static void connect_client(int version, const char *name)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    server = lh_tls_new(&pools, fds[0]);
    assert_non_null(server);
    client_fd = fds[1];
    client = SSL_new(client_ctx);
    SSL_set_fd(client, client_fd);
    SSL_set_connect_state(client);
    SSL_set_min_proto_version(client, version);
    SSL_set_max_proto_version(client, version);
    if (name)
        SSL_set_tlsext_host_name(client, name);
}

/* What the server found in one step. */
static enum lh_net step(void)
{
    enum lh_net got = LH_NET_OK;
    size_t n;

    if (!server->ops->peek(server, &n))
        got = server->ops->receive(server);
    went += server->away;
    test_aside_wait(server);
    if (server->ops->send(server) == LH_NET_LOST)
        got = LH_NET_LOST;
    return got;
}

static bool shake(void)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        int done = SSL_do_handshake(client);
        ERR_clear_error();
        enum lh_net got = step();
        if (got == LH_NET_LOST)
            return false;
        if (done == 1 && lh_tls_state(server) == LH_TLS_READY)
            return true;
    }
    fail_msg("the handshake does not end");
    return false;
}

static void serve(const char *s)
{
    size_t room;
    uint8_t *p = server->ops->buf(server, &room);

    assert_non_null(p);
    memcpy(p, s, strlen(s));
    server->ops->ack(server, strlen(s));
    assert_int_equal(server->ops->send(server), LH_NET_OK);
}

/* "ping" from the client, "pong" from the server; tickets come before it. */
static void exchange(void)
{
    char in[16];
    size_t n = 0;

    assert_int_equal(SSL_write(client, "ping", 4), 4);
    for (int i = 0; i < 10 && !server->ops->peek(server, &n); i++)
        assert_int_not_equal(step(), LH_NET_LOST);
    assert_int_equal(n, 4);
    server->ops->consume(server, 4);
    serve("pong");
    assert_int_equal(SSL_read(client, in, sizeof(in)), 4);
    assert_memory_equal(in, "pong", 4);
}

static void says(const char *words)
{
    char why[LH_TLS_FAILURE_BYTES];

    assert_true(lh_tls_failure(server, why));
    assert_string_equal(why, words);
}

/* --- Handshakes -------------------------------------------------------- */

static void every_suite_works(void **state)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
                                         "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        connect_client(TLS1_3_VERSION, "a.example.org");
        SSL_set_ciphersuites(client, suites[i]);
        assert_true(shake());
        assert_string_equal(lh_tls_protocol(server), "TLSv1.3");
        assert_string_equal(lh_tls_cipher(server), suites[i]);
        assert_string_equal(lh_tls_server_name(server), "a.example.org");
        exchange();
        hang_up();
    }
}

/* The first pair in our order that the client can verify. */
static void picks_what_the_client_can_verify(void **state)
{
    static const struct {
        int version;
        const char *schemes;
        int type;
    } cases[] = {
        {TLS1_3_VERSION, "ed25519:ECDSA+SHA256", EVP_PKEY_EC},
        {TLS1_3_VERSION, "ed25519", EVP_PKEY_ED25519},
        {TLS1_3_VERSION, "ed25519:RSA-PSS+SHA256", EVP_PKEY_RSA},
        {TLS1_3_VERSION, "ECDSA+SHA384:RSA-PSS+SHA512", EVP_PKEY_RSA},
        {TLS1_2_VERSION, "ECDSA+SHA384:RSA-PSS+SHA512", EVP_PKEY_EC},
        {TLS1_2_VERSION, "ed25519", EVP_PKEY_ED25519},
        {TLS1_2_VERSION, "RSA+SHA256:ed25519", EVP_PKEY_RSA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        connect_client(cases[i].version, NULL);
        assert_int_equal(SSL_set1_sigalgs_list(client, cases[i].schemes), 1);
        assert_true(shake());
        X509 *leaf = SSL_get0_peer_certificate(client);
        assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(leaf)),
                         cases[i].type);
        exchange();
        hang_up();
    }
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        connect_client(version, NULL);
        assert_int_equal(SSL_set1_sigalgs_list(client, "ECDSA+SHA384"), 1);
        if (version == TLS1_2_VERSION)
            SSL_set1_groups_list(client, "P-384");
        assert_false(shake());
        says("no certificate here fits what the client can verify");
        hang_up();
    }
}

static void agrees_on_a_protocol(void **state)
{
    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    SSL_set_alpn_protos(client, (const uint8_t *)"\x8http/1.1\2h2", 12);
    assert_true(shake());
    assert_true(lh_tls_is_h2(server));
    hang_up();
    connect_client(TLS1_3_VERSION, NULL);
    SSL_set_alpn_protos(client, (const uint8_t *)"\6spdy/3", 7);
    assert_false(shake());
    says("no application protocol in common (ALPN)");
    hang_up();
}

/* RFC 8446, 6.1: mostly since its user has cancelled it.  That is an end and no
 * failure, unless the alert says that it is one. */
static void hears_a_goodbye_in_a_handshake(void **state)
{
    static const char goodbye[] = "\x15\3\3\0\2\1\0";
    static const char cancelled[] = "\x15\3\3\0\2\1\x5a\x15\3\3\0\2\1\0";
    static const char fatal[] = "\x15\3\3\0\2\2\0";
    static const struct {
        int version;
        const char *alert;
        size_t n;
        enum lh_net is;
    } cases[] = {
        {TLS1_2_VERSION, goodbye, sizeof(goodbye) - 1, LH_NET_EOF},
        {TLS1_2_VERSION, cancelled, sizeof(cancelled) - 1, LH_NET_EOF},
        {TLS1_2_VERSION, fatal, sizeof(fatal) - 1, LH_NET_LOST},
        {TLS1_3_VERSION, goodbye, sizeof(goodbye) - 1, LH_NET_EOF},
        {TLS1_3_VERSION, cancelled, sizeof(cancelled) - 1, LH_NET_EOF},
        {TLS1_3_VERSION, fatal, sizeof(fatal) - 1, LH_NET_EOF},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum lh_net got = LH_NET_AGAIN;
        connect_client(cases[i].version, NULL);
        assert_int_equal(SSL_do_handshake(client), -1);
        for (int k = 0; k < 5; k++)
            assert_int_equal(step(), LH_NET_AGAIN);
        assert_int_equal(write(client_fd, cases[i].alert, cases[i].n),
                         cases[i].n);
        for (int k = 0; k < 5 && got == LH_NET_AGAIN; k++)
            got = step();
        assert_int_equal(got, cases[i].is);
        assert_int_equal(step(), got);
        if (got == LH_NET_LOST)
            says("close notify (alert 0) from the client");
        hang_up();
    }
}

/* --- Resumption -------------------------------------------------------- */

/* A ticket that replaces another comes without a call of keep_session() in TLS
 * 1.2, and the old one is of no use to OpenSSL's client any more. */
static bool shake_again(int version, const char *name)
{
    connect_client(version, name);
    SSL_set_session(client, session);
    assert_true(shake());
    exchange();
    bool resumed = SSL_session_reused(client);
    assert_int_equal(lh_tls_is_resumed(server), resumed);
    if (resumed && version == TLS1_2_VERSION) {
        SSL_SESSION_free(session);
        session = SSL_get1_session(client);
    }
    return resumed;
}

/* One that is resumed is short. */
static void what_is_long_goes_aside(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        went = 0;
        connect_client(version, "a.example.org");
        assert_true(shake());
        exchange();
        assert_int_equal(went > 0, aside);
        hang_up();
        went = 0;
        assert_true(shake_again(version, "a.example.org"));
        assert_int_equal(went, 0);
        hang_up();
    }
}

static void resumes_on_any_worker(void **state)
{
    struct lh_tls_worker *first = pools.tls;

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        connect_client(version, "a.example.org");
        assert_true(shake());
        exchange();
        assert_non_null(session);
        hang_up();
        assert_true(shake_again(version, "A.example.org"));
        hang_up();
        pools.tls = lh_tls_worker_new(shared);
        assert_true(shake_again(version, "a.example.org"));
        hang_up();
        lh_tls_worker_free(pools.tls);
        pools.tls = first;
    }
}

/* The longest name that stands for itself. */
#define LONG_NAME "a23456789.example.example.orga"

/* RFC 6066, 3: under another name a full handshake follows. */
static void resumes_for_the_same_name_only(void **state)
{
    _Static_assert(sizeof(LONG_NAME) == 31, "with an octet, 31 of 32");
    static const struct {
        const char *first, *then;
        bool resumes;
    } cases[] = {
        {"a.example.org", "b.example.org", false},
        {"a.example.org", NULL, false},
        {NULL, "a.example.org", false},
        {NULL, NULL, true},
        {"a.example.org", "A.EXAMPLE.ORG", true},
        {"a.example.org", "a.example.org.", true},
        {LONG_NAME, LONG_NAME, true},
        {LONG_NAME, "a" LONG_NAME, false},
        {"a" LONG_NAME, "a" LONG_NAME, true},
        {"a" LONG_NAME, "b" LONG_NAME, false},
    };

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            connect_client(version, cases[i].first);
            assert_true(shake());
            exchange();
            hang_up();
            assert_int_equal(shake_again(version, cases[i].then),
                             cases[i].resumes);
            hang_up();
        }
    }
}

static void forgets_sessions_of_another_server(void **state)
{
    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    exchange();
    hang_up();
    SSL_SESSION *old = session;
    session = NULL;
    end();
    begin(NULL, false);
    session = old;
    assert_false(shake_again(TLS1_3_VERSION, NULL));
    hang_up();
}

static uint64_t ahead_ms; /* of the time that it is */

uint64_t __real_lh_clock_ms(void);
uint64_t __wrap_lh_clock_ms(void);

uint64_t __wrap_lh_clock_ms(void)
{
    return __real_lh_clock_ms() + ahead_ms;
}

/* However often it was resumed: what a client has shown is believed so long. */
static void a_session_ends_an_hour_after_its_beginning(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        connect_client(version, NULL);
        assert_true(shake());
        exchange();
        hang_up();
        for (int i = 0; i < 2; i++) {
            ahead_ms += UINT64_C(25) * 60 * 1000;
            assert_true(shake_again(version, NULL));
            hang_up();
        }
        ahead_ms += UINT64_C(25) * 60 * 1000;
        assert_false(shake_again(version, NULL));
        hang_up();
        assert_true(shake_again(version, NULL)); /* another */
        hang_up();
    }
    ahead_ms = 0;
}

/* Over the end of its key's period, twelve hours, and of the next one's. */
static void a_ticket_outlives_its_key(void **state)
{
    uint64_t period = LH_TICKET_PERIOD_MS;

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        ahead_ms = period - __real_lh_clock_ms() % period - 60000;
        connect_client(version, NULL);
        assert_true(shake());
        exchange();
        hang_up();
        ahead_ms += UINT64_C(2) * 60000;
        for (int i = 0; i < 2; i++) { /* by the old one, by the new one */
            assert_true(shake_again(version, NULL));
            hang_up();
        }
        ahead_ms += 2 * period;
        assert_false(shake_again(version, NULL));
        hang_up();
    }
    ahead_ms = 0;
}

/* --- Client certificates ----------------------------------------------- */

static void show(const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), DATA "%s.pem", name);
    assert_int_equal(SSL_use_certificate_chain_file(client, path), 1);
    snprintf(path, sizeof(path), DATA "%s.key", name);
    assert_int_equal(SSL_use_PrivateKey_file(client, path, SSL_FILETYPE_PEM),
                     1);
}

static void a_session_keeps_what_was_verified(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        begin(DATA "root.pem", false);
        connect_client(version, NULL);
        show("ec384");
        assert_true(shake());
        exchange();
        hang_up();
        assert_true(shake_again(version, NULL));
        const struct lh_client_cert *cert = lh_tls_client(server);
        assert_int_equal(cert->verify, LH_CLIENT_SUCCESS);
        assert_string_equal(cert->subject, "CN=ec384,O=lhttpd test");
        lh_tls_forget_client(server);
        assert_null(lh_tls_client(server));
        hang_up();
        end();
    }
}

/* One that does not verify is told, and judged each time; and no session of
 * other authorities is taken. */
static void a_session_is_of_its_authorities(void **state)
{
    lhttpd_client_ca_t from = lhttpd_client_ca_init();
    struct lh_err err;

    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        begin(DATA "common.pem", true);
        connect_client(version, NULL);
        show("ec384");
        assert_true(shake());
        assert_int_equal(lh_tls_client(server)->fault,
                         LH_CLIENT_UNKNOWN_ISSUER);
        exchange();
        hang_up();
        if (session) { /* one of TLS 1.2 has no ticket */
            assert_false(shake_again(version, NULL));
            hang_up();
        }
        connect_client(version, NULL);
        assert_true(shake());
        assert_int_equal(lh_tls_client(server)->verify, LH_CLIENT_NONE);
        exchange();
        hang_up();
        assert_true(shake_again(version, NULL));
        hang_up();
        struct lh_creds *old = creds;
        creds = lh_creds_new();
        test_pair_add(creds, "ec256");
        from.file = DATA "root.pem";
        assert_int_equal(lh_creds_add_client_ca(creds, &from, &err), 0);
        lh_creds_set_client_optional(creds, true);
        lh_tls_worker_give(pools.tls, creds);
        lh_creds_free(old);
        assert_false(shake_again(version, NULL));
        hang_up();
        end();
    }
}

/* --- Application data -------------------------------------------------- */

/* RFC 8446, 6.1: it closes one side, and is answered. */
static void answers_behind_a_goodbye(void **state)
{
    char in[16];

    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    exchange();
    SSL_shutdown(client);
    assert_int_equal(server->ops->receive(server), LH_NET_EOF);
    assert_true(server->ended);
    assert_false(server->ops->unsent(server));
    serve("answer");
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    assert_int_equal(SSL_read(client, in, sizeof(in)), 6);
    assert_int_equal(SSL_read(client, in, sizeof(in)), 0);
    assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
    hang_up();
}

/* One packet less for each connection: the goodbye leaves with the last octets,
 * and shutdown does not say it again. */
static void says_goodbye_with_the_last(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    char in[16];
    size_t room;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        connect_client(versions[i], NULL);
        assert_true(shake());
        exchange();
        server->last = true;
        serve("answer");
        assert_int_equal(SSL_read(client, in, sizeof(in)), 6);
        assert_int_equal(SSL_read(client, in, sizeof(in)), 0);
        assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
        assert_null(server->ops->buf(server, &room));
        assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
        assert_int_equal(recv(client_fd, in, sizeof(in), 0), 0);
        hang_up();
    }
}

static void changes_keys_when_asked(void **state)
{
    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
        exchange();
    }
    hang_up();
}

/* A client that is slower than what is written: all that waits leaves again and
 * again, though the socket takes little at once. */
static void all_leaves_now_and_then(void **state)
{
    uint8_t in[4096];
    unsigned empty = 0;
    size_t room;
    uint8_t *p;

    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    exchange();
    assert_int_equal(setsockopt(server->fd, SOL_SOCKET, SO_SNDBUF, &(int){8192},
                                sizeof(int)),
                     0);
    for (int i = 0; i < STEPS_MAX; i++) {
        while ((p = server->ops->buf(server, &room)) != NULL) {
            memset(p, 'x', room);
            server->ops->ack(server, room);
        }
        empty += server->ops->send(server) == LH_NET_OK;
        (void)SSL_read(client, in, sizeof(in));
        ERR_clear_error();
    }
    assert_in_range(empty, 10, STEPS_MAX / 2);
    hang_up();
}

/* The client's first secret for application data, of a suite with SHA-256. */
static uint8_t secret[32];

static void keep_secret(const SSL *ssl, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    const char *hex = strrchr(line, ' ') + 1;

    (void)ssl;
    if (strncmp(line, label, sizeof(label) - 1) != 0)
        return;
    for (size_t i = 0; i < sizeof(secret); i++) {
        unsigned octet;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &octet), 1);
        secret[i] = (uint8_t)octet;
    }
}

/* HKDF-Expand-Label of the secret, without a context (RFC 8446, 7.1). */
static void expand(const char *label, uint8_t *out, size_t n)
{
    uint8_t info[64] = {0, (uint8_t)n, (uint8_t)(6 + strlen(label))};
    size_t info_n = 3 + 6 + strlen(label) + 1;
    EVP_PKEY_CTX *hkdf = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);

    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, strlen(label));
    assert_int_equal(EVP_PKEY_derive_init(hkdf), 1);
    EVP_PKEY_CTX_set_hkdf_mode(hkdf, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY);
    EVP_PKEY_CTX_set_hkdf_md(hkdf, EVP_sha256());
    EVP_PKEY_CTX_set1_hkdf_key(hkdf, secret, sizeof(secret));
    EVP_PKEY_CTX_add1_hkdf_info(hkdf, info, (int)info_n);
    assert_int_equal(EVP_PKEY_derive(hkdf, out, &n), 1);
    EVP_PKEY_CTX_free(hkdf);
}

/* The client's first record of application keys: the head of a KeyUpdate
 * message, whose end does not come.  OpenSSL's client does not make such
 * records. */
static void say_half_a_message(void)
{
    static const uint8_t plain[] = {24, 0, 0, 1, 22};
    uint8_t key[16], iv[12], record[5 + sizeof(plain) + 16] = {23, 3, 3, 0, 21};
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    int n;

    expand("key", key, sizeof(key));
    expand("iv", iv, sizeof(iv));
    assert_int_equal(EVP_EncryptInit(gcm, EVP_aes_128_gcm(), key, iv), 1);
    EVP_EncryptUpdate(gcm, NULL, &n, record, 5);
    EVP_EncryptUpdate(gcm, record + 5, &n, plain, sizeof(plain));
    EVP_EncryptFinal(gcm, record + 5 + n, &n);
    EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_GET_TAG, 16,
                        record + 5 + sizeof(plain));
    EVP_CIPHER_CTX_free(gcm);
    assert_int_equal(write(client_fd, record, sizeof(record)), sizeof(record));
}

/* OpenSSL writes nothing before it has the rest of a message, and who sends a
 * part of one and waits for an answer waits in vain. */
static void loses_who_stops_in_a_message(void **state)
{
    size_t room;

    (void)state;
    SSL_CTX_set_keylog_callback(client_ctx, keep_secret);
    connect_client(TLS1_3_VERSION, NULL);
    SSL_set_ciphersuites(client, "TLS_AES_128_GCM_SHA256");
    assert_true(shake());
    say_half_a_message();
    assert_int_equal(step(), LH_NET_AGAIN);
    uint8_t *p = server->ops->buf(server, &room);
    assert_non_null(p);
    memcpy(p, "answer", 6);
    server->ops->ack(server, 6);
    assert_int_equal(server->ops->send(server), LH_NET_LOST);
    says("the client stopped in the middle of a TLS message");
    hang_up();
}

/* A client that asks for answers without end and does not read them. */
static void loses_who_does_not_read_answers(void **state)
{
    bool lost = false;

    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    for (int i = 0; i < 200000 && !lost; i++) {
        SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(client);
        ERR_clear_error();
        lost = step() == LH_NET_LOST;
    }
    assert_true(lost);
    hang_up();
}

/* Somebody else's error in this thread is not taken for the connection's: where
 * it writes, and where only the head of a record has come. */
static void is_not_misled_by_errors_of_others(void **state)
{
    char in[16];

    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    exchange();
    ERR_raise(ERR_LIB_USER, 42);
    serve("pong");
    assert_int_equal(SSL_read(client, in, sizeof(in)), 4);
    ERR_raise(ERR_LIB_USER, 42);
    assert_int_equal(write(client_fd, "\x17\x03\x03", 3), 3);
    assert_int_equal(server->ops->receive(server), LH_NET_AGAIN);
    hang_up();
}

static void holds_nothing_at_rest(void **state)
{
    size_t n, room;

    (void)state;
    connect_client(TLS1_3_VERSION, "a.example.org");
    assert_true(shake());
    for (int i = 0; i < 3; i++) {
        exchange();
        server->ops->rest(server);
        assert_int_equal(pools.chunks.out, 0);
        assert_int_equal(pools.tls->records.out, 0);
    }
    assert_int_equal(SSL_write(client, "ping", 4), 4);
    assert_int_equal(step(), LH_NET_OK);
    memcpy(server->ops->buf(server, &room), "pong", 4);
    server->ops->ack(server, 4);
    server->ops->rest(server);
    assert_int_equal(pools.tls->records.out, 1); /* what is peeked at */
    assert_int_equal(pools.chunks.out, 1);       /* what is unsent */
    assert_memory_equal(server->ops->peek(server, &n), "ping", 4);
    server->ops->consume(server, 4);
    assert_int_equal(server->ops->send(server), LH_NET_OK);
    server->ops->rest(server);
    assert_int_equal(pools.chunks.out, 0);
    assert_int_equal(pools.tls->records.out, 0);
    hang_up();
}

/* The other one of two connections. */
static struct {
    struct lh_transport *server;
    SSL *client;
    int client_fd;
} second;

static void turn_to_the_other(void)
{
    struct lh_transport *first = server;
    SSL *first_client = client;
    int first_fd = client_fd;

    server = second.server;
    client = second.client;
    client_fd = second.client_fd;
    second.server = first;
    second.client = first_client;
    second.client_fd = first_fd;
}

static void ask_and_answer(const char *answer)
{
    size_t n, room;

    assert_int_equal(SSL_write(client, "ping", 4), 4);
    assert_int_equal(step(), LH_NET_OK);
    assert_memory_equal(server->ops->peek(server, &n), "ping", 4);
    server->ops->consume(server, 4);
    memcpy(server->ops->buf(server, &room), answer, strlen(answer));
    server->ops->ack(server, strlen(answer));
}

static void is_answered(const char *answer)
{
    char in[16];

    assert_int_equal(server->ops->send(server), LH_NET_OK);
    assert_int_equal(SSL_read(client, in, sizeof(in)), strlen(answer));
    assert_memory_equal(in, answer, strlen(answer));
}

/* One begins its handshake while the other is served; then both have an answer
 * under way, and one says goodbye. */
static void keeps_connections_apart(void **state)
{
    (void)state;
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    ask_and_answer("first");
    turn_to_the_other();
    connect_client(TLS1_2_VERSION, NULL);
    assert_true(shake());
    ask_and_answer("second");
    turn_to_the_other();
    is_answered("first");
    ask_and_answer("third");
    turn_to_the_other();
    is_answered("second");
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    hang_up();
    turn_to_the_other();
    is_answered("third");
    exchange();
    hang_up();
}

static SSL *serving; /* the server's side, */
static bool direct;  /* which wrote into the socket when it had shaken hands */

static void note_ssl(const SSL *ssl, int where, int code)
{
    (void)code;
    if (where & SSL_CB_HANDSHAKE_DONE)
        direct = BIO_method_type(SSL_get_wbio(ssl)) == BIO_TYPE_SOCKET;
    serving = (SSL *)(uintptr_t)ssl;
}

static void is_empty(EVP_PKEY *key)
{
    assert_null(EVP_PKEY_get0_provider(key));
    EVP_PKEY_free(key);
}

/* What OpenSSL would keep of the handshake until the connection ends. */
static void keeps_little_of_a_handshake(void **state)
{
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    const unsigned char *alpn;
    EVP_PKEY *key;
    void *data;
    size_t n;

    (void)state;
    SSL_CTX_set_info_callback(pools.tls->ctx, note_ssl);
    for (size_t i = 0; i < 2; i++) {
        connect_client(versions[i], "a.example.org");
        assert_true(shake());
        exchange();
        assert_int_equal(direct, offers && versions[i] == TLS1_3_VERSION);
        assert_null(SSL_get_certificate(serving));
        assert_ptr_equal(SSL_get_rbio(serving), pools.tls->bio);
        assert_ptr_equal(SSL_get_wbio(serving), pools.tls->bio);
        assert_int_equal(SSL_SESSION_get0_ticket_appdata(
                             SSL_get_session(serving), &data, &n),
                         1);
        assert_int_equal(n, 0);
        assert_null(SSL_SESSION_get0_hostname(SSL_get_session(serving)));
        SSL_SESSION_get0_alpn_selected(SSL_get_session(serving), &alpn, &n);
        assert_int_equal(n, 0);
        if (SSL_get_tmp_key(serving, &key))
            is_empty(key);
        if (SSL_get_peer_tmp_key(serving, &key))
            is_empty(key);
        hang_up();
    }
}

/* --- Memory of OpenSSL ------------------------------------------------- */

static long fail_in; /* the next allocation but so many fails; 0: none */

static void *take(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return fail_in && --fail_in == 0 ? NULL : malloc(n);
}

static void *change(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return fail_in && --fail_in == 0 ? NULL : realloc(p, n);
}

static void give(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

/* The server's side of a handshake in which the n-th allocation of OpenSSL
 * fails; the client's are good.  False: it has failed. */
static bool shake_without(long n, long *left)
{
    bool lost = false;

    *left = n;
    for (int i = 0; i < STEPS_MAX && !lost; i++) {
        int done = SSL_do_handshake(client);
        if (done != 1 && SSL_get_error(client, done) != SSL_ERROR_WANT_READ)
            break;
        fail_in = *left;
        lost = step() == LH_NET_LOST;
        *left = fail_in;
        fail_in = 0;
        if (done == 1 && lh_tls_state(server) == LH_TLS_READY)
            return true;
    }
    ERR_clear_error();
    return false;
}

static void survives_lack_of_memory(void **state)
{
    char why[LH_TLS_FAILURE_BYTES];
    long left = 0;

    (void)state;
    for (long n = 1; n < 3000 && left == 0; n += n < 300 ? 1 : 7) {
        connect_client(TLS1_3_VERSION, "a.example.org");
        if (!shake_without(n, &left) && lh_tls_failure(server, why)) {
            assert_string_not_equal(why, "");
            assert_null(strstr(why, "from the client"));
        }
        assert_int_equal(ERR_peek_error(), 0);
        hang_up();
    }
    assert_true(left > 0); /* a handshake that needed no more than so many */
    connect_client(TLS1_3_VERSION, NULL);
    assert_true(shake());
    exchange();
    hang_up();
}

#define WITH_SERVER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(every_suite_works),
        WITH_SERVER(picks_what_the_client_can_verify),
        WITH_SERVER(agrees_on_a_protocol),
        WITH_SERVER(hears_a_goodbye_in_a_handshake),
        WITH_SERVER(what_is_long_goes_aside),
        WITH_SERVER(resumes_on_any_worker),
        WITH_SERVER(resumes_for_the_same_name_only),
        WITH_SERVER(forgets_sessions_of_another_server),
        WITH_SERVER(a_session_ends_an_hour_after_its_beginning),
        WITH_SERVER(a_ticket_outlives_its_key),
        cmocka_unit_test(a_session_keeps_what_was_verified),
        cmocka_unit_test(a_session_is_of_its_authorities),
        WITH_SERVER(answers_behind_a_goodbye),
        WITH_SERVER(says_goodbye_with_the_last),
        WITH_SERVER(changes_keys_when_asked),
        WITH_SERVER(all_leaves_now_and_then),
        WITH_SERVER(loses_who_stops_in_a_message),
        WITH_SERVER(loses_who_does_not_read_answers),
        WITH_SERVER(is_not_misled_by_errors_of_others),
        WITH_SERVER(holds_nothing_at_rest),
        WITH_SERVER(keeps_connections_apart),
        WITH_SERVER(keeps_little_of_a_handshake),
        WITH_SERVER(survives_lack_of_memory),
    };

    if (!CRYPTO_set_mem_functions(take, change, give))
        return 1;
    int failed = cmocka_run_group_tests_name("tls13", tests, NULL, NULL);
    aside = true;
    failed +=
        cmocka_run_group_tests_name("tls13, by a helper", tests, NULL, NULL);
    offers = true;
    failed += cmocka_run_group_tests_name(
        "tls13, by a helper, keys for the kernel", tests, NULL, NULL);
    aside = false;
    return failed + cmocka_run_group_tests_name("tls13, keys for the kernel",
                                                tests, NULL, NULL);
}
