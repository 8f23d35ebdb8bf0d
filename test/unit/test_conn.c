/*
 * Connections on real sockets, with a worker that the test drives step by step
 * and whose clock it sets.  Nothing is mapped: requests are answered with 404.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/conn.h"
#include "server/conn_input.h"
#include "server/conn_output.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_TIMEOUT_MS 1000
#define TRIES           5000

#define GET "GET / HTTP/1.1\r\nhost: x\r\n\r\n"

static struct {
    lhttpd_server_t *server;
    struct lh_listener listener;
    struct lh_worker worker;
    size_t at;        /* how much of an answer's last line was read */
    int answers;      /* that were read to their end */
    char logged[200]; /* the last line about a client */
} t;

static void keep_log(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    if (entry->client)
        snprintf(t.logged, sizeof(t.logged), "%s: %s", entry->client,
                 entry->message);
}

/* The last line about the client, which is named as the test names it. */
static void assert_logged(const char *words)
{
    if (strncmp(t.logged, "y: ", 3) != 0 || !strstr(t.logged, words))
        fail_msg("logged: \"%s\", not: %s", t.logged, words);
    t.logged[0] = '\0';
}

static int set_up(void **state)
{
    lhttpd_limits_t limits = lhttpd_limits_init();
    lhttpd_config_t config = lhttpd_config_init();
    struct lh_err err;

    (void)state;
    limits.send_timeout_ms = SEND_TIMEOUT_MS;
    config.limits = &limits;
    config.workers = 1;
    config.log = keep_log;
    config.log_level = LHTTPD_LOG_INFO;
    t.logged[0] = '\0';
    assert_int_equal(lhttpd_server_create(&t.server, &config), 0);
    t.listener = (struct lh_listener){.fd = -1};
    assert_int_equal(lh_worker_init(&t.worker, t.server, 0, &err), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lh_conns_cut(&t.worker);
    lh_conns_reap(&t.worker);
    assert_int_equal(t.worker.conns_n, 0);
    lh_worker_deinit(&t.worker);
    lh_worker_close(&t.worker);
    lhttpd_server_destroy(t.server);
    return 0;
}

/* A turn without Lua, which does not wait. */
static void turn(void)
{
    struct lh_worker *w = &t.worker;
    unsigned n = lh_evq_wait(&w->evq, w->events, LH_EVENTS_MAX, 0);

    for (unsigned i = 0; i < n; i++) {
        struct lh_source *source = lh_slots_find(&w->slots, w->events[i].tag);
        if (source)
            source->on_event(source, w->events[i].ready);
    }
    lh_timers_fire(&w->ctx.timers, w->ctx.now_ms);
    while (!lh_list_empty(&w->fed))
        lh_conns_feed(w);
    lh_conns_write(w);
    lh_conns_reap(w);
}

static void turns(int n)
{
    while (n-- > 0)
        turn();
}

static void wait_ms(uint64_t ms)
{
    t.worker.ctx.now_ms += ms;
    turns(2);
}

/* --- clients -------------------------------------------------------------- */

struct client {
    int fd, server_fd;
};

static void set(int fd, int level, int option, int value)
{
    assert_int_equal(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

/* Both ends of a connection whose buffers are small, so that they fill. */
static struct client tcp_pair(int send_buffer)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct client c = {.fd = socket(AF_INET, SOCK_STREAM, 0)};

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    set(listener, SOL_SOCKET, SO_SNDBUF, send_buffer);
    set(c.fd, SOL_SOCKET, SO_RCVBUF, 4096);
    set(c.fd, IPPROTO_TCP, TCP_NODELAY, 1);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(connect(c.fd, (struct sockaddr *)&a, sizeof(a)), 0);
    c.server_fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(c.server_fd >= 0);
    close(listener);
    return c;
}

static struct client unix_pair(int send_buffer)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    set(fds[1], SOL_SOCKET, SO_SNDBUF, send_buffer);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    return (struct client){fds[0], fds[1]};
}

typedef struct client pair_fn(int send_buffer);
static pair_fn *const pairs[] = {tcp_pair, unix_pair};

static struct client accept_from(pair_fn *make, int send_buffer)
{
    struct lh_sock_ends ends = {.local = "x", .remote = "y"};
    struct client c = make(send_buffer);

    t.at = 0;
    t.answers = 0;
    lh_conn_accept(&t.worker, &t.listener, c.server_fd, &ends);
    turn();
    return c;
}

/* Sends that many requests, which the server has taken afterwards. */
static void ask(struct client c, int n)
{
    for (int i = 0; i < n; i++) {
        assert_int_equal(write(c.fd, GET, strlen(GET)), strlen(GET));
        if (i % 16 == 15)
            turn();
    }
    turns(8);
}

/* Sends requests until the answers have filled what there is; how many. */
static int ask_until_blocked(struct client c)
{
    const struct lh_conn *conn = LH_OF(t.worker.idle.next, struct lh_conn, all);

    for (int i = 1; i < TRIES; i++) {
        ask(c, 1);
        if (conn->blocked)
            return i;
    }
    fail();
    return 0;
}

static bool readable(struct client c, int ms)
{
    struct pollfd p = {.fd = c.fd, .events = POLLIN};

    return poll(&p, 1, ms) > 0;
}

/* Reads up to n octets and counts the answers that end in them. */
static void read_some(struct client c, size_t n)
{
    const char *last = "</html>\n";
    char text[4096];
    ssize_t got = read(c.fd, text, n < sizeof(text) ? n : sizeof(text));

    assert_true(got > 0);
    for (ssize_t i = 0; i < got; i++) {
        t.at = text[i] == last[t.at] ? t.at + 1 : text[i] == last[0];
        t.answers += last[t.at] == '\0';
    }
}

/* Reads until the server's system sees that something was taken. */
static void take_a_little(struct client c)
{
    size_t before = lh_sock_untaken(c.server_fd);

    assert_true(before > 0);
    for (int i = 0; i < 1 << 20 && lh_sock_untaken(c.server_fd) >= before; i++)
        read_some(c, 1);
    assert_true(lh_sock_untaken(c.server_fd) < before);
}

/* A client's system may acknowledge the last octets a little later. */
static void wait_until_taken(struct client c)
{
    for (int i = 0; i < TRIES && lh_sock_untaken(c.server_fd); i++)
        usleep(1000);
    assert_int_equal(lh_sock_untaken(c.server_fd), 0);
}

/* Reads what comes until so many answers to this client are whole. */
static void take_answers(struct client c, int answers)
{
    for (int i = 0; i < TRIES && t.answers < answers; i++) {
        turn();
        if (readable(c, 10))
            read_some(c, SIZE_MAX);
    }
    assert_int_equal(t.answers, answers);
}

/* --- room for others ------------------------------------------------------ */

static void silent_clients_make_room(void **state)
{
    (void)state;
    struct client first = accept_from(tcp_pair, 65536);
    struct client second = accept_from(tcp_pair, 65536);
    assert_int_equal(write(first.fd, "G", 1), 1);
    wait_ms(999); /* an ordinary client is not cut before it speaks */
    assert_false(lh_conns_close_oldest_idle(&t.worker));
    wait_ms(1);
    assert_true(lh_conns_close_oldest_idle(&t.worker));
    assert_logged("closed after 1000 ms without a request");
    assert_false(lh_conns_close_oldest_idle(&t.worker));
    turn();
    assert_int_equal(t.worker.conns_n, 1);
    assert_true(readable(second, 1000)); /* its end */
    close(first.fd);
    close(second.fd);
}

/* Everything is answered, but not all of it has left. */
static void a_tail_in_the_transport_is_not_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = accept_from(pairs[i], 4096);
        int n = ask_until_blocked(c);
        assert_false(lh_conns_close_oldest_idle(&t.worker));
        take_answers(c, n);
        wait_until_taken(c);
        assert_true(lh_conns_close_oldest_idle(&t.worker));
        turn();
        close(c.fd);
    }
}

