/*
 * Proxies in front of a server in this process, which say whose a connection is
 * by a PROXY header, or whose a request is by its fields: what scripts see, how
 * headers come, who is refused and in which words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lhttpd.h"
#include "lib/client.h"
#include "lib/heap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define GET "GET / HTTP/1.0\r\n\r\n"

/* Answers who it is believed to be: client, server, peer, TLS. */
static const char script[] =
    "httpd.register_handler('/', function(env, header)\n"
    "  httpd.write(nil, table.concat({env.CLIENT_ADDR, env.CLIENT_PORT,\n"
    "    env.SERVER_ADDR, env.SERVER_PORT, env.PEER_ADDR,\n"
    "    env.PEER_PORT == env.CLIENT_PORT and 'same' or 'other',\n"
    "    header[':scheme'], env.HTTPS or '-', env.SSL_PROTOCOL or '-',\n"
    "    env.SSL_CIPHER or '-', env.SSL_SERVER_NAME or '-'}, ' '))\n"
    "end)\n";

static char logged[512];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void keep_log(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    pthread_mutex_lock(&log_lock);
    if (entry->client)
        snprintf(logged, sizeof(logged), "%s: %s", entry->client,
                 entry->message);
    pthread_mutex_unlock(&log_lock);
}

static int has_logged(const char *words)
{
    pthread_mutex_lock(&log_lock);
    int yes = strstr(logged, words) != NULL;
    pthread_mutex_unlock(&log_lock);
    return yes;
}

static void assert_logged(const char *words)
{
    const struct timespec pause = {.tv_nsec = 10000000};

    for (int i = 0; !has_logged(words); i++) {
        if (i == 2000)
            fail_msg("logged: \"%s\", not: %s", logged, words);
        nanosleep(&pause, NULL);
    }
    logged[0] = '\0';
}

static lhttpd_server_t *make(void)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_server_t *s;

    config.workers = 1;
    config.log = keep_log;
    config.log_level = LHTTPD_LOG_INFO;
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_map_source(s, "/", "peer.lua", script,
                                              sizeof(script) - 1),
                     0);
    return s;
}

static lhttpd_server_t *run(const char *from, const char *address)
{
    lhttpd_server_t *s = make();

    assert_int_equal(lhttpd_server_set(s, "proxy_from", from), 0);
    assert_int_equal(lhttpd_server_listen(s, address, 0, LHTTPD_LISTEN_PROXY),
                     0);
    assert_int_equal(lhttpd_server_start(s), 0);
    return s;
}

static void end(lhttpd_server_t *s)
{
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    lhttpd_server_destroy(s);
}

