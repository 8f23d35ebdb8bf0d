/* TLS as a client, on a socket pair: what test/e2e/test_connect_tls.py cannot
 * bring about.  The other end is the server's transport, or octets by hand. */
#include "lib/heap.h"
#include "lib/pairs.h"
#include "net/tls.h"
#include "net/tls_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#if !TEST_BEARSSL
#include "net/openssl.h"
#endif

#define DATA TEST_DATA "/tls/"

#define STEPS_MAX 2000 /* of a loop that must come to an end */

static struct lh_net_pools pools, server_pools;
static struct lh_creds *creds;
static struct lh_tls_shared *shared;
static struct lh_trust *trust;
static struct lh_transport *client, *server;
static int far; /* the other end of the client's socket */

static int set_up(void **state)
{
    struct lh_err err;
    int fds[2];

    (void)state;
    creds = lh_creds_new();
    test_pair_add(creds, "ec256");
    assert_int_equal(lh_tls_shared_new(&shared, creds, false, &err), 0);
    assert_int_equal(lh_trust_new(&trust, DATA "root.pem", &err), 0);
    lh_net_pools_init(&pools);
    lh_net_pools_init(&server_pools);
    server_pools.tls = lh_tls_worker_new(shared);
    assert_non_null(server_pools.tls);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    far = fds[1];
    client = lh_tls_client_new(&pools, fds[0], trust, "a.example.org");
    assert_non_null(client);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(client->fd);
    client->ops->free(client);
    if (server)
        server->ops->free(server);
    server = NULL;
    close(far);
    lh_tls_worker_free(server_pools.tls); /* asserts that nothing is out */
    lh_net_pools_deinit(&server_pools);
    lh_net_pools_deinit(&pools);
    lh_trust_free(trust);
    lh_tls_shared_free(shared);
    lh_creds_free(creds);
    return 0;
}

static void shake_hands(void)
{
    server = lh_tls_new(&server_pools, far);
    assert_non_null(server);
    for (int i = 0; i < STEPS_MAX; i++) {
        assert_int_not_equal(client->ops->receive(client), LH_NET_LOST);
        assert_int_not_equal(server->ops->receive(server), LH_NET_LOST);
        server->ops->send(server);
        if (lh_tls_client_state(client) == LH_TLS_CLIENT_READY &&
            lh_tls_state(server) == LH_TLS_READY)
            return;
    }
    fail_msg("the handshake does not end");
}

#if TEST_BEARSSL

/* A server that sends without end would hold its worker, however little there
 * is in what it sends.  OpenSSL gives a few of these alerts and then up. */
static void takes_one_chunk_at_a_time(void **state)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 1, 90};
    size_t sent = 0, taken = 0;
    uint8_t octets[sizeof(alert) * 512];
    int room = 8 * LH_NET_CHUNK_BYTES;

    (void)state;
    setsockopt(far, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = alert[i % sizeof(alert)];
    for (ssize_t n = 0; n >= 0; n = send(far, octets, sizeof(octets), 0))
        sent += (size_t)n;
    assert_true(sent > 2 * LH_NET_CHUNK_BYTES);
    while (taken < sent) {
        assert_int_equal(client->ops->receive(client), LH_NET_AGAIN);
        size_t left = lh_sock_unread(client->fd);
        assert_true(sent - left > taken);
        assert_true(sent - left <= taken + LH_NET_CHUNK_BYTES);
        taken = sent - left;
    }
}

#endif

static void fill_client(void)
{
    size_t room;

    for (int i = 0; i < STEPS_MAX; i++) {
        uint8_t *p = client->ops->buf(client, &room);
        if (p) {
            memset(p, 'x', room);
            client->ops->ack(client, room);
        }
        if (client->ops->send(client) == LH_NET_AGAIN)
            return;
    }
    fail_msg("the socket takes all");
}

/* The server says goodbye while the client still has to be rid of a record:
 * once that has left nothing can, and who writes learns it. */
static void a_goodbye_ends_what_is_written(void **state)
{
    static char octets[65536];
    size_t room;

    (void)state;
    shake_hands();
    fill_client();
    assert_int_equal(server->ops->shutdown(server), LH_NET_OK);
    assert_int_equal(client->ops->receive(client), LH_NET_EOF);
    for (int i = 0; i < STEPS_MAX; i++) {
        while (read(far, octets, sizeof(octets)) > 0)
            continue;
        enum lh_net sent = client->ops->send(client);
        if (sent == LH_NET_LOST) {
            assert_null(client->ops->buf(client, &room));
            return;
        }
        assert_true(sent == LH_NET_AGAIN || client->ops->unsent(client) ||
                    client->ops->buf(client, &room));
    }
    fail_msg("nobody learns it");
}

#if TEST_BEARSSL

static int set_up_counted(void **state)
{
    test_heap_install();
    return set_up(state);
}

static int tear_down_counted(void **state)
{
    int r = tear_down(state);

    test_heap_uninstall();
    return r;
}

static void send_text(struct lh_transport *t, const char *text)
{
    size_t room, n = strlen(text);
    uint8_t *p = t->ops->buf(t, &room);

    assert_non_null(p);
    assert_true(room >= n);
    memcpy(p, text, n);
    t->ops->ack(t, n);
    assert_int_equal(t->ops->send(t), LH_NET_OK);
}

static void expect_text(struct lh_transport *t, const char *text)
{
    size_t n;
    const uint8_t *p = t->ops->peek(t, &n);

    assert_non_null(p);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(p, text, n);
    t->ops->consume(t, n);
    assert_null(t->ops->peek(t, &n));
}