/* The system has all of it, but the client has not. */
static void a_tail_in_the_kernel_is_not_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = accept_from(pairs[i], 1 << 20);
        ask(c, 200);
        assert_false(lh_list_empty(&t.worker.idle));
        assert_true(lh_sock_untaken(c.server_fd) > 0);
        assert_false(lh_conns_close_oldest_idle(&t.worker));
        take_answers(c, 200);
        wait_until_taken(c);
        assert_true(lh_conns_close_oldest_idle(&t.worker));
        turn();
        close(c.fd);
    }
}

/* One whose request has just come is not taken for idle. */
static void a_request_that_has_come_is_served(void **state)
{
    (void)state;
    struct client c = accept_from(unix_pair, 65536);
    ask(c, 1);
    take_answers(c, 1);
    assert_int_equal(write(c.fd, GET, strlen(GET)), strlen(GET));
    struct lh_worker *w = &t.worker;
    assert_false(lh_conns_close_oldest_idle(w)); /* not told of it yet */
    unsigned n = lh_evq_wait(&w->evq, w->events, LH_EVENTS_MAX, 1000);
    assert_int_equal(n, 1);
    struct lh_source *source = lh_slots_find(&w->slots, w->events[0].tag);
    source->on_event(source, w->events[0].ready);
    assert_false(lh_conns_close_oldest_idle(w));
    take_answers(c, 2);
    close(c.fd);
}

