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
#endif
        cmocka_unit_test_setup_teardown(a_goodbye_ends_what_is_written, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(says_goodbye_from_rest, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("tls_client", tests, NULL, NULL);
}
