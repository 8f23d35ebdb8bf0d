/*
 * Handshakes whose steps a helper thread does, seen from a worker that the test
 * drives step by step.  The helper can be held: what is given to it then waits
 * behind a job of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/away.h"

#include "lib/heap.h"
#include "lib/pairs.h"
#include "lib/tls_client.h"
#include "net/tls.h"
#include "server/check.h"
#include "server/conn.h"
#include "server/conn_input.h"
#include "server/conn_output.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET / HTTP/1.1\r\nhost: x\r\n\r\n"

/* Turns of a loop that must come to an end, some of which wait for 10 ms. */
#define TURNS_MAX 3000

#define CLIENTS 6
#define AWAY    4 /* steps that one helper is given */

int __real_pthread_create(pthread_t *, const pthread_attr_t *,
                          void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument);

static _Atomic bool no_threads;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument)
{
    if (no_threads)
        return EAGAIN;
    return __real_pthread_create(thread, attributes, run, argument);
}

/* A job of the test's own, which waits for an octet.  It comes back as a
 * transport that nobody wants. */
static struct {
    struct lh_transport transport;
    struct lh_away away;
    int pipe[2];
    bool shut;
} gate;

static struct {
    lhttpd_server_t *server;
    struct lh_listener plain, tls;
    struct lh_worker worker;
    struct test_tls_client clients[CLIENTS];
    char logged[400];
} t;

static void keep_log(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    snprintf(t.logged, sizeof(t.logged), "%s", entry->message);
}

static void begin_with(const char *threads, bool attached)
{
    lhttpd_config_t config = lhttpd_config_init();
    struct lh_err err;

    memset(&t, 0, sizeof(t));
    config.workers = 1;
    config.log = keep_log;
    config.log_level = LHTTPD_LOG_INFO;
    assert_int_equal(lhttpd_server_create(&t.server, &config), 0);
    assert_int_equal(lhttpd_server_set(t.server, "tls_threads", threads), 0);
    test_pair_add(t.server->creds, "rsa2048");
    t.server->attached = attached;
    t.plain = (struct lh_listener){.fd = -1};
    t.tls = (struct lh_listener){.fd = -1, .flags = LHTTPD_LISTEN_TLS};
    assert_int_equal(
        lh_tls_shared_new(&t.server->tls, t.server->creds, false, &err), 0);
    assert_int_equal(lh_worker_init(&t.worker, t.server, 0, &err), 0);
    for (size_t i = 0; i < CLIENTS; i++)
        t.clients[i].fd = -1;
}

static int set_up(void **state)
{
    (void)state;
    begin_with("1", false);
    return 0;
}

static void open_gate(void)
{
    if (gate.shut)
        assert_int_equal(write(gate.pipe[1], "", 1), 1);
    gate.shut = false;
}

static int tear_down(void **state)
{
    (void)state;
    lh_conns_cut(&t.worker);
    lh_conns_reap(&t.worker);
    assert_int_equal(t.worker.conns_n, 0);
    open_gate();
    lh_worker_deinit(&t.worker); /* asserts that nothing is out */
    lh_worker_close(&t.worker);
    t.server->attached = false;
    lh_tls_shared_free(t.server->tls);
    t.server->tls = NULL;
    lhttpd_server_destroy(t.server);
    for (size_t i = 0; i < CLIENTS; i++)
        if (t.clients[i].fd >= 0)
            close(t.clients[i].fd);
    if (gate.pipe[1] > 0) {
        close(gate.pipe[0]);
        close(gate.pipe[1]);
    }
    memset(&gate, 0, sizeof(gate));
    return 0;
}

/* --- the helper is held --------------------------------------------------- */

static void wait_at_gate(struct lh_crew_job *job)
{
    char octet;

    (void)job;
    while (read(gate.pipe[0], &octet, 1) < 0 && errno == EINTR)
        continue;
}

static void gate_free(struct lh_transport *transport)
{
    (void)transport;
}

static void shut_gate(void)
{
    static const struct lh_transport_ops ops = {.free = gate_free};

    assert_int_equal(pipe(gate.pipe), 0);
    gate.transport = (struct lh_transport){
        .ops = &ops, .pools = &t.worker.pools, .unwanted = true};
    gate.shut = true;
    assert_true(lh_away_go(&gate.transport, &gate.away, wait_at_gate));
    lh_away_call(&t.worker.pools);
}

