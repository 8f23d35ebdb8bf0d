/* The TLS transport, against BearSSL's client on a socket pair. */
#include "net/tls.h"

#include "base/mem.h"
#include "lib/aside.h"
#include "lib/heap.h"
#include "lib/pairs.h"
#include "lib/tls_client.h"
#include "net/away.h"
#if TEST_BEARSSL
#include "net/tls_context.h"
#endif
#include "net/transport.h"

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

#if TEST_BEARSSL
#define TEST_SPOKEN "TLS 1.2 is"
#else
#define TEST_SPOKEN "TLS 1.2 and 1.3 are"
#endif

#define STEPS_MAX 200000 /* of a loop that must come to an end */

static struct lh_creds *creds;
static struct lh_tls_shared *shared;
static struct lh_net_pools pools;
static bool aside; /* a helper does what is long of a handshake */
static struct test_tls_client client;
static struct lh_transport *server;

static const char *const all_pairs[] = {"ec256", "rsa2048", "ec384",
                                        "ec521", "rsa4096", NULL};

static void creds_make(const char *const *pairs)
{
    creds = lh_creds_new();
    for (; *pairs; pairs++)
        test_pair_add(creds, *pairs);
}

static void begin(const char *const *pairs, bool http2)
{
    struct lh_err err;

    creds_make(pairs);
    assert_int_equal(lh_tls_shared_new(&shared, creds, http2, &err), 0);
    lh_net_pools_init(&pools);
    pools.tls = lh_tls_worker_new(shared);
    assert_non_null(pools.tls);
    if (aside)
        test_aside_begin(&pools);
}

static void end(void)
{
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
    begin(all_pairs, true);
    return 0;
}

static int fresh_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    server = lh_tls_new(&pools, fds[0]);
    assert_non_null(server);
    return fds[1];
}

/* A connection with a client that is not started yet. */
static void connect_client(void)
{
    test_tls_client_init(&client, fresh_pair());
}

/* The same client once more, who remembers its session. */
static void connect_again(void)
{
    client.fd = fresh_pair();
}

static void hang_up(void)
{
    int fd = server->fd;

    server->ops->free(server);
    server = NULL;
    close(fd);
    if (client.fd >= 0)
        close(client.fd);
    client.fd = -1;
}

static int tear_down(void **state)
{
    (void)state;
    if (server) /* the test failed */
        hang_up();
    end();
    return 0;
}

/* One step of each side; what the server found. */
static enum lh_net step(bool *moved)
{
    size_t n;
    enum lh_net got = LH_NET_OK;

    *moved = test_tls_client_pump(&client);
    if (!server->ops->peek(server, &n)) {
        got = server->ops->receive(server);
        *moved |= got == LH_NET_OK;
    }
    *moved |= server->away;
    test_aside_wait(server);
    if (server->ops->send(server) == LH_NET_LOST)
        got = LH_NET_LOST;
    return got;
}

/* Until the handshake is over; false: it failed. */
static bool shake(void)
{
    bool moved;

    for (int i = 0; i < STEPS_MAX; i++) {
        enum lh_net got = step(&moved);
        if (got == LH_NET_LOST || got == LH_NET_EOF)
            return false;
        if (lh_tls_state(server) == LH_TLS_READY &&
            test_tls_client_open(&client))
            return true;
    }
    fail_msg("the handshake does not end");
    return false;
}

static void says(const char *words)
{
    char why[LH_TLS_FAILURE_BYTES];

    assert_true(lh_tls_failure(server, why));
    assert_string_equal(why, words);
}

static bool start_and_shake(const char *name, bool resume)
{
    test_tls_client_start(&client, name, resume, 0);
    return shake();
}

static void serve(const char *s)
{
    size_t room;
    uint8_t *p = server->ops->buf(server, &room);

    assert_non_null(p);
    assert_true(room >= strlen(s));
    memcpy(p, s, strlen(s));
    server->ops->ack(server, strlen(s));
    assert_true(server->ops->unsent(server));
    assert_int_equal(server->ops->send(server), LH_NET_OK);
    assert_false(server->ops->unsent(server));
}

/* "ping" from the client, "pong" from the server. */
static void exchange(void)
{
    size_t n = 0;
    bool moved = true;
    const uint8_t *p = NULL;

    assert_int_equal(test_tls_client_write(&client, "ping", 4), 4);
    for (int i = 0; i < 200 && !p; i++) {
        assert_int_not_equal(step(&moved), LH_NET_LOST);
        p = server->ops->peek(server, &n);
    }
    assert_int_equal(n, 4);
    assert_memory_equal(p, "ping", 4);
    server->ops->consume(server, 4);
    serve("pong");
    client.got_n = 0;
    for (int i = 0; i < 20 && client.got_n < 4; i++)
        test_tls_client_pump(&client);
    assert_int_equal(client.got_n, 4);
    assert_memory_equal(client.got, "pong", 4);
}

static const br_x509_pkey *seen_key(void)
{
    return &client.believer.decoder.pkey;
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 >> 9 ^ i * 7);
}

static void send_pattern(size_t *sent, size_t total)
{
    uint8_t block[5000];
    size_t n = total - *sent < sizeof(block) ? total - *sent : sizeof(block);

    for (size_t i = 0; i < n; i++)
        block[i] = pattern(*sent + i);
    *sent += test_tls_client_write(&client, block, n);
}

static void take_pattern(size_t *taken)
{
    const uint8_t *p;
    size_t n;

    while ((p = server->ops->peek(server, &n))) {
        n = n > 777 ? 777 : n;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], pattern(*taken + i));
        *taken += n;
        server->ops->consume(server, n);
    }
}

static void serve_pattern(size_t *served, size_t total)
{
    uint8_t *p;
    size_t n;

    while (*served < total && (p = server->ops->buf(server, &n))) {
        n = n > total - *served ? total - *served : n;
        for (size_t i = 0; i < n; i++)
            p[i] = pattern(*served + i);
        server->ops->ack(server, n);
        *served += n;
        if (server->ops->send(server) != LH_NET_OK)
            return;
    }
}

