/*
 * The program's allocator: it is asked for everything, gets everything back,
 * and may refuse anything.  This whole process has one, which counts.
 */
#include "lhttpd.h"
#include "lib/client.h"
#include "lib/emulated.h"
#include "lib/live.h"
#include "lib/tls_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* --- an allocator that counts --------------------------------------------- */

#define MARK 0x6c68747470644242u

/* In front of each block, as wide as any type's alignment. */
union head {
    struct {
        uint64_t mark;
        size_t n;
    } of;
    max_align_t align;
};

static struct {
    atomic_long blocks, octets;  /* that live */
    atomic_ulong calls, fail_at; /* calls that may fail; 0: none does */
    atomic_bool for_good;        /* and so do all after that */
    atomic_long wrong;           /* calls that nothing allows */
} heap;

static bool is_refused(void)
{
    unsigned long call = ++heap.calls, at = heap.fail_at;

    return call == at || (heap.for_good && at && call > at);
}

static union head *head_of(void *p)
{
    union head *head = (union head *)p - 1;

    if (!p || head->of.mark != MARK)
        abort(); /* not ours */
    return head;
}

static void *counting_alloc(void *context, size_t n)
{
    heap.wrong += context != &heap || n == 0;
    union head *head = is_refused() ? NULL : malloc(sizeof(*head) + n);
    if (!head)
        return NULL;
    head->of.mark = MARK;
    head->of.n = n;
    heap.blocks++;
    heap.octets += (long)n;
    return head + 1;
}

static void counting_free(void *context, void *p)
{
    union head *head = head_of(p);

    heap.wrong += context != &heap;
    heap.blocks--;
    heap.octets -= (long)head->of.n;
    head->of.mark = 0;
    free(head);
}

/* Always somewhere else. */
static void *counting_realloc(void *context, void *p, size_t n)
{
    size_t old_n = head_of(p)->of.n;
    void *moved = counting_alloc(context, n);

    if (!moved)
        return NULL;
    memcpy(moved, p, old_n < n ? old_n : n);
    counting_free(context, p);
    return moved;
}

static lhttpd_allocator_t counting(void)
{
    lhttpd_allocator_t a = lhttpd_allocator_init();

    a.alloc = counting_alloc;
    a.realloc = counting_realloc;
    a.free = counting_free;
    a.context = &heap;
    return a;
}

static void expect_nothing_left(void)
{
    assert_int_equal(heap.blocks, 0);
    assert_int_equal(heap.octets, 0);
    assert_int_equal(heap.wrong, 0);
}

/* --- when it may be given ------------------------------------------------- */

/* Before main's, in a process of its own: a server was made. */
static int after_a_server(void)
{
    lhttpd_allocator_t a = counting();
    lhttpd_server_t *server;

    if (lhttpd_server_create(&server, NULL) < 0)
        return 2;
    if (lhttpd_allocator(&a) != LHTTPD_ESTATE)
        return 3;
    lhttpd_server_destroy(server);
    if (lhttpd_allocator(&a) != LHTTPD_ESTATE)
        return 4;
    if (!strstr(lhttpd_server_error(NULL), "before the first server"))
        return 5;
    return heap.calls ? 6 : 0;
}

static int status_of_child;

static void run_child(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(after_a_server());
    if (child < 0 || waitpid(child, &status_of_child, 0) != child)
        status_of_child = -1;
}

static void test_when(void **state)
{
    lhttpd_allocator_t a = counting();

    (void)state;
    assert_int_equal(status_of_child, 0);
    assert_int_equal(lhttpd_allocator(&a), LHTTPD_ESTATE);
    assert_non_null(strstr(lhttpd_server_error(NULL), "only once"));
}

/* They have changed nothing: main's call has succeeded after these. */
static int wrong_calls(void)
{
    lhttpd_allocator_t a = counting(), b = counting(), c = counting();

    a.size = 0;
    b.realloc = NULL;
    c.size = offsetof(lhttpd_allocator_t, free);
    return (lhttpd_allocator(NULL) != LHTTPD_EINVAL) +
           (lhttpd_allocator(&a) != LHTTPD_EINVAL) +
           (lhttpd_allocator(&b) != LHTTPD_EINVAL) +
           (lhttpd_allocator(&c) != LHTTPD_EINVAL);
}

static int wrong_before;