/* Those of connections. */
static unsigned away(void)
{
    return t.worker.pools.away - gate.transport.away;
}

/* --- turns ---------------------------------------------------------------- */

/* Without Lua; waits for at most so long. */
static void turn(int most_ms)
{
    struct lh_worker *w = &t.worker;
    unsigned n = lh_evq_wait(&w->evq, w->events, LH_EVENTS_MAX, most_ms);

    w->handshakes = 0;
    w->shaking = (struct lh_step){0};
    for (unsigned i = 0; i < n; i++) {
        struct lh_source *source = lh_slots_find(&w->slots, w->events[i].tag);
        if (source)
            source->on_event(source, w->events[i].ready);
    }
    lh_timers_fire(&w->ctx.timers, w->ctx.now_ms);
    lh_conns_feed(w);
    lh_conns_write(w);
    lh_conns_reap(w);
    lh_away_call(&w->pools);
    lh_check_worker(w);
}

static void turns(int n)
{
    while (n-- > 0)
        turn(0);
}

static void wait_until_back(void)
{
    for (int i = 0; t.worker.pools.away; i++) {
        assert_true(i < TURNS_MAX);
        turn(10);
    }
}

/* --- clients -------------------------------------------------------------- */

static void accept_from(struct test_tls_client *c,
                        const struct lh_listener *listener)
{
    struct lh_sock_ends ends = {.local = "x", .remote = "y"};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    c->fd = fds[0];
    lh_conn_accept(&t.worker, listener, fds[1], &ends);
    turn(0);
}

/* It has sent its hello, perhaps with the session that it has, and the worker
 * has seen it. */
static void send_hello(struct test_tls_client *c, bool resume)
{
    test_tls_client_start(c, "localhost", resume, 0);
    while (test_tls_client_pump(c))
        continue;
    turns(2);
}

static void say_hello(struct test_tls_client *c)
{
    accept_from(c, &t.tls);
    test_tls_client_init(c, c->fd);
    send_hello(c, false);
}

static bool finish_handshake(struct test_tls_client *c)
{
    for (int i = 0; i < TURNS_MAX && !c->eof; i++) {
        test_tls_client_pump(c);
        if (test_tls_client_open(c))
            return true;
        turn(10);
    }
    return false;
}

/* Sends a request and has an answer. */
static bool is_served(struct test_tls_client *c)
{
    c->got_n = 0;
    if (test_tls_client_write(c, GET, strlen(GET)) != strlen(GET))
        return false;
    for (int i = 0; i < TURNS_MAX && c->got_n < 12 && !c->eof; i++) {
        if (!test_tls_client_pump(c))
            turn(10);
    }
    return c->got_n >= 12 && memcmp(c->got, "HTTP/1.1 404", 12) == 0;
}

static void leave(struct test_tls_client *c)
{
    close(c->fd);
    c->fd = -1;
    turns(3);
}

/* --- the tests ------------------------------------------------------------ */

static void a_helper_does_it(void **state)
{
    (void)state;
    assert_non_null(t.worker.pools.crew);
    shut_gate();
    say_hello(&t.clients[0]);
    assert_int_equal(away(), 1);
    open_gate();
    assert_true(finish_handshake(&t.clients[0]));
    assert_true(is_served(&t.clients[0]));
    assert_int_equal(lh_count_get(&t.worker.ctx.counters.handshakes_full), 1);
}

static void others_are_served_meanwhile(void **state)
{
    struct test_tls_client *plain = &t.clients[1];
    char answer[12];

    (void)state;
    shut_gate();
    say_hello(&t.clients[0]);
    accept_from(plain, &t.plain);
    assert_int_equal(write(plain->fd, GET, strlen(GET)), strlen(GET));
    turns(3);
    assert_int_equal(away(), 1);
    assert_int_equal(read(plain->fd, answer, sizeof(answer)), sizeof(answer));
    assert_memory_equal(answer, "HTTP/1.1 404", sizeof(answer));
}

#if TEST_BEARSSL /* the client knows no tickets */

/* With the session that it has. */
static void say_hello_again(struct test_tls_client *c)
{
    accept_from(c, &t.tls);
    send_hello(c, true);
}