static void check_pattern(size_t *checked)
{
    for (size_t i = 0; i < client.got_n; i++)
        assert_int_equal(client.got[i], pattern(*checked + i));
    *checked += client.got_n;
    client.got_n = 0;
}

static void move_both_ways(size_t total)
{
    size_t sent = 0, taken = 0, served = 0, checked = 0;
    bool moved;

    client.got_n = 0;
    for (int i = 0; i < STEPS_MAX && (taken < total || checked < total); i++) {
        send_pattern(&sent, total);
        assert_int_not_equal(step(&moved), LH_NET_LOST);
        take_pattern(&taken);
        serve_pattern(&served, total);
        check_pattern(&checked);
        server->ops->rest(server);
    }
    assert_int_equal(taken, total);
    assert_int_equal(checked, total);
}

/* --- Handshakes -------------------------------------------------------- */

static void every_suite_works(void **state)
{
    static const struct {
        uint16_t id;
        const char *name;
        unsigned char key_type;
    } suites[] = {
        {0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", BR_KEYTYPE_EC},
        {0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", BR_KEYTYPE_RSA},
        {0xC02C, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", BR_KEYTYPE_EC},
        {0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", BR_KEYTYPE_RSA},
        {0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
         BR_KEYTYPE_EC},
        {0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", BR_KEYTYPE_RSA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        connect_client();
        br_ssl_engine_set_suites(&client.ssl.eng, &suites[i].id, 1);
        assert_int_equal(lh_tls_state(server), LH_TLS_HANDSHAKE);
        assert_string_equal(lh_tls_cipher(server), "");
        assert_true(start_and_shake("a.example.org", false));
        assert_string_equal(lh_tls_cipher(server), suites[i].name);
        assert_string_equal(lh_tls_server_name(server), "a.example.org");
        assert_false(lh_tls_is_h2(server));
        assert_int_equal(seen_key()->key_type, suites[i].key_type);
        exchange();
        hang_up();
    }
}

static void refuses_weak_clients(void **state)
{
    static const uint16_t weak[] = {
        BR_TLS_RSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
        BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
    };

    (void)state;
    connect_client();
    br_ssl_engine_set_suites(&client.ssl.eng, weak, 3);
    assert_false(start_and_shake(NULL, false));
    test_tls_client_pump(&client);
    test_tls_client_pump(&client);
    assert_int_equal(br_ssl_engine_last_error(&client.ssl.eng),
                     BR_ERR_RECV_FATAL_ALERT + BR_ALERT_HANDSHAKE_FAILURE);
    says("no cipher suite in common");
    hang_up();

    connect_client();
    br_ssl_engine_set_versions(&client.ssl.eng, BR_TLS10, BR_TLS11);
    assert_false(start_and_shake(NULL, false));
    says("the client offers at most TLS 1.1, and " TEST_SPOKEN " spoken here");
    hang_up();
}

/* A client whose octets are these, and perhaps no more. */
static void send_raw(const void *p, size_t n, bool hangs_up)
{
    enum lh_net got = LH_NET_AGAIN;

    client.fd = fresh_pair();
    assert_int_equal(write(client.fd, p, n), n);
    if (hangs_up)
        close(client.fd);
    for (int i = 0; i < 5 && got != LH_NET_LOST; i++) {
        got = server->ops->receive(server);
        test_aside_wait(server);
        if (server->ops->send(server) == LH_NET_LOST)
            got = LH_NET_LOST;
    }
    if (hangs_up)
        client.fd = -1;
    assert_int_equal(got, LH_NET_LOST);
}

static void says_what_is_no_tls(void **state)
{
    static const struct {
        const char *octets;
        size_t n;
        const char *words;
    } cases[] = {
        {"\x80\x2e\1\0\2", 5, "what the client sent first is not TLS"},
        {"\0\0\0\0\0\0", 6, "what the client sent first is not TLS"},
        {"\x15\3\3\0\2\2\x2e", 7,
         "certificate unknown (alert 46) from the client"},
        {"\x15\3\3\0\2\2\x30", 7,
         "unknown certificate authority (alert 48) from the client"},
        {"\x15\3\3\0\2\2\xc8", 7,
         "an unknown alert (alert 200) from the client"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        send_raw(cases[i].octets, cases[i].n, false);
        says(cases[i].words);
        hang_up();
    }
}

#if TEST_BEARSSL

/* A hello of TLS 1.3 alone: its suites, and no other version. */
static void says_that_it_is_too_new(void **state)
{
    static const char hello[] =
        "\x16\3\1\0\x3a\1\0\0\x36\3\3"
        "................................"  /* random */
        "\0"                                /* no session */
        "\0\2\x13\1"                        /* TLS_AES_128_GCM_SHA256 */
        "\1\0"                              /* no compression */
        "\0\x0b\0\x2b\0\3\2\3\4\0\x15\0\0"; /* supported_versions, padding */

    (void)state;
    send_raw(hello, sizeof(hello) - 1, false);
    says(
        "the client offers nothing before TLS 1.3, and TLS 1.2 is spoken here");
    hang_up();
}

#endif

static void says_that_no_certificate_fits(void **state)
{
    static const char *const pairs[] = {"ec521", NULL};

    (void)state;
    end();
    begin(pairs, true);
    connect_client();
    br_ssl_engine_set_ec(&client.ssl.eng, &br_ec_p256_m15);
    assert_false(start_and_shake(NULL, false));
    says("no certificate here fits what the client can verify");
    hang_up();
}

/* What went wrong with a client is not said of the next one. */
static void says_that_there_is_no_memory(void **state)
{
    static const char *const pairs[] = {"ec521", NULL};
    bool good = false;

    (void)state;
    end();
    begin(pairs, true);
    for (unsigned long n = 1; !good; n++) {
        assert_true(n < 50);
        connect_client();
        br_ssl_engine_set_ec(&client.ssl.eng, &br_ec_p256_m15);
        assert_false(start_and_shake(NULL, false));
        hang_up();
        connect_client();
        test_heap_install();
        test_heap_fail_at(n);
        good = start_and_shake(NULL, false);
        test_heap_fail_at(0);
        test_heap_uninstall();
        if (!good)
            says("no memory");
        hang_up();
    }
}

static void says_nothing_without_failure(void **state)
{
    char why[LH_TLS_FAILURE_BYTES] = "x";

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    assert_false(lh_tls_failure(server, why));
    assert_string_equal(why, "");
    exchange();
    hang_up();
}

static void our_order_counts(void **state)
{
    static const uint16_t order[] = {
        BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    };
    bool has_aes = br_aes_x86ni_ctr_get_vtable() != NULL ||
                   br_aes_pwr8_ctr_get_vtable() != NULL;

    (void)state;
    connect_client();
    br_ssl_engine_set_suites(&client.ssl.eng, order, 3);
    assert_true(start_and_shake(NULL, false));
    assert_string_equal(lh_tls_cipher(server),
                        has_aes
                            ? "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
                            : "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
    assert_int_equal(client.ssl.eng.ecdhe_curve, BR_EC_curve25519);
    assert_string_equal(lh_tls_server_name(server), "");
    hang_up();
}

/* The key's size or curve tells which certificate it was. */
static void picks_by_name(void **state)
{
    static const struct {
        const char *name;
        int curve;
        size_t rsa_bytes;
    } wanted[] = {
        {"a.example.org", BR_EC_secp256r1, 0}, /* RSA has it too, but later */
        {"A2.EXAMPLE.org", BR_EC_secp256r1, 0},
        {"a.example.org.", BR_EC_secp256r1, 0},
        {"r.example.org", 0, 256},
        {"R.example.ORG.", 0, 256},
        {"any.example.net", BR_EC_secp384r1, 0},
        {"any.example.net.", BR_EC_secp384r1, 0},
        {"b.example.org", BR_EC_secp384r1, 0},
        {"c.example.org", BR_EC_secp521r1, 0},
        {"big.example.org", 0, 512},
        {"nobody.example.com", BR_EC_secp256r1, 0},
        {NULL, BR_EC_secp256r1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        connect_client();
        assert_true(start_and_shake(wanted[i].name, false));
        if (wanted[i].curve)
            assert_int_equal(seen_key()->key.ec.curve, wanted[i].curve);
        else
            assert_int_equal(seen_key()->key.rsa.nlen, wanted[i].rsa_bytes);
        hang_up();
    }
}

/* RFC 5246, 7.4.1.4.1 and RFC 4492, 4: the client's hashes and curves. */
static void picks_what_the_client_can_verify(void **state)
{
    static const uint16_t rsa = BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    br_ec_impl few = *br_ec_get_default();

    (void)state;
    connect_client();
    br_ssl_engine_set_suites(&client.ssl.eng, &rsa, 1);
    assert_true(start_and_shake("nobody.example.com", false));
    assert_int_equal(seen_key()->key_type, BR_KEYTYPE_RSA);
    hang_up();

    /* No P-256 for this client: the next that it knows. */
    few.supported_curves = 1u << BR_EC_secp384r1 | 1u << BR_EC_curve25519;
    connect_client();
    br_ssl_engine_set_ec(&client.ssl.eng, &few);
    assert_true(start_and_shake("a.example.org", false));
    assert_int_equal(seen_key()->key_type, BR_KEYTYPE_RSA);
    hang_up();
}

static void refuses_what_no_key_fits(void **state)
{
    static const char *const only_rsa[] = {"rsa2048", NULL};
    static const uint16_t ecdsa = BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;

    (void)state;
    begin(only_rsa, true);
    connect_client();
    br_ssl_engine_set_suites(&client.ssl.eng, &ecdsa, 1);
    assert_false(start_and_shake("r.example.org", false));
    hang_up();
    end();
}

/* RSA alone is replaced by EC alone while one handshake is under way. */
static void handshakes_that_begin_get_new_credentials(void **state)
{
    static const char *const only_rsa[] = {"rsa2048", NULL};
    static const char *const only_ec[] = {"ec256", NULL};
    br_ssl_session_parameters session;
    bool moved;

    (void)state;
    begin(only_rsa, true);
    struct lh_creds *old = creds;
    connect_client();
    test_tls_client_start(&client, "a.example.org", false, 0);
    assert_int_not_equal(step(&moved), LH_NET_LOST); /* the hello is there */
    creds_make(only_ec);
    lh_tls_worker_give(pools.tls, creds);
    lh_creds_free(old); /* the handshake has its share */
    assert_true(shake());
    assert_int_equal(seen_key()->key_type, BR_KEYTYPE_RSA);
    br_ssl_engine_get_session_parameters(&client.ssl.eng, &session);
    exchange();
    hang_up();
    connect_client();
    assert_true(start_and_shake("a.example.org", false));
    assert_int_equal(seen_key()->key_type, BR_KEYTYPE_EC);
    hang_up();
    connect_client();
    br_ssl_engine_set_session_parameters(&client.ssl.eng, &session);
    assert_true(start_and_shake("a.example.org", true));
    br_ssl_session_parameters resumed;
    br_ssl_engine_get_session_parameters(&client.ssl.eng, &resumed);
    assert_memory_equal(resumed.session_id, session.session_id, 32);
    hang_up();
    end();
}

static size_t slurp(const char *name, char *out, size_t room)
{
    char path[512];

    snprintf(path, sizeof(path), DATA "%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(out, 1, room, file);
    fclose(file);
    assert_true(n < room);
    return n;
}

/* As long a chain as there may be. */
static void creds_make_long(void)
{
    static char chain[65536], key[8192];
    lhttpd_certificate_t from = lhttpd_certificate_init();
    struct lh_err err;

    from.chain = chain;
    from.chain_size = slurp("rsa4096.pem", chain, sizeof(chain)); /* has two */
    for (int i = 2; i < 16; i++)
        from.chain_size += slurp("middle.pem", chain + from.chain_size,
                                 sizeof(chain) - from.chain_size);
    from.key = key;
    from.key_size = slurp("rsa4096.key", key, sizeof(key));
    assert_int_equal(lh_creds_add(creds, &from, &err), 0);
}

/* A socket that takes little at once: the handshake goes on as it drains. */
static void sends_a_flight_in_pieces(void **state)
{
    static const char *const none[] = {NULL};
    bool was_full = false, moved;
    int few = 1; /* the kernel's least */

    (void)state;
    begin(none, true);
    creds_make_long();
    connect_client();
    assert_int_equal(
        setsockopt(server->fd, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)), 0);
    test_tls_client_start(&client, "big.example.org", false, 0);
    for (int i = 0; i < 1000 && !test_tls_client_open(&client); i++) {
        assert_int_not_equal(step(&moved), LH_NET_LOST);
        was_full |= server->ops->unsent(server);
    }
    assert_true(was_full);
    exchange();
    move_both_ways(100000);
    hang_up();
    end();
}

/* --- ALPN -------------------------------------------------------------- */

static void agrees_on_a_protocol(void **state)
{
    const char *both[] = {"http/1.1", "h2"}, *old[] = {"http/1.1"};
    const char *mixed[] = {"spdy/3", "h2", "x"}, *unknown[] = {"spdy/3"};
    const struct {
        const char **names;
        size_t n;
        bool passes, is_h2;
    } cases[] = {
        {both, 2, true, true},  {old, 1, true, false},
        {mixed, 3, true, true}, {unknown, 1, false, false},
        {NULL, 0, true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        connect_client();
        br_ssl_engine_set_protocol_names(&client.ssl.eng, cases[i].names,
                                         cases[i].n);
        assert_int_equal(start_and_shake(NULL, false), cases[i].passes);
        assert_int_equal(lh_tls_is_h2(server), cases[i].is_h2);
        if (!cases[i].passes)
            says("no application protocol in common (ALPN)");
        hang_up();
    }
}

static void http2_may_be_off(void **state)
{
    const char *both[] = {"h2", "http/1.1"}, *only[] = {"h2"};

    (void)state;
    begin(all_pairs, false);
    connect_client();
    br_ssl_engine_set_protocol_names(&client.ssl.eng, both, 2);
    assert_true(start_and_shake(NULL, false));
    assert_false(lh_tls_is_h2(server));
    assert_string_equal(br_ssl_engine_get_selected_protocol(&client.ssl.eng),
                        "http/1.1");
    hang_up();
    connect_client();
    br_ssl_engine_set_protocol_names(&client.ssl.eng, only, 1);
    assert_false(start_and_shake(NULL, false));
    hang_up();
    end();
}

/* --- Resumption -------------------------------------------------------- */

/* Did this handshake resume?  Then no certificate came. */
static bool resumed(void)
{
    bool fresh = client.believer.decoder.decoded;

    client.believer.decoder.decoded = 0;
    return !fresh;
}

#if TEST_BEARSSL /* its client brings no tickets: see test_tls13 */

static void resumes_on_any_worker(void **state)
{
    const char *h2[] = {"h2"};
    struct lh_tls_worker *first = pools.tls;

    (void)state;
    connect_client();
    br_ssl_engine_set_protocol_names(&client.ssl.eng, h2, 1);
    assert_true(start_and_shake("a.example.org", false));
    assert_false(resumed());
    hang_up();
    for (int i = 0; i < 3; i++) {
        connect_again();
        assert_true(start_and_shake("A.example.org", true));
        assert_true(resumed());
        assert_true(lh_tls_is_h2(server));
        assert_string_not_equal(lh_tls_cipher(server), "");
        exchange();
        hang_up();
    }
    pools.tls = lh_tls_worker_new(shared);
    connect_again();
    assert_true(start_and_shake("a.example.org", true));
    assert_true(resumed());
    exchange();
    hang_up();
    lh_tls_worker_free(pools.tls);
    pools.tls = first;
}

/* RFC 6066, 3: under another name a full handshake follows. */
static void resumes_for_the_same_name_only(void **state)
{
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
        {"a.example.org.", "a.example.org", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 0; piece < 2; piece++) {
            connect_client();
            assert_true(start_and_shake(cases[i].first, false));
            assert_false(resumed());
            hang_up();
            connect_again();
            client.piece = piece;
            assert_true(start_and_shake(cases[i].then, true));
            assert_int_equal(resumed(), cases[i].resumes);
            client.piece = 0;
            exchange();
            hang_up();
        }
    }
}

/* The session of the first name stays good, and each name has its own. */
static void keeps_a_session_for_each_name(void **state)
{
    static const char *const names[] = {"a.example.org", "b.example.org"};
    br_ssl_session_parameters sessions[2];

    (void)state;
    connect_client();
    assert_true(start_and_shake(names[0], false));
    br_ssl_engine_get_session_parameters(&client.ssl.eng, &sessions[0]);
    hang_up();
    connect_again();
    assert_true(start_and_shake(names[1], true));
    assert_false(!client.believer.decoder.decoded);
    br_ssl_engine_get_session_parameters(&client.ssl.eng, &sessions[1]);
    hang_up();
    for (int i = 0; i < 4; i++) {
        resumed();
        connect_again();
        br_ssl_engine_set_session_parameters(&client.ssl.eng, &sessions[i % 2]);
        assert_true(start_and_shake(names[i % 2], true));
        assert_true(resumed());
        assert_string_equal(lh_tls_server_name(server), names[i % 2]);
        exchange();
        hang_up();
    }
}

#endif

/* BearSSL 0.6 reads past its table of names there. */
static void survives_unknown_alpn_in_a_resumed_hello(void **state)
{
    const char *unknown[] = {"spdy/3", "x"};

    (void)state;
    connect_client();
    assert_true(start_and_shake("a.example.org", false));
    hang_up();
    connect_again();
    br_ssl_engine_set_protocol_names(&client.ssl.eng, unknown, 2);
    assert_false(start_and_shake("a.example.org", true));
    assert_int_equal(lh_tls_state(server), LH_TLS_HANDSHAKE);
    says("no application protocol in common (ALPN)");
    hang_up();
    /* And the context serves the next client. */
    connect_client();
    assert_true(start_and_shake("a.example.org", false));
    exchange();
    hang_up();
}

/* The suite it was made with is not offered any more: a full handshake, which
 * may well be for another name. */
static void falls_back_to_a_full_handshake(void **state)
{
    static const uint16_t one = BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    static const uint16_t two = BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;

    (void)state;
    connect_client();
    br_ssl_engine_set_suites(&client.ssl.eng, &one, 1);
    assert_true(start_and_shake("a.example.org", false));
    assert_false(resumed());
    hang_up();
    connect_again();
    br_ssl_engine_set_suites(&client.ssl.eng, &two, 1);
    assert_true(start_and_shake("b.example.org", true));
    assert_false(resumed());
    exchange();
    hang_up();
}

/* --- Application data -------------------------------------------------- */

static void moves_a_megabyte_both_ways(void **state)
{
    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    move_both_ways(1024 * 1024);
    hang_up();
}

/* Every octet comes alone, so every record is cut everywhere. */
static void takes_records_in_pieces(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= 3; piece++) {
        connect_client();
        client.piece = piece;
        assert_true(start_and_shake("a.example.org", false));
        exchange();
        exchange();
        hang_up();
        connect_again();
        client.piece = piece;
        assert_true(start_and_shake("a.example.org", true));
        exchange();
        hang_up();
    }
}

/* Many records in one read: each is a piece of its own. */
static void takes_many_records_at_once(void **state)
{
    size_t n, taken = 0;
    bool moved;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(test_tls_client_write(&client, "0123456789", 10), 10);
        while (test_tls_client_pump(&client))
            ;
    }
    assert_int_equal(step(&moved), LH_NET_OK);
    for (const uint8_t *p; (p = server->ops->peek(server, &n)); taken += n) {
        assert_int_equal(n, 10);
        assert_memory_equal(p, "0123456789", 10);
        server->ops->consume(server, n);
    }
    assert_int_equal(taken, 1000);
    assert_int_equal(pools.chunks.out, 0);
    hang_up();
}

/* RFC 6066, 4.  The next client of that context gets whole records again. */
static void forgets_a_small_fragment_length(void **state)
{
    size_t room;

    (void)state;
    connect_client();
    test_tls_client_start(&client, NULL, false, 512 + 325);
    assert_true(shake());
    assert_non_null(server->ops->buf(server, &room));
#if TEST_BEARSSL
    assert_int_equal(room, 512);
#endif
    move_both_ways(20000);
    hang_up();
    connect_client();
    assert_true(start_and_shake(NULL, false));
    move_both_ways(100000);
    assert_non_null(server->ops->buf(server, &room));
    assert_true(room > 16000);
    hang_up();
}

/* --- The end ----------------------------------------------------------- */

static void says_goodbye(void **state)
{
    size_t room;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    server->ops->rest(server); /* buffers must come back for it */
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    assert_null(server->ops->buf(server, &room));
    while (test_tls_client_pump(&client))
        ;
    test_tls_client_pump(&client);
    assert_int_equal(br_ssl_engine_current_state(&client.ssl.eng),
                     BR_SSL_CLOSED);
    assert_int_equal(br_ssl_engine_last_error(&client.ssl.eng), 0);
    /* Its own close_notify, then its FIN. */
    assert_int_equal(server->ops->receive(server), LH_NET_EOF);
    assert_int_equal(server->ops->receive(server), LH_NET_EOF);
    server->ops->rest(server);
    hang_up();
}

static void sends_all_before_goodbye(void **state)
{
    size_t room;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    memcpy(server->ops->buf(server, &room), "last words", 10);
    server->ops->ack(server, 10);
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(client.got_n, 10);
    assert_memory_equal(client.got, "last words", 10);
    assert_int_equal(br_ssl_engine_last_error(&client.ssl.eng), 0);
    hang_up();
}

/* What came before is still there, and an answer leaves behind it. */
static void hears_goodbye(void **state)
{
    size_t n;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    server->ops->rest(server);
    assert_int_equal(test_tls_client_write(&client, "data", 4), 4);
    while (test_tls_client_pump(&client))
        ;
    br_ssl_engine_close(&client.ssl.eng);
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(server->ops->receive(server), LH_NET_OK);
    assert_memory_equal(server->ops->peek(server, &n), "data", 4);
    assert_false(server->ended);
    server->ops->consume(server, 4);
    assert_true(server->ended);
    assert_null(server->ops->peek(server, &n));
    assert_int_equal(server->ops->receive(server), LH_NET_EOF);
    server->ops->rest(server);
    assert_false(server->ops->unsent(server));
    serve("the answer");
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    assert_false(server->ops->unsent(server));
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(br_ssl_engine_current_state(&client.ssl.eng),
                     BR_SSL_CLOSED);
    assert_int_equal(br_ssl_engine_last_error(&client.ssl.eng), 0);
    hang_up();
}

/* As the client would send it; its engine goes on behind it. */
static void client_sends(int type, const void *payload, size_t n)
{
    br_ssl_engine_context *e = &client.ssl.eng;
    uint8_t record[512];
    size_t size = n;

    memcpy(record + 64, payload, n);
    uint8_t *p = e->out.vtable->encrypt(&e->out.vtable, type, e->version_out,
                                        record + 64, &size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(write(client.fd, p + i, 1), 1);
}

/* One octet at a time, in every suite's way of encrypting. */
static void tells_alerts_apart(void **state)
{
    static const uint16_t suites[] = {
        BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    };
    static const uint8_t canceled[] = {1, 90}, goodbye[] = {1, 0};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        connect_client();
        br_ssl_engine_set_suites(&client.ssl.eng, &suites[i], 1);
        assert_true(start_and_shake(NULL, false));
        client_sends(21, canceled, 2);
        assert_int_equal(server->ops->receive(server), LH_NET_AGAIN);
        exchange();
        client_sends(21, goodbye, 2);
        client_sends(23, "ignored", 7);
        assert_int_equal(server->ops->receive(server), LH_NET_EOF);
        assert_int_equal(server->ops->receive(server), LH_NET_EOF);
        serve("pong");
        client.got_n = 0;
        while (test_tls_client_pump(&client))
            ;
        assert_int_equal(client.got_n, 4);
        assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
        server->ops->rest(server);
        assert_int_equal(pools.chunks.out, 0);
        hang_up();
    }
}

static void gathers_an_alert_in_pieces(void **state)
{
    static const uint8_t goodbye[] = {1, 0};
    br_ssl_engine_context *e = &client.ssl.eng;
    uint8_t record[64];
    size_t size = 2, n;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    memcpy(record + 32, goodbye, 2);
    uint8_t *p = e->out.vtable->encrypt(&e->out.vtable, 21, e->version_out,
                                        record + 32, &size);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(write(client.fd, p + i, 1), 1);
        assert_int_equal(server->ops->receive(server),
                         i + 1 < size ? LH_NET_AGAIN : LH_NET_EOF);
        assert_null(server->ops->peek(server, &n));
        server->ops->rest(server);
        assert_int_equal(pools.chunks.out, 0);
    }
    hang_up();
}

/* A fatal one, one that nobody encrypted, one that is too long. */
static void is_lost_by_bad_alerts(void **state)
{
    static const uint8_t fatal[] = {2, 40}, clear[] = {21, 3, 3, 0, 2, 1, 0};
    static const uint8_t many[100] = {1};
    static const uint8_t forged[31] = {21, 3, 3, 0, 26, 0, 0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        connect_client();
        assert_true(start_and_shake(NULL, false));
        if (i == 0)
            client_sends(21, fatal, 2);
        else if (i == 1)
            assert_int_equal(write(client.fd, clear, 7), 7);
        else if (i == 2)
            assert_int_equal(write(client.fd, forged, 31), 31);
        else
            client_sends(21, many, sizeof(many));
        enum lh_net got = server->ops->receive(server);
        if (i < 3)
            assert_int_equal(got, LH_NET_LOST);
        assert_false(server->ended);
        hang_up();
    }
}

/* Found while the record before it is consumed: whoever waits to send is told.
 */
static void hears_damage_behind_a_record(void **state)
{
    static const uint8_t damaged[] = {0x17, 3, 3, 0, 24, 1, 2, 3, 4, 5,
                                      6,    7, 8, 9, 0,  1, 2, 3, 4, 5,
                                      6,    7, 8, 9, 0,  1, 2, 3, 4};
    size_t n;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    assert_int_equal(test_tls_client_write(&client, "data", 4), 4);
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(write(client.fd, damaged, sizeof(damaged)),
                     sizeof(damaged));
    assert_int_equal(server->ops->receive(server), LH_NET_OK);
    assert_memory_equal(server->ops->peek(server, &n), "data", 4);
    assert_false(server->ops->unsent(server));
    server->ops->consume(server, 4);
    assert_null(server->ops->peek(server, &n));
    assert_null(server->ops->buf(server, &n));
    assert_true(server->ops->unsent(server));
    assert_int_equal(server->ops->send(server), LH_NET_LOST);
    assert_int_equal(server->ops->receive(server), LH_NET_LOST);
    hang_up();
}

static void tells_who_says_too_much(void **state)
{
    static uint8_t hello[24000] = {0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff};
    static const uint8_t more[] = {0x16, 3, 1, 0x40, 0};
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 47};
    uint8_t got[8];

    (void)state;
    memcpy(hello + sizeof(more) + 0x4000, more, sizeof(more));
    send_raw(hello, sizeof(hello), false);
    says("the client's first message is too long");
    assert_int_equal(read(client.fd, got, sizeof(got)), sizeof(alert));
    assert_memory_equal(got, alert, sizeof(alert));
    hang_up();
}

/* The first 16 KiB leave in records of 4, what follows in full ones. */
static void first_records_are_small(void **state)
{
    size_t room;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    for (int i = 0; i < 6; i++) {
        uint8_t *p = server->ops->buf(server, &room);
        assert_non_null(p);
        assert_int_equal(room, i < 4 ? 4096 : 16384);
        memset(p, 'x', room);
        server->ops->ack(server, room);
        assert_int_equal(server->ops->send(server), LH_NET_OK);
        server->ops->rest(server);
        client.got_n = 0;
        while (test_tls_client_pump(&client))
            ;
        assert_int_equal(client.got_n, room);
    }
    hang_up();
}

/* In the clear before there are keys, encrypted afterwards. */
static void tells_the_client_its_fault(void **state)
{
    static const struct {
        const char *octets;
        size_t n;
        uint8_t alert;
    } cases[] = {
        {"\x16\3\1\0\5\1\0\0\1\1", 10, 50},
        {"\x16\3\3\xff\xff\1", 6, 22},
        {"\x17\3\3\0\1x", 6, 10},
        {"\x14\3\3\0\1\1", 6, 10},
    };
    static const uint8_t forged[31] = {21, 3, 3, 0, 26, 0, 0};
    uint8_t got[8];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint8_t record[] = {21, 3, 3, 0, 2, 2, cases[i].alert};
        send_raw(cases[i].octets, cases[i].n, false);
        assert_int_equal(read(client.fd, got, sizeof(got)), sizeof(record));
        assert_memory_equal(got, record, sizeof(record));
        hang_up();
    }
    connect_client();
    assert_true(start_and_shake(NULL, false));
    assert_int_equal(write(client.fd, forged, 31), 31);
    assert_int_equal(server->ops->receive(server), LH_NET_LOST);
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(br_ssl_engine_last_error(&client.ssl.eng),
                     BR_ERR_RECV_FATAL_ALERT + BR_ALERT_BAD_RECORD_MAC);
    hang_up();
}

static void takes_fin_for_an_end(void **state)
{
    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    shutdown(client.fd, SHUT_WR);
    assert_int_equal(server->ops->receive(server), LH_NET_EOF);
    serve("still answered");
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(client.got_n, 14);
    hang_up();
    connect_client();
    shutdown(client.fd, SHUT_WR);
    assert_int_equal(server->ops->receive(server), LH_NET_EOF);
    hang_up();
}

static void refuses_renegotiation(void **state)
{
    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    assert_int_equal(br_ssl_engine_renegotiate(&client.ssl.eng), 1);
    bool moved = true, lost = false;
    for (int i = 0; i < 20 && !lost; i++)
        lost = step(&moved) == LH_NET_LOST;
    /* The client may go on without, or give up; nobody negotiated anew. */
    assert_int_not_equal(br_ssl_engine_last_error(&client.ssl.eng), 0);
    hang_up();
}

static void loses_garbage(void **state)
{
    static const char *const texts[] = {"\x16\x03\x01", "\x80garbage!",
                                        "\x16\x03\x01\x00\x04\x01\x00\x00\x01x",
                                        "\x17\x03\x03\x01\x00", "lower case"};
    const size_t sizes[] = {3, 9, 10, 5, 10};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        int fd = fresh_pair();
        client.fd = fd;
        assert_int_equal(write(fd, texts[i], sizes[i]), sizes[i]);
        enum lh_net got = server->ops->receive(server);
        assert_true(got == LH_NET_LOST || got == LH_NET_AGAIN);
        shutdown(fd, SHUT_WR);
        if (got == LH_NET_AGAIN)
            got = server->ops->receive(server);
        assert_int_not_equal(got, LH_NET_OK);
        server->ops->shutdown(server);
        server->ops->rest(server);
        hang_up();
    }
}

/* --- HTTP on a TLS port ------------------------------------------------ */

static const char request[] = "GET / HTTP/1.1\r\n\r\n";

static void gives_plain_http_to_plain_tcp(void **state)
{
    char in[64];
    size_t n, room;

    (void)state;
    client.fd = fresh_pair();
    assert_int_equal(write(client.fd, request, 18), 18);
    assert_int_equal(server->ops->receive(server), LH_NET_OK);
    assert_int_equal(lh_tls_state(server), LH_TLS_PLAIN_HTTP);
    server = lh_tls_take_plain(server);
    assert_memory_equal(server->ops->peek(server, &n), request, 18);
    assert_int_equal(n, 18);
    server->ops->consume(server, 4);
    assert_memory_equal(server->ops->peek(server, &n), "/ HTTP", 6);
    server->ops->consume(server, 14);
    assert_null(server->ops->peek(server, &n));
    assert_int_equal(write(client.fd, "more", 4), 4);
    assert_int_equal(server->ops->receive(server), LH_NET_OK);
    assert_memory_equal(server->ops->peek(server, &n), "more", 4);
    server->ops->consume(server, 4);
    memcpy(server->ops->buf(server, &room), "400", 3);
    server->ops->ack(server, 3);
    assert_true(server->ops->unsent(server));
    assert_int_equal(server->ops->send(server), LH_NET_OK);
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    assert_int_equal(read(client.fd, in, sizeof(in)), 3);
    assert_int_equal(read(client.fd, in, sizeof(in)), 0);
    server->ops->rest(server);
    assert_int_equal(pools.chunks.out, 0);
    hang_up();
}

static void frees_a_plain_one_that_nobody_takes(void **state)
{
    (void)state;
    client.fd = fresh_pair();
    assert_int_equal(write(client.fd, request, 18), 18);
    assert_int_equal(server->ops->receive(server), LH_NET_OK);
    assert_int_equal(lh_tls_state(server), LH_TLS_PLAIN_HTTP);
    hang_up();
}

/* --- Memory ------------------------------------------------------------ */

/* How many record buffers are lent. */
static void holds(unsigned inputs, unsigned outputs)
{
#if TEST_BEARSSL
    assert_int_equal(pools.tls->inputs.out, inputs);
    assert_int_equal(pools.tls->outputs.out, outputs);
#else
    (void)inputs; /* see test_tls13 */
    (void)outputs;
#endif
}

/* After our goodbye nothing is deciphered, and nothing kept for it. */
static void discards_after_goodbye(void **state)
{
    size_t n;

    (void)state;
    connect_client();
    assert_true(start_and_shake(NULL, false));
    assert_int_equal(test_tls_client_write(&client, "unread", 6), 6);
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(test_tls_client_write(&client, "more", 4), 4);
    while (test_tls_client_pump(&client))
        ;
    assert_int_equal(server->ops->receive(server), LH_NET_OK);
    assert_non_null(server->ops->peek(server, &n));
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    assert_null(server->ops->peek(server, &n));
    server->ops->rest(server);
    holds(0, 0);
    assert_int_equal(pools.chunks.out, 0);
    assert_int_equal(write(client.fd, "anything", 8), 8);
    assert_int_equal(server->ops->discard(server), LH_NET_OK);
    assert_int_equal(server->ops->discard(server), LH_NET_AGAIN);
    assert_false(server->ops->unsent(server));
    shutdown(client.fd, SHUT_WR);
    assert_int_equal(server->ops->discard(server), LH_NET_EOF);
    assert_int_equal(pools.chunks.out, 0);
    hang_up();
}

/* A client that has failed may stay for a while, as long as it sends. */
static void holds_nothing_for_who_has_failed(void **state)
{
    (void)state;
    send_raw("\x16\3\3\xff\xff\1", 6, false);
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    server->ops->rest(server);
    holds(0, 0);
    assert_int_equal(pools.chunks.out, 0);
    assert_int_equal(write(client.fd, "anything", 8), 8);
    assert_int_equal(server->ops->discard(server), LH_NET_OK);
    assert_int_equal(pools.chunks.out, 0);
    hang_up();
}

#if TEST_BEARSSL

static void holds_nothing_at_rest(void **state)
{
    size_t n, room;
    bool moved;

    (void)state;
    test_heap_install();
    begin(all_pairs, true);
    connect_client();
    long before = test_heap_live(); /* before the first byte: no buffers */
    assert_true(start_and_shake(NULL, false));
    server->ops->rest(server);
    assert_int_equal(pools.chunks.out, 0);
    /* Give-backs stay in the pools; a second connection takes those. */
    long rested = test_heap_live();
    assert_int_equal(rested, before + 4); /* two chunks, two records */
    holds(0, 0);
    for (int i = 0; i < 3; i++) {
        exchange();
        server->ops->rest(server);
        holds(0, 0);
        assert_int_equal(test_heap_live(), rested);
    }
    /* Half a record: the input stays, the output does not. */
    client.piece = 7;
    assert_int_equal(test_tls_client_write(&client, "ping", 4), 4);
    assert_int_equal(step(&moved), LH_NET_AGAIN);
    server->ops->rest(server);
    holds(1, 0);
    client.piece = 0;
    for (int i = 0; i < 10 && !server->ops->peek(server, &n); i++)
        step(&moved);
    assert_memory_equal(server->ops->peek(server, &n), "ping", 4);
    /* Unconsumed input and an unsent record stay over a rest. */
    memcpy(server->ops->buf(server, &room), "pong", 4);
    server->ops->ack(server, 4);
    server->ops->rest(server);
    holds(1, 1);
    assert_memory_equal(server->ops->peek(server, &n), "ping", 4);
    assert_true(server->ops->unsent(server));
    server->ops->consume(server, 4);
    server->ops->rest(server);
    holds(0, 1);
    assert_int_equal(server->ops->send(server), LH_NET_OK);
    client.got_n = 0;
    while (test_tls_client_pump(&client))
        ;
    assert_memory_equal(client.got, "pong", 4);
    hang_up();
    end();
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

#endif

/* "ping" and "pong", if there is memory for it. */
static bool try_exchange(void)
{
    size_t n = 0, room = 0;
    bool moved;

    test_tls_client_write(&client, "ping", 4);
    for (int i = 0; i < 200 && !server->ops->peek(server, &n); i++) {
        if (step(&moved) == LH_NET_LOST)
            return false;
    }
    assert_int_equal(n, 4);
    server->ops->consume(server, 4);
    if (!server->ops->buf(server, &room))
        return false;
    serve("pong");
    return true;
}

/* One handshake and exchange in which the n-th allocation fails. */
static bool try_with_failure(unsigned long n)
{
    struct lh_err err;
    bool good = false;
    int fds[2];

    test_heap_fail_at(n);
    if (lh_tls_shared_new(&shared, creds, true, &err))
        return false;
    lh_net_pools_init(&pools);
    pools.tls = lh_tls_worker_new(shared);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    server = pools.tls ? lh_tls_new(&pools, fds[0]) : NULL;
    if (server) {
        test_tls_client_init(&client, fds[1]);
        good = start_and_shake(NULL, false) && try_exchange();
        server->ops->rest(server);
        server->ops->free(server);
    }
    close(fds[0]);
    close(fds[1]);
    lh_tls_worker_free(pools.tls);
    lh_net_pools_deinit(&pools);
    lh_tls_shared_free(shared);
    return good;
}

static void fails_at_every_allocation(void **state)
{
    unsigned long n = 0;
    bool good = false;

    (void)state;
    creds_make(all_pairs);
    test_heap_install();
    while (!good) {
        good = try_with_failure(++n);
        assert_true(n < 50);
        assert_int_equal(test_heap_live(), 0);
    }
    assert_true(n > 5);
    test_heap_uninstall();
    lh_creds_free(creds);
}

#define WITH_SERVER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(every_suite_works),
        WITH_SERVER(refuses_weak_clients),
        WITH_SERVER(says_what_is_no_tls),
#if TEST_BEARSSL
        WITH_SERVER(says_that_it_is_too_new),
#endif
        WITH_SERVER(says_that_no_certificate_fits),
        WITH_SERVER(says_that_there_is_no_memory),
        WITH_SERVER(says_nothing_without_failure),
        WITH_SERVER(our_order_counts),
        WITH_SERVER(picks_by_name),
        WITH_SERVER(picks_what_the_client_can_verify),
        cmocka_unit_test(refuses_what_no_key_fits),
        cmocka_unit_test(handshakes_that_begin_get_new_credentials),
        cmocka_unit_test(sends_a_flight_in_pieces),
        WITH_SERVER(agrees_on_a_protocol),
        cmocka_unit_test(http2_may_be_off),
#if TEST_BEARSSL
        WITH_SERVER(resumes_on_any_worker),
        WITH_SERVER(resumes_for_the_same_name_only),
        WITH_SERVER(keeps_a_session_for_each_name),
#endif
        WITH_SERVER(survives_unknown_alpn_in_a_resumed_hello),
        WITH_SERVER(falls_back_to_a_full_handshake),
        WITH_SERVER(moves_a_megabyte_both_ways),
        WITH_SERVER(takes_records_in_pieces),
        WITH_SERVER(takes_many_records_at_once),
        WITH_SERVER(forgets_a_small_fragment_length),
        WITH_SERVER(says_goodbye),
        WITH_SERVER(discards_after_goodbye),
        WITH_SERVER(holds_nothing_for_who_has_failed),
        WITH_SERVER(sends_all_before_goodbye),
        WITH_SERVER(hears_goodbye),
        WITH_SERVER(tells_alerts_apart),
        WITH_SERVER(gathers_an_alert_in_pieces),
        WITH_SERVER(is_lost_by_bad_alerts),
        WITH_SERVER(tells_the_client_its_fault),
        WITH_SERVER(tells_who_says_too_much),
        WITH_SERVER(first_records_are_small),
        WITH_SERVER(hears_damage_behind_a_record),
        WITH_SERVER(takes_fin_for_an_end),
        WITH_SERVER(refuses_renegotiation),
        WITH_SERVER(loses_garbage),
        WITH_SERVER(gives_plain_http_to_plain_tcp),
        WITH_SERVER(frees_a_plain_one_that_nobody_takes),
#if TEST_BEARSSL
        cmocka_unit_test(holds_nothing_at_rest),
#endif
        cmocka_unit_test(fails_at_every_allocation),
    };

    int failed = cmocka_run_group_tests_name("tls", tests, NULL, NULL);
    aside = true;
    return failed +
           cmocka_run_group_tests_name("tls, by a helper", tests, NULL, NULL);
}