/* --- clients that are slow ------------------------------------------------ */

/* It takes an octet now and then, but the socket takes no more for long. */
static void who_takes_octets_is_not_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = accept_from(pairs[i], 1 << 17);
        int n = ask_until_blocked(c);
        for (int k = 0; k < 5; k++) {
            take_a_little(c);
            for (int j = 0; j < 4; j++)
                wait_ms(SEND_TIMEOUT_MS / 4);
            const struct lh_conn *conn =
                LH_OF(t.worker.busy.next, struct lh_conn, all);
            assert_int_equal(t.worker.conns_n, 1);
            assert_true(conn->blocked); /* or this tests nothing */
        }
        take_answers(c, n);
        close(c.fd);
        turns(2);
    }
}

/* The client reads nothing any more.  Its system may acknowledge what it has a
 * little later, in real time, which counts as taken: the time-out begins anew.
 */
static void wait_until_cut(struct client c)
{
    size_t untaken = lh_sock_untaken(c.server_fd);
    int quarters = 0;

    while (t.worker.conns_n) {
        assert_true(quarters++ < 8);
        wait_ms(SEND_TIMEOUT_MS / 4);
        if (t.worker.conns_n && lh_sock_untaken(c.server_fd) != untaken) {
            untaken = lh_sock_untaken(c.server_fd);
            quarters = 0;
        }
    }
}

static void who_takes_nothing_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = accept_from(pairs[i], 65536);
        ask_until_blocked(c);
        take_a_little(c);
        for (int j = 0; j < 3; j++)
            wait_ms(SEND_TIMEOUT_MS / 4);
        wait_ms(SEND_TIMEOUT_MS / 4 - 1);
        assert_int_equal(t.worker.conns_n, 1);
        wait_until_cut(c);
        assert_logged("it took nothing of what was sent for 1000 ms");
        close(c.fd);
    }
}

/* Takes a little now and then, for five seconds, while the socket is full all
 * the time. */
static const struct lh_conn *take_slowly(struct client c)
{
    const struct lh_conn *conn = LH_OF(t.worker.busy.next, struct lh_conn, all);

    for (int k = 0; k < 5; k++) {
        take_a_little(c);
        for (int j = 0; j < 4; j++)
            wait_ms(SEND_TIMEOUT_MS / 4);
        assert_int_equal(t.worker.conns_n, 1);
        assert_true(conn->blocked);
    }
    return conn;
}

/* How long a client may take for a head, or be idle. */
static void set_patience(uint64_t ms)
{
    static lhttpd_limits_t limits;

    limits = *t.worker.ctx.limits;
    limits.header_timeout_ms = limits.idle_timeout_ms = ms;
    t.worker.ctx.limits = &limits;
}