/* It is short, and would wait behind long ones. */
static void a_resumed_one_stays(void **state)
{
    (void)state;
    say_hello(&t.clients[0]);
    assert_true(finish_handshake(&t.clients[0]));
    assert_true(is_served(&t.clients[0]));
    leave(&t.clients[0]);
    wait_until_back();
    shut_gate();
    say_hello_again(&t.clients[0]);
    assert_int_equal(away(), 0);
    assert_true(finish_handshake(&t.clients[0]));
    assert_true(is_served(&t.clients[0]));
    assert_int_equal(lh_count_get(&t.worker.ctx.counters.handshakes_resumed),
                     1);
}

/* It names a session that is known, but not the session's suite: that is no
 * way to have a long one done in place. */
static void one_that_only_says_so_goes(void **state)
{
    static const uint16_t one = BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
    static const uint16_t two = BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384;
    struct test_tls_client *c = &t.clients[0];

    (void)state;
    accept_from(c, &t.tls);
    test_tls_client_init(c, c->fd);
    br_ssl_engine_set_suites(&c->ssl.eng, &one, 1);
    test_tls_client_start(c, "localhost", false, 0);
    assert_true(finish_handshake(c));
    leave(c);
    wait_until_back();
    shut_gate();
    br_ssl_engine_set_suites(&c->ssl.eng, &two, 1);
    say_hello_again(c);
    assert_int_equal(away(), 1);
}

#endif

/* More that comes meanwhile waits in the socket, and nothing spins. */
static void what_comes_meanwhile_waits(void **state)
{
    uint8_t rest[512] = {22, 3, 3, 0, 4, 16, 0, 0, 0};

    (void)state;
    shut_gate();
    say_hello(&t.clients[0]);
    assert_int_equal(write(t.clients[0].fd, rest, 9), 9);
    assert_int_equal(shutdown(t.clients[0].fd, SHUT_WR), 0);
    turns(4);
    assert_int_equal(
        lh_evq_wait(&t.worker.evq, t.worker.events, LH_EVENTS_MAX, 0), 0);
    assert_true(lh_list_empty(&t.worker.fed));
    assert_int_equal(away(), 1);
    open_gate();
    for (int i = 0; t.worker.conns_n && i < TURNS_MAX; i++)
        turn(10);
    assert_int_equal(t.worker.conns_n, 0);
}

static void the_client_goes_meanwhile(void **state)
{
    (void)state;
    shut_gate();
    say_hello(&t.clients[0]);
    lh_conns_cut(&t.worker);
    turns(2);
    assert_int_equal(t.worker.conns_n, 0);
    assert_int_equal(away(), 1);
    open_gate();
    wait_until_back();
    say_hello(&t.clients[1]);
    assert_true(finish_handshake(&t.clients[1]));
    assert_true(is_served(&t.clients[1]));
}

static void its_time_is_over_meanwhile(void **state)
{
    (void)state;
    shut_gate();
    say_hello(&t.clients[0]);
    t.worker.ctx.now_ms += t.worker.ctx.limits->handshake_timeout_ms;
    turns(2);
    assert_int_equal(t.worker.conns_n, 0);
    assert_int_equal(away(), 1);
    assert_string_equal(t.logged,
                        "its TLS handshake was not done after 10000 ms");
    open_gate();
    wait_until_back();
}

static void wait_for_helper(void)
{
    struct pollfd p = {.fd = lh_crew_fd(t.worker.pools.crew), .events = POLLIN};

    open_gate();
    for (int i = 0; t.worker.pools.away && i < TURNS_MAX; i++) {
        assert_int_equal(poll(&p, 1, 60000), 1);
        lh_away_take(&t.worker.pools);
    }
    assert_int_equal(t.worker.pools.away, 0);
}

/* Its connection is closed, but is not freed yet, when the step comes back. */
static void it_comes_back_in_the_turn_of_its_end(void **state)
{
    (void)state;
    shut_gate();
    say_hello(&t.clients[0]);
    assert_int_equal(away(), 1);
    lh_conns_cut(&t.worker);
    wait_for_helper();
    assert_true(lh_list_empty(&t.worker.fed));
    turns(2);
    assert_int_equal(t.worker.conns_n, 0);
}

/* Those that would go on are lost before they do: the next are called. */
static void who_is_called_may_go(void **state)
{
    struct lh_list *link;

    (void)state;
    shut_gate();
    for (size_t i = 0; i < CLIENTS; i++)
        say_hello(&t.clients[i]);
    unsigned lost = away();
    wait_for_helper();
    assert_int_equal(t.worker.called, lost);
    while ((link = t.worker.fed.next) != &t.worker.fed)
        lh_conn_lose(LH_OF(link, struct lh_conn, fed));
    assert_int_equal(t.worker.called, 0);
    assert_true(lh_conns_may_call(&t.worker));
    for (size_t i = lost; i < CLIENTS; i++)
        assert_true(finish_handshake(&t.clients[i]));
}