static void send_octets(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* The body of the answer; "" without one. */
static const char *answer(int fd)
{
    static char out[4096];
    const char *body;

    test_client_read_all(fd, out, sizeof(out));
    close(fd);
    body = strstr(out, "\r\n\r\n");
    return body ? body + 4 : "";
}

/* At once: a second piece might find the connection closed for the first. */
static const char *ask_with(lhttpd_server_t *s, const char *header)
{
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    char all[512];

    snprintf(all, sizeof(all), "%s%s", header, GET);
    test_client_send(fd, all);
    return answer(fd);
}

/* --- what scripts see ----------------------------------------------------- */

/* The port is below those that the system gives to clients, so that it is not
 * by chance that of the connection. */
#define V1      "PROXY TCP4 203.0.113.7 192.0.2.80 5636 443\r\n"
#define V1_SEEN "203.0.113.7 5636 192.0.2.80 443 127.0.0.1 other http - - - -"

static void a_line_tells_the_client(void **state)
{
    lhttpd_server_t *s = run("192.0.2.0/24, 127.0.0.1", "127.0.0.1");

    (void)state;
    assert_string_equal(ask_with(s, V1), V1_SEEN);
    assert_string_equal(
        ask_with(s, "PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n"),
        "2001:db8::7 1 2001:db8::1 2 127.0.0.1 other http - - - -");
    end(s);
}

/* Then the socket's addresses hold. */
static void unknown_is_the_proxy_itself(void **state)
{
    lhttpd_server_t *s = run("127.0.0.1", "127.0.0.1");
    const char *seen = ask_with(s, "PROXY UNKNOWN\r\n");

    (void)state;
    assert_non_null(strstr(seen, "127.0.0.1 "));
    assert_non_null(strstr(seen, " 127.0.0.1 same http - "));
    end(s);
}

/* Wherever it is cut, the octets behind it are the client's. */
static void headers_come_octet_by_octet(void **state)
{
    lhttpd_server_t *s = run("127.0.0.1", "127.0.0.1");
    const char all[] = V1 GET;

    (void)state;
    for (size_t cut = 1; cut < sizeof(all) - 1; cut++) {
        int fd = test_client_connect(lhttpd_server_port(s, 0));
        send_octets(fd, all, cut);
        usleep(500);
        test_client_send(fd, all + cut);
        assert_string_equal(answer(fd), V1_SEEN);
    }
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    for (size_t i = 0; i < sizeof(all) - 1; i++) {
        send_octets(fd, all + i, 1);
        usleep(500);
    }
    assert_string_equal(answer(fd), V1_SEEN);
    end(s);
}

static const uint8_t v2_tls[] = {
    '\r', '\n', '\r', '\n', 0,    '\r', '\n', 'Q',
    'U',  'I',  'T',  '\n', 0x21, 0x11, 0,    12 + 11 + 8 + 10,
    203,  0,    113,  7,    192,  0,    2,    80,
    0x16, 4,    1,    0xBB, 0x02, 0,    8,    'w',
    'w',  'w',  '.',  't',  'e',  's',  't',  0x20,
    0,    15,   1,    0,    0,    0,    0, /* the client speaks TLS */
    0x21, 0,    7,    'T',  'L',  'S',  'v',  '1',
    '.',  '3',
};

static void binary_headers_tell_the_clients_tls(void **state)
{
    lhttpd_server_t *s = run("127.0.0.0/8", "127.0.0.1");
    int fd = test_client_connect(lhttpd_server_port(s, 0));

    (void)state;
    send_octets(fd, v2_tls, sizeof(v2_tls));
    test_client_send(fd, GET);
    assert_string_equal(answer(fd), "203.0.113.7 5636 192.0.2.80 443 127.0.0.1 "
                                    "other https on TLSv1.3 - www.test");
    end(s);
}

static void a_unix_socket_may_be_a_proxy(void **state)
{
    char path[] = "/tmp/lhttpd-proxy-XXXXXX", address[64];
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    (void)state;
    close(mkstemp(path));
    unlink(path);
    snprintf(address, sizeof(address), "unix:%s", path);
    strcpy(to.sun_path, path);
    lhttpd_server_t *s = run("unix:", address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    test_client_send(fd, V1 GET);
    assert_string_equal(
        answer(fd), "203.0.113.7 5636 192.0.2.80 443 unix other http - - - -");
    end(s);
}

/* --- who is not believed -------------------------------------------------- */

static void others_are_closed(void **state)
{
    lhttpd_server_t *s = run("192.0.2.1,::1,unix:", "127.0.0.1");
    int fd = test_client_connect(lhttpd_server_port(s, 0));

    (void)state;
    assert_string_equal(answer(fd), "");
    assert_logged("127.0.0.1: closed: it connected to a port for proxies");
    end(s);
}

static void bad_headers_are_closed(void **state)
{
    lhttpd_server_t *s = run("127.0.0.1", "127.0.0.1");

    (void)state;
    assert_string_equal(ask_with(s, ""), "");
    assert_logged("PROXY header: what came first is no PROXY header");
    assert_string_equal(ask_with(s, "PROXY TCP4 x y 1 2\r\n"), "");
    assert_logged("PROXY header: an address in it");
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    test_client_send(fd, "PROXY TCP4 ");
    shutdown(fd, SHUT_WR);
    assert_string_equal(answer(fd), "");
    assert_logged("PROXY header: it ended in the middle");
    end(s);
}

/* The line of a refusal behind the header names the client, not the proxy. */
static void later_lines_name_the_client(void **state)
{
    lhttpd_server_t *s = run("127.0.0.1", "127.0.0.1");
    int fd = test_client_connect(lhttpd_server_port(s, 0));

    (void)state;
    test_client_send(fd, V1 "GET / HTTP/9.9\r\n\r\n");
    answer(fd);
    assert_logged("203.0.113.7: ");
    end(s);
}

static void a_header_has_its_time(void **state)
{
    lhttpd_server_t *s = make();
    int fd;

    (void)state;
    assert_int_equal(lhttpd_server_set(s, "proxy_from", "127.0.0.1"), 0);
    assert_int_equal(lhttpd_server_set(s, "header_timeout_ms", "50"), 0);
    assert_int_equal(
        lhttpd_server_listen(s, "127.0.0.1", 0, LHTTPD_LISTEN_PROXY), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    fd = test_client_connect(lhttpd_server_port(s, 0));
    test_client_send(fd, "PROXY ");
    assert_string_equal(answer(fd), "");
    assert_logged("its PROXY header was not whole after 50 ms");
    end(s);
}

/* A stop serves a client that has just connected, as elsewhere. */
static void a_stop_waits_for_a_request(void **state)
{
    lhttpd_server_t *s = run("127.0.0.1", "127.0.0.1");
    int said = test_client_connect(lhttpd_server_port(s, 0));
    int silent = test_client_connect(lhttpd_server_port(s, 0));

    (void)state;
    test_client_send(said, V1);
    assert_string_equal(ask_with(s, V1), V1_SEEN); /* both are accepted */
    lhttpd_server_shutdown(s, 10000);
    test_client_send(said, GET);
    test_client_send(silent, V1 GET);
    assert_string_equal(answer(said), V1_SEEN);
    assert_string_equal(answer(silent), V1_SEEN);
    assert_int_equal(lhttpd_server_wait(s), 0);
    lhttpd_server_destroy(s);
}

/* --- fields --------------------------------------------------------------- */

static lhttpd_server_t *run_forwarded(const char *by, const char *from,
                                      unsigned flags)
{
    lhttpd_server_t *s = make();

    assert_int_equal(lhttpd_server_set(s, "forwarded", by), 0);
    assert_int_equal(lhttpd_server_set(s, "proxy_from", from), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, flags), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    return s;
}

/* What one request's script sees, up to the peer's port. */
static void assert_seen(const char *body, const char *client, const char *rest)
{
    if (strncmp(body, client, strlen(client)) != 0 || !strstr(body, rest))
        fail_msg("%s: not %s, %s", body, client, rest);
}

#define ASK(fields) "GET / HTTP/1.0\r\n" fields "\r\n"

static void fields_tell_the_client(void **state)
{
    lhttpd_server_t *s = run_forwarded("x-forwarded-for", "127.0.0.1", 0);
    char out[4096];
    int port = lhttpd_server_port(s, 0);

    (void)state;
    test_client_ask(port,
                    ASK("x-forwarded-for: 192.0.2.9:99\r\n"
                        "x-forwarded-proto: https\r\n"),
                    out, sizeof(out));
    assert_seen(strstr(out, "\r\n\r\n") + 4, "192.0.2.9 99 127.0.0.1 ",
                " 127.0.0.1 other https on - - -");
    test_client_ask(port, ASK("forwarded: for=192.0.2.9\r\n"), out,
                    sizeof(out));
    assert_seen(strstr(out, "\r\n\r\n") + 4, "127.0.0.1 ",
                " 127.0.0.1 same http - - - -");
    end(s);
    s = run_forwarded("forwarded", "127.0.0.1", 0);
    test_client_ask(lhttpd_server_port(s, 0),
                    ASK("forwarded: for=\"[2001:db8::9]\";proto=https\r\n"),
                    out, sizeof(out));
    assert_seen(strstr(out, "\r\n\r\n") + 4, "2001:db8::9 0 ",
                " 127.0.0.1 other https on - - -");
    end(s);
}

/* A connection carries the requests of several clients. */
static void each_request_has_its_client(void **state)
{
    lhttpd_server_t *s = run_forwarded("x-forwarded-for", "127.0.0.1", 0);
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    char out[4096];

    (void)state;
    test_client_send(fd, "GET / HTTP/1.1\r\nhost: x\r\n"
                         "x-forwarded-for: 192.0.2.1\r\n\r\n"
                         "GET / HTTP/1.1\r\nhost: x\r\n"
                         "x-forwarded-for: 192.0.2.2\r\n\r\n"
                         "GET / HTTP/1.1\r\nhost: x\r\n"
                         "connection: close\r\n\r\n");
    test_client_read_all(fd, out, sizeof(out));
    close(fd);
    const char *one = strstr(out, "\r\n\r\n192.0.2.1 0 ");
    const char *two = one ? strstr(one, "\r\n\r\n192.0.2.2 0 ") : NULL;
    assert_non_null(two);
    assert_non_null(strstr(two + 9, "\r\n\r\n127.0.0.1 "));
    end(s);
}

static void strangers_are_not_believed(void **state)
{
    lhttpd_server_t *s = run_forwarded("x-forwarded-for", "192.0.2.1", 0);
    char out[4096];

    (void)state;
    test_client_ask(lhttpd_server_port(s, 0),
                    ASK("x-forwarded-for: 6.6.6.6\r\n"
                        "x-forwarded-proto: https\r\n"),
                    out, sizeof(out));
    assert_seen(strstr(out, "\r\n\r\n") + 4, "127.0.0.1 ",
                " 127.0.0.1 same http - - - -");
    end(s);
}

/* Behind a PROXY header it is who stands there that must be trusted. */
static void both_kinds_work_together(void **state)
{
    lhttpd_server_t *s = run_forwarded(
        "x-forwarded-for", "127.0.0.1,10.0.0.0/8", LHTTPD_LISTEN_PROXY);
    int fd = test_client_connect(lhttpd_server_port(s, 0));

    (void)state;
    test_client_send(fd, "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" ASK(
                             "x-forwarded-for: 192.0.2.9\r\n"));
    assert_seen(answer(fd), "192.0.2.9 0 10.0.0.2 2 127.0.0.1 other ", "http");
    fd = test_client_connect(lhttpd_server_port(s, 0));
    test_client_send(fd, V1 ASK("x-forwarded-for: 6.6.6.6\r\n"));
    assert_seen(answer(fd), V1_SEEN, "http");
    end(s);
}

/* --- setting up ----------------------------------------------------------- */

static void a_start_needs_to_know_the_proxies(void **state)
{
    lhttpd_server_t *s = make();
    unsigned proxy = LHTTPD_LISTEN_PROXY;

    (void)state;
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 64u),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0,
                                          proxy | LHTTPD_LISTEN_TLS |
                                              LHTTPD_LISTEN_REDIRECT),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, proxy), 0);
    assert_int_equal(lhttpd_server_check(s), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "set proxy_from"));
    assert_int_equal(lhttpd_server_set(s, "proxy_from", "proxy"),
                     LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s),
                           "proxy_from=proxy: \"proxy\" is no numeric"));
    assert_int_equal(lhttpd_server_set(s, "proxy_from", "127.0.0.1"), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    assert_int_equal(lhttpd_server_set(s, "proxy_from", "::1"), LHTTPD_ESTATE);
    end(s);
}