static void ask_and_answer(void)
{
    send_text(client, "question");
    assert_int_equal(server->ops->receive(server), LH_NET_OK);
    expect_text(server, "question");
    send_text(server, "answer");
    server->ops->rest(server);
    assert_int_equal(client->ops->receive(client), LH_NET_OK);
    client->ops->rest(client); /* not while there is something to peek at */
    expect_text(client, "answer");
}

/* Records have two buffers, which are there while octets move. */
static void holds_no_records_at_rest(void **state)
{
    static const uint8_t half[] = {23, 3, 3};

    (void)state;
    shake_hands();
    ask_and_answer(); /* pools have grown after that */
    client->ops->rest(client);
    long resting = test_heap_live();
    for (int i = 0; i < 3; i++) {
        ask_and_answer();
        assert_true(test_heap_live() > resting);
        client->ops->rest(client);
        assert_int_equal(test_heap_live(), resting);
        assert_false(client->ops->unsent(client));
    }
    assert_int_equal(client->ops->receive(client), LH_NET_AGAIN);
    assert_int_equal(test_heap_live(), resting + 2);
    client->ops->rest(client);
    assert_int_equal(send(far, half, sizeof(half), 0), sizeof(half));
    assert_int_equal(client->ops->receive(client), LH_NET_AGAIN);
    client->ops->rest(client);
    assert_int_equal(test_heap_live(), resting + 1);
}

#endif

#if !TEST_BEARSSL

#define FRAGMENT 512 /* octets in a record */

/* Makes a ticket too large for one record. */
static int swell(SSL *ssl, void *unused)
{
    static const uint8_t octets[2 * FRAGMENT];

    (void)unused;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), octets,
                                           sizeof(octets));
}

/* OpenSSL's server, between two BIOs of memory. */
static SSL *small_records(SSL_CTX *ctx)
{
    SSL_CTX_use_certificate_chain_file(ctx, DATA "ec256.pem");
    SSL_CTX_use_PrivateKey_file(ctx, DATA "ec256.key", SSL_FILETYPE_PEM);
    SSL_CTX_set_max_send_fragment(ctx, FRAGMENT);
    SSL_CTX_set_session_ticket_cb(ctx, swell, NULL, NULL);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL *ssl = SSL_new(ctx);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl);
    return ssl;
}

/* All that it has written. */
static size_t written_by(SSL *ssl, uint8_t *out, size_t room)
{
    int n = BIO_read(SSL_get_wbio(ssl), out, (int)room);

    return n > 0 ? (size_t)n : 0;
}

static void give_to(SSL *ssl)
{
    static uint8_t octets[65536];
    ssize_t n = read(far, octets, sizeof(octets));

    if (n > 0)
        assert_int_equal(BIO_write(SSL_get_rbio(ssl), octets, (int)n), n);
}

/* The ticket, which follows the handshake. */
static size_t shake_with(SSL *ssl, uint8_t *ticket, size_t room)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        assert_int_not_equal(client->ops->receive(client), LH_NET_LOST);
        give_to(ssl);
        int done = SSL_do_handshake(ssl);
        size_t n = written_by(ssl, ticket, room);
        if (done == 1)
            return n;
        ERR_clear_error();
        assert_int_equal(send(far, ticket, n, 0), n);
    }
    fail_msg("the handshake does not end");
    return 0;
}

/* RFC 8446, 5.1: a message may be in several records. */
static void writes_behind_whole_messages_only(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL *ssl = small_records(ctx);
    uint8_t ticket[8192], in[8];
    size_t n = shake_with(ssl, ticket, sizeof(ticket)), room;
    size_t first = 5 + ((size_t)ticket[3] << 8 | ticket[4]);

    (void)state;
    assert_true(n > first);
    assert_int_equal(send(far, ticket, first, 0), first);
    assert_int_equal(client->ops->receive(client), LH_NET_AGAIN);
    assert_int_equal(lh_tls_client_state(client), LH_TLS_CLIENT_READY);
    assert_null(client->ops->buf(client, &room));
    assert_false(client->ops->unsent(client));
    assert_int_equal(client->ops->send(client), LH_NET_OK);
    assert_int_equal(send(far, ticket + first, n - first, 0), n - first);
    assert_int_equal(client->ops->receive(client), LH_NET_AGAIN);
    uint8_t *p = client->ops->buf(client, &room);
    assert_non_null(p);
    memcpy(p, "ping", 4);
    client->ops->ack(client, 4);
    assert_int_equal(client->ops->send(client), LH_NET_OK);
    give_to(ssl);
    assert_int_equal(SSL_read(ssl, in, sizeof(in)), 4);
    assert_memory_equal(in, "ping", 4);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
}

#endif

static void says_goodbye_from_rest(void **state)
{
    (void)state;
    shake_hands();
    client->ops->rest(client);
    assert_int_equal(client->ops->shutdown(client), LH_NET_OK);
    assert_int_equal(server->ops->receive(server), LH_NET_EOF);
    assert_true(server->ended); /* by TLS, not by the FIN alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if TEST_BEARSSL
        cmocka_unit_test_setup_teardown(takes_one_chunk_at_a_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(holds_no_records_at_rest,
                                        set_up_counted, tear_down_counted),
#else
        cmocka_unit_test_setup_teardown(writes_behind_whole_messages_only,
                                        set_up, tear_down),
#endif
        cmocka_unit_test_setup_teardown(a_goodbye_ends_what_is_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(says_goodbye_from_rest, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("tls_client", tests, NULL, NULL);
}