static void test_arguments(void **state)
{
    (void)state;
    assert_int_equal(wrong_before, 0);
}

/* --- a server, all of it from here ---------------------------------------- */

static const char script[] =
    "httpd.register_handler('/', function(env)\n"
    "  local t = {} for i = 1, 50 do t[i] = 'n' .. i end\n"
    "  httpd.header{['content-type'] = 'text/plain'}\n"
    "  httpd.write(nil, table.concat(t, ' ', 1, 2) .. env.QUERY_STRING)\n"
    "end)\n";

/* What is missed is told, thousands of times. */
static void log_nothing(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    (void)entry;
}

/* NULL: it has failed, as `r` says. */
static lhttpd_server_t *attach_script(const char *source, int *r)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_server_t *s;

    config.workers = 1;
    config.log = log_nothing;
    *r = lhttpd_server_create(&s, &config);
    if (*r < 0)
        return NULL;
    *r = lhttpd_server_set(s, "aio", "inline");
    if (*r == 0)
        *r = lhttpd_server_listen(s, "127.0.0.1", 0, 0);
    if (*r == 0)
        *r = lhttpd_server_map_source(s, "/", "a.lua", source, strlen(source));
    if (*r == 0)
        *r = lhttpd_server_attach(s);
    if (*r == 0)
        return s;
    /* A script's error says it in its words. */
    if (*r == LHTTPD_ESCRIPT && strstr(lhttpd_server_error(s), "memory"))
        *r = LHTTPD_ENOMEM;
    if (*r != LHTTPD_ENOMEM)
        print_message("%s\n", lhttpd_server_error(s));
    lhttpd_server_destroy(s);
    return NULL;
}

static lhttpd_server_t *attach(int *r)
{
    return attach_script(script, r);
}

/* Turns until the client has read to the end; how many octets. */
static size_t serve(lhttpd_server_t *s, int client, char *out, size_t room)
{
    size_t n = 0;

    for (int turns = 0; turns < 10000; turns++) {
        struct pollfd p[2] = {{lhttpd_server_fd(s), POLLIN, 0},
                              {client, POLLIN, 0}};
        assert_true(poll(p, 2, test_patience_ms(20000)) > 0);
        if (p[0].revents)
            assert_int_equal(lhttpd_server_run_once(s, 0), 1);
        if (!p[1].revents)
            continue;
        ssize_t got = read(client, out + n, room - 1 - n);
        if (got <= 0) {
            assert_true(got == 0 || errno == ECONNRESET);
            out[n] = '\0';
            return n;
        }
        n += (size_t)got;
    }
    fail_msg("it never ends");
    return 0;
}

/* 1: it was answered by the handler; 0: something else has failed. */
static int answer(lhttpd_server_t *s)
{
    char out[4096];
    int client = test_client_connect(lhttpd_server_port(s, 0));

    test_client_send(client, "GET /?q HTTP/1.0\r\nhost: a\r\n\r\n");
    size_t n = serve(s, client, out, sizeof(out));
    close(client);
    if (n && strstr(out, " 200 OK") && strstr(out, "n1 n2q"))
        return 1;
    assert_true(n == 0 || strstr(out, " 500 ") || strstr(out, " 503 "));
    return 0;
}

/* --- every one fails ------------------------------------------------------ */

static bool serves_without(unsigned long n, int *r)
{
    heap.calls = 0;
    heap.fail_at = n;
    lhttpd_server_t *s = attach(r);
    bool answered = s && answer(s);
    unsigned long calls = heap.calls;
    heap.fail_at = 0;
    if (s && !answered && !answer(s))
        fail_msg("it does not recover from allocation %lu", n);
    lhttpd_server_destroy(s);
    expect_nothing_left();
    heap.calls = calls;
    return answered;
}

/* The n-th allocation fails, or all from there on: what is to be done fails
 * with words, or goes without; then it works again, and nothing is left. */
static void each_fails(bool for_good, unsigned least)
{
    unsigned long n = 0, missed = 0;
    int r, fds = test_live_fds();
    bool answered;

    heap.for_good = for_good;
    do {
        answered = serves_without(++n, &r);
        missed += !answered;
        if (r < 0)
            assert_int_equal(r, LHTTPD_ENOMEM);
        assert_int_equal(test_live_fds(), fds);
    } while (n <= heap.calls);
    heap.for_good = false;
    print_message("%lu allocations, %lu were missed\n", n - 1, missed);
    assert_true(answered);
    assert_true(missed >= least);
}

