/*
 * The TLS transport on loopback, against another implementation: the openssl
 * command, which is what showed that a client can crash BearSSL 0.6.
 */
#include "lib/pairs.h"
#include "net/tls.h"
#include "net/transport.h"
#include "os/sock.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA       TEST_DATA "/tls/"
#define STEP_MS    10000 /* a hanging step fails the test */
#define STEPS_MAX  10000
#define GREETING   "hello\n"
#define GREETING_N (sizeof(GREETING) - 1)

static struct lh_creds *creds;
static struct lh_tls_shared *shared;
static struct lh_sock_address where;
static atomic_bool stopping;
static pthread_t thread;
static int listener;
static char session_file[] = "/tmp/lhttpd-test-XXXXXX";

/* Answers a greeting with what was agreed, then says goodbye. */
static void answer(struct lh_transport *t)
{
    size_t room;
    char *out = (char *)t->ops->buf(t, &room);
    int n = snprintf(out, room, "served %s %s %s\n", lh_tls_server_name(t),
                     lh_tls_is_h2(t) ? "h2" : "http/1.1", lh_tls_cipher(t));

    t->ops->ack(t, (size_t)n);
    t->ops->shutdown(t);
}

static void serve(struct lh_transport *t)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        struct pollfd p = {.fd = t->fd, .events = POLLIN};
        size_t n;
        if (poll(&p, 1, STEP_MS) != 1)
            return;
        enum lh_net got = t->ops->receive(t);
        if (got == LH_NET_LOST || got == LH_NET_EOF)
            return;
        if (t->ops->peek(t, &n) && n == GREETING_N) {
            t->ops->consume(t, n);
            answer(t);
        }
        t->ops->rest(t);
    }
}

static void *server(void *unused)
{
    struct lh_net_pools pools;

    (void)unused;
    lh_net_pools_init(&pools);
    pools.tls = lh_tls_worker_new(shared);
    while (pools.tls && !stopping) {
        struct pollfd p = {.fd = listener, .events = POLLIN};
        struct lh_sock_ends ends;
        poll(&p, 1, 50);
        int fd = lh_sock_accept(listener, &ends);
        if (fd < 0)
            continue;
        struct lh_transport *t = lh_tls_new(&pools, fd);
        if (t) {
            serve(t);
            t->ops->free(t);
        }
        lh_sock_close(fd);
    }
    lh_tls_worker_free(pools.tls);
    lh_net_pools_deinit(&pools);
    return NULL;
}

static int set_up(void **state)
{
    struct lh_err err;
    int fd = mkstemp(session_file);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    creds = lh_creds_new();
    test_pair_add(creds, "ec256");
    test_pair_add(creds, "rsa2048");
    test_pair_add(creds, "ec384");
    assert_int_equal(lh_tls_shared_new(&shared, creds, true, &err), 0);
    listener = lh_sock_listen("127.0.0.1", 0, NULL, &where, &err);
    assert_true(listener >= 0);
    assert_int_equal(pthread_create(&thread, NULL, server, NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    struct lh_err err;

    (void)state;
    stopping = true;
    pthread_join(thread, NULL);
    lh_sock_address_deinit(&where, listener, &err);
    lh_sock_close(listener);
    lh_tls_shared_free(shared);
    lh_creds_free(creds);
    unlink(session_file);
    return 0;
}

/* Runs s_client with these options; what it printed. */
static const char *run(const char *options)
{
    static char out[65536];
    char command[1024];

    snprintf(command, sizeof(command),
             "printf '%s' | timeout 20 openssl s_client -ign_eof -tls1_2 "
             "-CAfile '" DATA "root.pem' -connect 127.0.0.1:%d %s 2>&1",
             "hello\\n", where.port, options);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(out, 1, sizeof(out) - 1, pipe);
    pclose(pipe);
    out[n] = '\0';
    return out;
}

static void is_served(const char *options, const char *words)
{
    const char *out = run(options);

    if (!strstr(out, words))
        fail_msg("%s: no \"%s\" in:\n%s", options, words, out);
}

static void is_refused(const char *options)
{
    const char *out = run(options);

    if (strstr(out, "served"))
        fail_msg("%s: served:\n%s", options, out);
}

static void verifies_each_chain(void **state)
{
    (void)state;
    is_served("-verify_return_error -servername a.example.org "
              "-verify_hostname a.example.org",
              "served a.example.org http/1.1 TLS_ECDHE_ECDSA");
    is_served("-verify_return_error -servername r.example.org "
              "-verify_hostname r.example.org",
              "served r.example.org http/1.1 TLS_ECDHE_RSA");
    is_served("-verify_return_error -servername x.example.net "
              "-verify_hostname x.example.net",
              "served x.example.net http/1.1 TLS_ECDHE_ECDSA");
    is_served("-noservername", "served  http/1.1 TLS_ECDHE_ECDSA");
}

static void speaks_each_suite(void **state)
{
    (void)state;
    is_served("-cipher ECDHE-ECDSA-AES128-GCM-SHA256",
              "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    is_served("-cipher ECDHE-RSA-AES256-GCM-SHA384",
              "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384");
    is_served("-cipher ECDHE-RSA-CHACHA20-POLY1305",
              "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
    is_refused("-cipher AES128-GCM-SHA256");
    is_refused("-cipher ECDHE-RSA-AES128-SHA256");
}

static void agrees_on_a_protocol(void **state)
{
    (void)state;
    is_served("-alpn http/1.1,h2", " h2 ");
    is_served("-alpn http/1.1", " http/1.1 ");
    is_refused("-alpn spdy/3");
}

static void guards_resumption(void **state)
{
    char options[256];
    const char *format = "-sess_in %s -servername %s -alpn %s";

    (void)state;
    snprintf(options, sizeof(options), "-sess_out %s -servername %s",
             session_file, "a.example.org");
    is_served(options, "New, TLSv1.2");
    for (int i = 0; i < 2; i++) {
        snprintf(options, sizeof(options), format, session_file,
                 "a.example.org", "h2");
        is_served(options, "served a.example.org h2");
        is_served(options, "Reused, TLSv1.2");
        snprintf(options, sizeof(options), format, session_file,
                 "a.example.org", "spdy/3"); /* the crash */
        is_refused(options);
        snprintf(options, sizeof(options), format, session_file,
                 "r.example.org", "h2"); /* RFC 6066, 3 */
        is_served(options, "served r.example.org h2 TLS_ECDHE_RSA");
        is_served(options, "New, TLSv1.2");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies_each_chain),
        cmocka_unit_test(speaks_each_suite),
        cmocka_unit_test(agrees_on_a_protocol),
        cmocka_unit_test(guards_resumption),
    };

    return cmocka_run_group_tests_name("tls_openssl", tests, set_up, tear_down);
}