/* Of who is believed somebody has to be able to connect. */
static void each_listener_needs_proxies_of_its_kind(void **state)
{
    static const struct {
        const char *address, *from, *refused;
    } cases[] = {
        {"unix:/no/such/s", "127.0.0.1",
         "unix:/no/such/s: it is for proxies; "
         "set proxy_from to unix: "},
        {"127.0.0.1", "unix:", "set proxy_from to their addresses"},
        {"unix:/no/such/s", "::1, unix:", NULL},
        {"127.0.0.1", "unix:, 10.0.0.0/8", NULL},
    };
    unsigned flags = LHTTPD_LISTEN_PROXY | LHTTPD_LISTEN_CHECK;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lhttpd_server_t *s = make();
        int expected = cases[i].refused ? LHTTPD_EINVAL : 0;
        assert_int_equal(lhttpd_server_set(s, "proxy_from", cases[i].from), 0);
        assert_int_equal(lhttpd_server_listen(s, cases[i].address, 0, flags),
                         0);
        assert_int_equal(lhttpd_server_check(s), expected);
        if (cases[i].refused)
            assert_non_null(strstr(lhttpd_server_error(s), cases[i].refused));
        lhttpd_server_destroy(s);
    }
}

static void forwarded_needs_to_know_the_proxies(void **state)
{
    lhttpd_server_t *s = make();

    (void)state;
    assert_int_equal(lhttpd_server_set(s, "forwarded", "yes"), LHTTPD_EINVAL);
    assert_non_null(
        strstr(lhttpd_server_error(s), "forwarded=yes: not none, "));
    assert_int_equal(lhttpd_server_set(s, "forwarded", "forwarded"), 0);
    assert_int_equal(lhttpd_server_check(s), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "set proxy_from"));
    assert_int_equal(lhttpd_server_set(s, "forwarded", "none"), 0);
    assert_int_equal(lhttpd_server_check(s), 0);
    lhttpd_server_destroy(s);
}