/* 5.4 collects garbage and tries once more. */
static void test_each_fails(void **state)
{
    (void)state;
    each_fails(false, 50);
}

static void test_all_fail_from_each(void **state)
{
    (void)state;
    each_fails(true, 500);
}

/* --- threads, TLS, HTTP/2, processes, files ------------------------------- */

static const char busy[] =
    "httpd.register_handler('/', function(env)\n"
    "  local f = assert(io.open('/etc/passwd'))\n"
    "  local text = httpd.read(f, 4)\n"
    "  local p = assert(io.popen('echo ran'))\n"
    "  text = text .. httpd.read(p, 'l') .. #string.rep('x', 1e6)\n"
    "  local s = httpd.subscribe('c')\n"
    "  assert(httpd.publish('c', httpd.shared.get('k')))\n"
    "  httpd.write(nil, text .. httpd.read(s, nil, 3))\n"
    "end)\n";

static lhttpd_server_t *make_busy(unsigned workers)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_certificate_t cert = lhttpd_certificate_init();
    lhttpd_value_t value = lhttpd_value_init();
    lhttpd_server_t *s;

    config.workers = workers;
    config.log = log_nothing;
    cert.chain_file = TEST_DATA "/tls/ec256.pem";
    cert.key_file = TEST_DATA "/tls/ec256.key";
    value.kind = LHTTPD_TEXT;
    value.text = "shared";
    value.text_bytes = 6;
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, LHTTPD_LISTEN_TLS),
                     1);
    assert_int_equal(lhttpd_server_add_certificate(s, &cert), 0);
    assert_int_equal(
        lhttpd_server_map_source(s, "/", "busy.lua", busy, sizeof(busy) - 1),
        0);
    assert_int_equal(lhttpd_server_shared_set(s, "k", &value, 0, -1), 0);
    return s;
}

static lhttpd_server_t *start_busy(void)
{
    lhttpd_server_t *s = make_busy(2);

    assert_int_equal(lhttpd_server_start(s), 0);
    return s;
}

static const char body[] = "rootran1000000shared";

static void ask_plain(lhttpd_server_t *s)
{
    char out[4096];

    test_client_ask(lhttpd_server_port(s, 0),
                    "GET / HTTP/1.0\r\nhost: a\r\n\r\n", out, sizeof(out));
    assert_non_null(strstr(out, body));
}