/* Its handshake cannot be ended, so that nothing is done for it. */
static void who_leaves_the_queue_is_let_go(void **state)
{
    struct test_tls_client *gone = &t.clients[CLIENTS - 1];
    char octet;

    (void)state;
    shut_gate();
    for (size_t i = 0; i < CLIENTS; i++)
        say_hello(&t.clients[i]);
    assert_int_equal(shutdown(gone->fd, SHUT_WR), 0);
    turns(3);
    assert_int_equal(t.worker.conns_n, CLIENTS);
    open_gate();
    for (size_t i = 0; i < CLIENTS - 1; i++)
        assert_true(finish_handshake(&t.clients[i]));
    for (int i = 0; t.worker.conns_n == CLIENTS && i < TURNS_MAX; i++)
        turn(10);
    assert_true(recv(gone->fd, &octet, 1, 0) <= 0);
}

/* It holds what a handshake takes, and the others nothing yet. */
static void who_has_begun_goes_first(void **state)
{
    struct test_tls_client *begun = &t.clients[0];
    char octet;

    (void)state;
    say_hello(begun);
    for (int i = 0; i < TURNS_MAX && recv(begun->fd, &octet, 1, MSG_PEEK) < 0;
         i++)
        turn(10);
    wait_until_back();
    shut_gate();
    for (size_t i = 1; i < CLIENTS; i++)
        say_hello(&t.clients[i]);
    while (test_tls_client_pump(begun))
        continue;
    turns(2);
    assert_false(lh_list_empty(&t.worker.queue));
    assert_true(LH_OF(t.worker.queue.next, struct lh_conn, fed)->heard);
    open_gate();
    for (size_t i = 0; i < CLIENTS; i++)
        assert_true(finish_handshake(&t.clients[i]));
}

/* The worker ends, and what is away never comes back to a connection. */
static void the_worker_ends_meanwhile(void **state)
{
    (void)state;
    shut_gate();
    for (size_t i = 0; i < 3; i++)
        say_hello(&t.clients[i]);
    assert_int_equal(away(), 3);
}

static void other_credentials_come_meanwhile(void **state)
{
    struct lh_creds *creds = lh_creds_new();

    (void)state;
    test_pair_add(creds, "ec256");
    shut_gate();
    say_hello(&t.clients[0]);
    lh_tls_worker_give(t.worker.pools.tls, creds);
    lh_creds_free(creds);
    say_hello(&t.clients[1]);
    open_gate();
    for (size_t i = 0; i < 2; i++) {
        struct test_tls_client *c = &t.clients[i];
        assert_true(finish_handshake(c));
        assert_true(is_served(c));
        assert_int_equal(c->believer.decoder.pkey.key_type,
                         i == 0 ? BR_KEYTYPE_RSA : BR_KEYTYPE_EC);
    }
}

/* Hellos that no helper has time for stay in their sockets, in their order. */
static void too_many_wait_their_turn(void **state)
{
    unsigned queued = 0;

    (void)state;
    shut_gate();
    for (size_t i = 0; i < CLIENTS; i++)
        say_hello(&t.clients[i]);
    assert_int_equal(t.worker.pools.away, AWAY);
    for (struct lh_list *l = t.worker.queue.next; l != &t.worker.queue;
         l = l->next) {
        const struct lh_conn *c = LH_OF(l, struct lh_conn, fed);
        assert_false(c->heard);
        queued++;
    }
    assert_int_equal(queued, CLIENTS - away());
    assert_int_equal(
        lh_evq_wait(&t.worker.evq, t.worker.events, LH_EVENTS_MAX, 0),
        0); /* nothing spins */
    open_gate();
    for (size_t i = 0; i < CLIENTS; i++) {
        assert_true(finish_handshake(&t.clients[i]));
        assert_true(is_served(&t.clients[i]));
    }
    assert_true(lh_list_empty(&t.worker.queue));
}

/* Those that are away are lost, so that nobody goes on who would call the next.
 */