/* Whatever allocation fails: the client is turned away or served, and nothing
 * is lost. */
static void lack_of_memory_is_survived(void **state)
{
    test_heap_install(); /* before there are threads */
    lhttpd_server_t *s = run_forwarded(
        "x-forwarded-for", "127.0.0.1,203.0.113.7", LHTTPD_LISTEN_PROXY);
    int port = lhttpd_server_port(s, 0);

    (void)state;
    for (unsigned long n = 0; n <= 16; n++) {
        test_heap_fail_at(n);
        int fd = test_client_connect(port);
        test_client_send(fd, V1 ASK("x-forwarded-for: 192.0.2.9\r\n"));
        answer(fd);
        test_heap_fail_at(0);
        fd = test_client_connect(port);
        test_client_send(fd, V1 ASK("x-forwarded-for: 192.0.2.9\r\n"));
        assert_seen(answer(fd), "192.0.2.9 0 192.0.2.80 443 127.0.0.1", "http");
    }
    end(s);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_tells_the_client),
        cmocka_unit_test(unknown_is_the_proxy_itself),
        cmocka_unit_test(headers_come_octet_by_octet),
        cmocka_unit_test(binary_headers_tell_the_clients_tls),
        cmocka_unit_test(a_unix_socket_may_be_a_proxy),
        cmocka_unit_test(others_are_closed),
        cmocka_unit_test(bad_headers_are_closed),
        cmocka_unit_test(later_lines_name_the_client),
        cmocka_unit_test(a_header_has_its_time),
        cmocka_unit_test(a_stop_waits_for_a_request),
        cmocka_unit_test(a_start_needs_to_know_the_proxies),
        cmocka_unit_test(each_listener_needs_proxies_of_its_kind),
        cmocka_unit_test(fields_tell_the_client),
        cmocka_unit_test(each_request_has_its_client),
        cmocka_unit_test(strangers_are_not_believed),
        cmocka_unit_test(both_kinds_work_together),
        cmocka_unit_test(forwarded_needs_to_know_the_proxies),
        cmocka_unit_test(lack_of_memory_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