/* What its protocol ends meanwhile does not end the look at what it takes. */
static void who_takes_nothing_is_cut_whatever_is_due(void **state)
{
    (void)state;
    set_patience(3000);
    for (size_t i = 0; i < 2; i++) {
        struct client c = accept_from(pairs[i], 1 << 17);
        ask_until_blocked(c);
        assert_int_equal(write(c.fd, GET, 5), 5);
        turn();
        const struct lh_conn *conn = take_slowly(c);
        assert_true(lh_conn_status(conn) & LH_PROTO_CLOSE);
        wait_until_cut(c);
        close(c.fd);
    }
}

/* One that is slow with its last answer for longer than it may be idle has
 * nothing to fear, and may be idle as long as others afterwards. */
static void who_was_slow_may_be_idle_for_as_long(void **state)
{
    (void)state;
    set_patience(3000);
    for (size_t i = 0; i < 2; i++) {
        struct client c = accept_from(pairs[i], 1 << 17);
        int n = ask_until_blocked(c);
        assert_true(lh_conn_status(take_slowly(c)) & LH_PROTO_IDLE);
        take_answers(c, n);
        wait_until_taken(c);
        assert_int_equal(t.worker.conns_n, 1);
        wait_ms(3000);
        assert_int_equal(t.worker.conns_n, 0);
        close(c.fd);
    }
}

/* One that has not spoken is told from one that was idle after an answer, which
 * is as it should be. */
static void who_says_nothing_is_logged(void **state)
{
    uint64_t idle_ms = t.worker.ctx.limits->idle_timeout_ms;

    (void)state;
    struct client served = accept_from(tcp_pair, 65536);
    ask(served, 1);
    take_answers(served, 1);
    wait_until_taken(served);
    wait_ms(idle_ms);
    assert_int_equal(t.worker.conns_n, 0);
    assert_string_equal(t.logged, "");
    struct client silent = accept_from(tcp_pair, 65536);
    wait_ms(idle_ms);
    assert_int_equal(t.worker.conns_n, 0);
    assert_logged("it sent nothing for ");
    close(served.fd);
    close(silent.fd);
}

/* An idle connection whose last answers the client has not taken yet; its
 * idle time is over. */
static struct client with_a_tail(pair_fn *make)
{
    struct client c = accept_from(make, 1 << 20);

    ask(c, 200);
    assert_true(lh_sock_untaken(c.server_fd) > 0);
    assert_false(lh_list_empty(&t.worker.idle));
    wait_ms(t.worker.ctx.limits->idle_timeout_ms);
    return c;
}

static void who_takes_the_end_of_an_answer_is_not_idle(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = with_a_tail(pairs[i]);
        for (int k = 0; k < 5; k++) {
            const struct lh_conn *conn =
                LH_OF(t.worker.idle.next, struct lh_conn, all);
            assert_int_equal(t.worker.conns_n, 1);
            assert_int_equal(conn->state, LH_CONN_OPEN);
            take_a_little(c);
            for (int j = 0; j < 4; j++)
                wait_ms(SEND_TIMEOUT_MS / 4);
        }
        ask(c, 1); /* it is served as ever */
        take_answers(c, 201);
        wait_until_taken(c);
        wait_ms(t.worker.ctx.limits->idle_timeout_ms);
        assert_int_equal(t.worker.conns_n, 0);
        close(c.fd);
    }
}

/* What was due may be due later before the client is looked at again: then the
 * look has nothing to say, and the worker is not woken for it any more. */
static void a_look_at_what_is_not_due_is_the_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = with_a_tail(pairs[i]);
        wait_ms(SEND_TIMEOUT_MS / 4 - 1);
        lh_conns_drain(&t.worker);
        wait_ms(1);
        assert_int_equal(t.worker.conns_n, 1);
        assert_true(
            lh_timers_wait_ms(&t.worker.ctx.timers, t.worker.ctx.now_ms) > 0);
        wait_until_cut(c);
        close(c.fd);
    }
}

static void who_does_not_take_the_end_of_an_answer_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = with_a_tail(pairs[i]);
        assert_int_equal(t.worker.conns_n, 1);
        wait_until_cut(c);
        close(c.fd);
    }
}