/* The preface, empty SETTINGS, and GET / as stream 1. */
static const char h2_request[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                 "\0\0\0\4\0\0\0\0\0"
                                 "\0\0\6\1\5\0\0\0\1\x82\x87\x84\x41\1a";

static void ask_h2(lhttpd_server_t *s)
{
    static const char *names[] = {"h2"};
    static struct test_tls_client c;
    size_t sent = 0, n = sizeof(h2_request) - 1;
    int fd = test_client_connect(lhttpd_server_port(s, 1));

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    test_tls_client_init(&c, fd);
    br_ssl_engine_set_protocol_names(&c.ssl.eng, names, 1);
    test_tls_client_start(&c, "localhost", false, 0);
    while (!memmem(c.got, c.got_n, body, sizeof(body) - 1)) {
        struct pollfd p = {fd, POLLIN, 0};
        if (test_tls_client_open(&c) && sent < n)
            sent += test_tls_client_write(&c, h2_request + sent, n - sent);
        if (!test_tls_client_pump(&c))
            assert_int_equal(poll(&p, 1, test_patience_ms(20000)), 1);
        assert_false(c.eof);
    }
    close(fd);
}

static void test_threads(void **state)
{
    (void)state;
    heap.calls = 0;
    lhttpd_server_t *s = start_busy();
    unsigned long before = heap.calls;
    for (int i = 0; i < 4; i++) {
        ask_plain(s);
        if (lhttpd_feature("http2"))
            ask_h2(s);
    }
    assert_true(heap.octets > 1000000); /* Lua's string is in it */
    assert_true(heap.calls > before + 100);
    assert_int_equal(lhttpd_server_reload(s), 0);
    ask_plain(s);
    assert_int_equal(lhttpd_server_stop(s, (unsigned)test_patience_ms(10000)),
                     0);
    lhttpd_server_destroy(s);
    expect_nothing_left();
}

/* --- what fails once it serves -------------------------------------------- */

/* So many places of each kind are tried, spread over all that there are. */
#define SAMPLES 50

/* What the script needs most: tables, files, processes, channels. */
static bool answer_busy(lhttpd_server_t *s)
{
    char out[4096];
    int client = test_client_connect(lhttpd_server_port(s, 0));

    test_client_send(client, "GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    size_t n = serve(s, client, out, sizeof(out));
    close(client);
    return n && strstr(out, body);
}

/* The same by HTTP/2 over TLS: handshake, settings, header compression. */
static bool answer_h2(lhttpd_server_t *s)
{
    static const char *names[] = {"h2"};
    static struct test_tls_client c;
    size_t sent = 0, n = sizeof(h2_request) - 1;
    int fd = test_client_connect(lhttpd_server_port(s, 1));
    bool answered = false;

    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    test_tls_client_init(&c, fd);
    br_ssl_engine_set_protocol_names(&c.ssl.eng, names, 1);
    test_tls_client_start(&c, "localhost", false, 0);
    for (int turns = 0; turns < 10000 && !answered && !c.eof; turns++) {
        struct pollfd p[2] = {{lhttpd_server_fd(s), POLLIN, 0},
                              {fd, POLLIN, 0}};
        if (test_tls_client_open(&c) && sent < n)
            sent += test_tls_client_write(&c, h2_request + sent, n - sent);
        if (!test_tls_client_pump(&c))
            assert_true(poll(p, 2, 20000) > 0);
        assert_int_equal(lhttpd_server_run_once(s, 0), 1);
        answered = memmem(c.got, c.got_n, body, sizeof(body) - 1);
        if (memmem(c.got, c.got_n, "\0\0\4\3\0\0\0\0\1", 9) ||
            memmem(c.got, c.got_n, "<h1>5", 5))
            break; /* reset, or a page of ours */
    }
    close(fd);
    return answered;
}

static bool answer_reload(lhttpd_server_t *s)
{
    int r = lhttpd_server_reload(s);

    if (r == LHTTPD_ESCRIPT)
        assert_non_null(strstr(lhttpd_server_error(s), "memory"));
    else if (r)
        assert_int_equal(r, LHTTPD_ENOMEM);
    return r == 0 && answer_busy(s);
}

/* By threads: which allocation it is varies. */
static bool answer_threads(lhttpd_server_t *s)
{
    char out[4096];

    test_client_ask(lhttpd_server_port(s, 0),
                    "GET / HTTP/1.0\r\nhost: a\r\n\r\n", out, sizeof(out));
    return strstr(out, body);
}

static lhttpd_server_t *serve_busy(bool own_loop)
{
    lhttpd_server_t *s = make_busy(own_loop ? 1 : 2);

    assert_int_equal(
        own_loop ? lhttpd_server_attach(s) : lhttpd_server_start(s), 0);
    return s;
}

/* Allocation n fails while it answers, n = 0: none.  True: it has answered. */
static bool answers_without(unsigned long n, bool own_loop,
                            bool (*ask)(lhttpd_server_t *s))
{
    lhttpd_server_t *s = serve_busy(own_loop);

    heap.calls = 0;
    heap.fail_at = n;
    bool answered = ask(s);
    unsigned long calls = heap.calls;
    heap.fail_at = 0;
    if (!ask(s))
        fail_msg("it does not recover from allocation %lu", n);
    lhttpd_server_stop(s, (unsigned)test_patience_ms(10000));
    lhttpd_server_destroy(s);
    expect_nothing_left();
    heap.calls = calls;
    return answered;
}

static void fails_while(bool own_loop, bool (*ask)(lhttpd_server_t *s))
{
    int fds = test_live_fds();
    unsigned missed = 0;

    assert_true(answers_without(0, own_loop, ask));
    unsigned long all = heap.calls, step = all / SAMPLES + 1;
    for (unsigned long n = 1; n <= all; n += step) {
        missed += !answers_without(n, own_loop, ask);
        assert_int_equal(test_live_fds(), fds);
    }
    print_message("every %luth of %lu, %u were missed\n", step, all, missed);
    assert_true(missed > 0);
}

static void test_handler_fails(void **state)
{
    (void)state;
    fails_while(true, answer_busy);
}

static void test_h2_over_tls_fails(void **state)
{
    (void)state;
    fails_while(true, answer_h2);
}

static void test_reload_fails(void **state)
{
    (void)state;
    fails_while(true, answer_reload);
}

static void test_threads_fail(void **state)
{
    (void)state;
    fails_while(false, answer_threads);
}

/* --- what a client may hold ----------------------------------------------- */

static const char holding[] =
    "httpd.register_handler('/short', function()\n"
    "  httpd.header{['content-type'] = 'text/plain'}\n"
    "  httpd.write(nil, 'Hello, world')\n"
    "end)\n"
    "httpd.register_handler('/plain', function() httpd.sleep(60) end)\n"
    "httpd.register_handler('/table', function(env, header)\n"
    "  local path, agent = env.REQUEST_URI, header['user-agent']\n"
    "  httpd.sleep(60)\n"
    "end)\n"
    "httpd.register_handler('/collect', function()\n"
    "  collectgarbage() collectgarbage() httpd.write(nil, 'done')\n"
    "end)\n";

/* The preface, SETTINGS with a window of zero for answers, and GET of a path of
 * six octets as stream 1, whose fields go into the table. */
static const char h2_first[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                               "\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0"
                               "\0\0\x0d\1\5\0\0\0\1\x82\x86\x41\1a\x44\6";

/* The same again: 13 octets. */
#define H2_AGAIN_BYTES 13

static void send_again(int client, unsigned id)
{
    char frame[] = "\0\0\4\1\5\0\0\0\0\x82\x86\xbf\xbe";

    frame[7] = (char)(id >> 8);
    frame[8] = (char)id;
    assert_int_equal(send(client, frame, H2_AGAIN_BYTES, 0), H2_AGAIN_BYTES);
}

/* Turns until so many requests have come and nothing moves any more. */
static void settle(lhttpd_server_t *s, uint64_t requests)
{
    lhttpd_stats_t stats = lhttpd_stats_init();

    for (int turns = 0; turns < 10000; turns++) {
        struct pollfd p = {lhttpd_server_fd(s), POLLIN, 0};
        int ready = poll(&p, 1, stats.requests_open == requests ? 50 : 20000);
        if (ready == 0)
            return;
        assert_int_equal(lhttpd_server_run_once(s, 0), 1);
        assert_int_equal(lhttpd_server_stats(s, &stats), 0);
    }
    fail_msg("it never settles");
}

/* What is asked for, and what the system's allocator adds to a block; without
 * what is garbage. */
static long held_octets(lhttpd_server_t *s)
{
    char out[4096];
    int client = test_client_connect(lhttpd_server_port(s, 0));

    test_client_send(client, "GET /collect HTTP/1.0\r\nhost: a\r\n\r\n");
    serve(s, client, out, sizeof(out));
    close(client);
    return heap.octets + 16 * heap.blocks;
}

/* The shortest requests there are, as many as a connection may have: how many
 * octets each of theirs holds, of whatever kind, but for what the handlers
 * themselves keep. */
static void hold_requests(const char *path)
{
    int r;
    lhttpd_server_t *s = attach_script(holding, &r);
    int client = test_client_connect(lhttpd_server_port(s, 0));
    const size_t n = sizeof(h2_first) - 1, sent = n + 6 + 127 * H2_AGAIN_BYTES;

    assert_int_equal(send(client, h2_first, n, 0), n);
    assert_int_equal(send(client, path, 6, 0), 6);
    settle(s, 1);
    long before = held_octets(s);
    for (unsigned id = 3; id < 256; id += 2)
        send_again(client, id);
    settle(s, 128);
    long held = (held_octets(s) - before) / (long)sent;
    print_message("%s: %ld octets for each\n", path, held);
    assert_in_range(held, 50, 100);
    close(client);
    lhttpd_server_destroy(s);
    expect_nothing_left();
}

static void test_held_by_requests(void **state)
{
    (void)state;
    hold_requests("/short");
    hold_requests("/plain");
    hold_requests("/table");
    hold_requests("/other"); /* 404 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_each_fails),
        cmocka_unit_test(test_all_fail_from_each),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_handler_fails),
        cmocka_unit_test(test_h2_over_tls_fails),
        cmocka_unit_test(test_reload_fails),
        cmocka_unit_test(test_threads_fail),
        cmocka_unit_test(test_held_by_requests),
    };
    lhttpd_allocator_t a = counting();

    run_child();
    wrong_before = wrong_calls();
    if (lhttpd_allocator(&a) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