static void who_waits_goes_on_after_who_has_gone(void **state)
{
    struct lh_list *link;

    (void)state;
    shut_gate();
    for (size_t i = 0; i < CLIENTS; i++)
        say_hello(&t.clients[i]);
    unsigned lost = away();
    for (link = t.worker.busy.next; link != &t.worker.busy;) {
        struct lh_conn *c = LH_OF(link, struct lh_conn, all);
        link = link->next;
        if (c->transport->away)
            lh_conn_lose(c);
    }
    turns(1);
    assert_int_equal(t.worker.conns_n, CLIENTS - lost);
    open_gate();
    for (size_t i = lost; i < CLIENTS; i++)
        assert_true(finish_handshake(&t.clients[i]));
}

static void who_waits_may_go(void **state)
{
    (void)state;
    shut_gate();
    for (size_t i = 0; i < CLIENTS; i++)
        say_hello(&t.clients[i]);
    assert_false(lh_list_empty(&t.worker.queue));
    lh_conns_cut(&t.worker);
    assert_true(lh_list_empty(&t.worker.queue));
    lh_conns_reap(&t.worker);
    open_gate();
    wait_until_back();
}

/* Does it get through while the n-th allocation from here on fails? */
static bool is_served_but_for(struct test_tls_client *c, unsigned long n,
                              unsigned long *count)
{
    test_heap_fail_at(n);
    say_hello(c);
    bool served = finish_handshake(c) && is_served(c);
    *count = test_heap_count();
    test_heap_fail_at(0);
    leave(c);
    wait_until_back();
    lh_conns_cut(&t.worker);
    turns(2);
    assert_int_equal(t.worker.conns_n, 0);
    return served;
}

/* Whose allocation fails may be lost, and nobody else. */
static void without_memory(void **state)
{
    unsigned long n = 0, count;

    (void)state;
    say_hello(&t.clients[0]); /* what is made once */
    assert_true(finish_handshake(&t.clients[0]));
    leave(&t.clients[0]);
    wait_until_back();
    test_heap_install();
    do {
        n++;
        assert_true(n < 500);
        bool served = is_served_but_for(&t.clients[1], n, &count);
        assert_true(served || count >= n);
    } while (count >= n);
    test_heap_uninstall();
    assert_true(n > 3);
}

static void without_threads(void **state)
{
    (void)state;
    tear_down(state);
    no_threads = true;
    setenv("LHTTPD_AIO", "inline", 1); /* which may want threads as well */
    begin_with("2", false);
    unsetenv("LHTTPD_AIO");
    no_threads = false;
    assert_null(t.worker.pools.crew);
    assert_non_null(strstr(t.logged, "TLS handshakes hold up other requests"));
    say_hello(&t.clients[0]);
    assert_true(finish_handshake(&t.clients[0]));
    assert_true(is_served(&t.clients[0]));
}

/* In a program's own loop, and where that is wanted. */
static void in_place(void **state)
{
    static const struct {
        const char *threads;
        bool attached;
    } cases[] = {{"0", false}, {"1", true}};

    for (size_t i = 0; i < 2; i++) {
        tear_down(state);
        begin_with(cases[i].threads, cases[i].attached);
        assert_null(t.worker.pools.crew);
        assert_string_equal(t.logged, "");
        say_hello(&t.clients[0]);
        assert_true(finish_handshake(&t.clients[0]));
        assert_true(is_served(&t.clients[0]));
    }
}

static void the_setting(void **state)
{
    (void)state;
    assert_int_equal(lhttpd_server_set(t.server, "tls_threads", "16"), 0);
    assert_int_equal(lhttpd_server_set(t.server, "tls_threads", "17"),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_set(t.server, "tls_threads", "many"),
                     LHTTPD_EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_helper_does_it),
        TEST(others_are_served_meanwhile),
#if TEST_BEARSSL
        TEST(a_resumed_one_stays),
        TEST(one_that_only_says_so_goes),
#endif
        TEST(what_comes_meanwhile_waits),
        TEST(the_client_goes_meanwhile),
        TEST(its_time_is_over_meanwhile),
        TEST(it_comes_back_in_the_turn_of_its_end),
        TEST(who_is_called_may_go),
        TEST(who_leaves_the_queue_is_let_go),
        TEST(who_has_begun_goes_first),
        TEST(the_worker_ends_meanwhile),
        TEST(other_credentials_come_meanwhile),
        TEST(too_many_wait_their_turn),
        TEST(who_waits_goes_on_after_who_has_gone),
        TEST(who_waits_may_go),
        TEST(without_memory),
        TEST(without_threads),
        TEST(in_place),
        TEST(the_setting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