/* --- a worker that was busy for long -------------------------------------- */

#define HALF ((size_t)20)

/* A client that has sent the first n octets of a request, which were read. */
static struct client who_has_said(size_t n)
{
    struct client c = accept_from(tcp_pair, 65536);

    assert_int_equal(write(c.fd, GET, n), n);
    turns(2);
    assert_int_equal(t.worker.conns_n, 1);
    return c;
}

static void assert_is_served(struct client c)
{
    const char *served = "HTTP/1.1 404";
    char text[12];

    assert_true(readable(c, 0));
    assert_int_equal(recv(c.fd, text, sizeof(text), MSG_PEEK), sizeof(text));
    assert_memory_equal(text, served, sizeof(text));
    assert_int_equal(t.worker.conns_n, 1);
}

static void what_came_in_time_counts(void **state)
{
    static const size_t said[] = {0, 1, HALF};
    const lhttpd_limits_t *limits = t.worker.ctx.limits;

    (void)state;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        struct client c = who_has_said(said[i]);
        size_t rest = strlen(GET) - said[i];
        assert_int_equal(write(c.fd, &GET[said[i]], rest), rest);
        wait_ms(limits->header_timeout_ms + limits->idle_timeout_ms);
        assert_is_served(c);
        lh_conns_cut(&t.worker);
        lh_conns_reap(&t.worker);
        close(c.fd);
    }
}

/* The events that are taken at once have a number, and it may not be in it. */
static void what_came_in_time_counts_before_its_event(void **state)
{
    (void)state;
    struct client c = who_has_said(HALF);
    assert_int_equal(write(c.fd, &GET[HALF], strlen(GET) - HALF),
                     strlen(GET) - HALF);
    t.worker.ctx.now_ms += t.worker.ctx.limits->header_timeout_ms;
    lh_timers_fire(&t.worker.ctx.timers, t.worker.ctx.now_ms);
    turns(2);
    assert_is_served(c);
    close(c.fd);
}

/* One that sends without end has its second once. */
static void who_goes_on_too_late_is_cut(void **state)
{
    (void)state;
    struct client c = who_has_said(HALF);
    uint64_t late = 0;
    t.worker.ctx.now_ms += t.worker.ctx.limits->header_timeout_ms - 1;
    for (; !readable(c, 0) && late < 10000; late += 100) {
        assert_int_equal(send(c.fd, "x", 1, MSG_NOSIGNAL), 1);
        wait_ms(100);
    }
    assert_in_range(late, 1000, 1200);
    close(c.fd);
}

/* --- lingering ------------------------------------------------------------ */

#define UPLOAD_BYTES ((size_t)8 << 20)
#define UPLOAD       "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8388608\r\n\r\n"

/* An upload that nobody reads: its answer is there, its connection lingers. */
static struct client refused(pair_fn *make)
{
    struct client c = accept_from(make, 65536);

    assert_int_equal(write(c.fd, UPLOAD, strlen(UPLOAD)), strlen(UPLOAD));
    turns(4);
    assert_int_equal(fcntl(c.fd, F_SETFL, O_NONBLOCK), 0);
    return c;
}

/* How much of n octets can be sent while the server goes on. */
static size_t send_body(struct client c, size_t n)
{
    static const char body[65536];
    size_t sent = 0;

    for (int i = 0; i < TRIES && sent < n; i++) {
        ssize_t k = send(c.fd, body, sizeof(body), MSG_NOSIGNAL);
        if (k > 0)
            sent += (size_t)k;
        else if (errno != EAGAIN)
            return sent;
        turn();
    }
    return sent;
}

static void the_answer_to_an_upload_is_not_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct client c = refused(pairs[i]);
        assert_int_equal(send_body(c, UPLOAD_BYTES), UPLOAD_BYTES);
        assert_int_equal(t.worker.pools.chunks.out, 0);
        take_answers(c, 1);
        close(c.fd);
        turns(2);
        assert_int_equal(t.worker.conns_n, 0);
    }
}

static void lingering_has_bounds(void **state)
{
    const lhttpd_limits_t *limits = t.worker.ctx.limits;
    uint64_t idle = limits->linger_idle_ms;

    (void)state;
    struct client silent = refused(tcp_pair);
    wait_until_taken(silent);
    wait_ms(idle - 1);
    assert_int_equal(t.worker.conns_n, 1);
    wait_ms(1);
    assert_int_equal(t.worker.conns_n, 0);
    close(silent.fd);
    struct client steady = refused(tcp_pair);
    wait_until_taken(steady);
    for (uint64_t ms = 0; ms + 1000 < limits->linger_timeout_ms; ms += 1000) {
        assert_int_equal(send(steady.fd, "x", 1, MSG_NOSIGNAL), 1);
        wait_ms(1000);
        assert_int_equal(t.worker.conns_n, 1);
    }
    wait_ms(1000);
    assert_int_equal(t.worker.conns_n, 0);
    close(steady.fd);
}

/* What came in time counts, though the worker was busy and looks late. */
static void lingering_outlasts_a_busy_worker(void **state)
{
    const lhttpd_limits_t *limits = t.worker.ctx.limits;

    (void)state;
    struct client c = refused(tcp_pair);
    wait_until_taken(c);
    assert_int_equal(send(c.fd, "x", 1, MSG_NOSIGNAL), 1);
    wait_ms(limits->linger_idle_ms);
    assert_int_equal(t.worker.conns_n, 1);
    assert_int_equal(send(c.fd, "x", 1, MSG_NOSIGNAL), 1);
    wait_ms(limits->linger_timeout_ms);
    assert_int_equal(t.worker.conns_n, 0);
    close(c.fd);
}

/* A client that takes its answer slowly gets all of it. */
static void who_takes_an_answer_while_it_lingers_is_not_cut(void **state)
{
    const lhttpd_limits_t *limits = t.worker.ctx.limits;

    (void)state;
    struct client c = accept_from(unix_pair, 1 << 20);
    ask(c, 200);
    assert_int_equal(write(c.fd, UPLOAD, strlen(UPLOAD)), strlen(UPLOAD));
    turns(4);
    wait_ms(limits->linger_timeout_ms);
    for (int k = 0; k < 5; k++) {
        assert_int_equal(t.worker.conns_n, 1);
        take_a_little(c);
        for (int j = 0; j < 4; j++)
            wait_ms(SEND_TIMEOUT_MS / 4);
    }
    for (int j = 0; j < 8; j++)
        wait_ms(SEND_TIMEOUT_MS / 4);
    assert_int_equal(t.worker.conns_n, 0);
    close(c.fd);
}

static void who_lingers_makes_room(void **state)
{
    (void)state;
    struct client c = refused(tcp_pair);
    wait_until_taken(c);
    assert_int_equal(write(c.fd, "more", 4), 4);
    assert_true(lh_conns_close_oldest_idle(&t.worker));
    turn();
    assert_int_equal(t.worker.conns_n, 0);
    close(c.fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(silent_clients_make_room),
        TEST(a_tail_in_the_transport_is_not_cut),
        TEST(a_tail_in_the_kernel_is_not_cut),
        TEST(a_request_that_has_come_is_served),
        TEST(who_takes_octets_is_not_cut),
        TEST(who_takes_nothing_is_cut),
        TEST(who_takes_nothing_is_cut_whatever_is_due),
        TEST(who_was_slow_may_be_idle_for_as_long),
        TEST(who_says_nothing_is_logged),
        TEST(who_takes_the_end_of_an_answer_is_not_idle),
        TEST(a_look_at_what_is_not_due_is_the_last),
        TEST(who_does_not_take_the_end_of_an_answer_is_cut),
        TEST(what_came_in_time_counts),
        TEST(what_came_in_time_counts_before_its_event),
        TEST(who_goes_on_too_late_is_cut),
        TEST(the_answer_to_an_upload_is_not_lost),
        TEST(lingering_has_bounds),
        TEST(lingering_outlasts_a_busy_worker),
        TEST(who_takes_an_answer_while_it_lingers_is_not_cut),
        TEST(who_lingers_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
