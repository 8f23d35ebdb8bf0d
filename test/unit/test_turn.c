/*
 * The steps of a turn end in time: by a clock that jumps whenever it is looked
 * at, so that every step is as long as it may be at its second look.  What is
 * left is first next, and short answers pass long ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/conn.h"
#include "server/conn_input.h"
#include "server/conn_output.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 100

uint64_t __wrap_lh_clock_ns(void);

static struct {
    lhttpd_server_t *server;
    struct lh_listener listener;
    struct lh_worker worker;
    int client[CLIENTS];
    struct lh_conn *conn[CLIENTS];
    unsigned n;
    uint64_t now_ns;
    bool stands; /* the clock */
    unsigned looks;
} t;

uint64_t __wrap_lh_clock_ns(void)
{
    t.looks++;
    if (!t.stands)
        t.now_ns += LH_STEP_NS;
    return t.now_ns;
}

static int set_up(void **state)
{
    struct lh_err err;

    (void)state;
    memset(&t, 0, sizeof(t));
    assert_int_equal(lhttpd_server_create(&t.server, NULL), 0);
    t.listener.fd = -1;
    assert_int_equal(lh_worker_init(&t.worker, t.server, 0, &err), 0);
    t.looks = 0; /* but those of the steps */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lh_conns_cut(&t.worker);
    while (t.worker.conns_n)
        lh_conns_reap(&t.worker);
    for (unsigned i = 0; i < t.n; i++)
        close(t.client[i]);
    lh_worker_deinit(&t.worker);
    lh_worker_close(&t.worker);
    lhttpd_server_destroy(t.server);
    return 0;
}

/* A connection whose client has sent a request. */
static struct lh_conn *connection(void)
{
    static const char get[] = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    struct lh_sock_ends ends = {.local = "unix", .remote = "unix"};
    struct lh_worker *w = &t.worker;
    int fds[2], room = 1 << 20;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(
        setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
    assert_int_equal(send(fds[0], get, sizeof(get) - 1, 0), sizeof(get) - 1);
    lh_conn_accept(w, &t.listener, fds[1], &ends);
    t.client[t.n] = fds[0];
    t.conn[t.n] = LH_OF(w->idle.prev, struct lh_conn, all);
    assert_int_equal(t.conn[t.n]->fd, fds[1]);
    return t.conn[t.n++];
}

static void connections(unsigned n)
{
    while (n--)
        connection();
}

static void read_all_events(void)
{
    struct lh_worker *w = &t.worker;
    unsigned n = lh_evq_wait(&w->evq, w->events, LH_EVENTS_MAX, 0);

    for (unsigned i = 0; i < n; i++) {
        struct lh_source *source = lh_slots_find(&w->slots, w->events[i].tag);
        source->on_event(source, w->events[i].ready);
    }
}

static unsigned answered(void)
{
    unsigned n = 0;
    char c;

    for (unsigned i = 0; i < t.n; i++)
        n += recv(t.client[i], &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    return n;
}

static unsigned length(const struct lh_list *list)
{
    unsigned n = 0;

    for (const struct lh_list *l = list->next; l != list; l = l->next)
        n++;
    return n;
}

static void each_step_is_bounded(void **state)
{
    struct lh_worker *w = &t.worker;
    unsigned before;

    (void)state;
    connections(50);
    read_all_events();
    assert_int_equal(length(&w->fed), 50);
    lh_conns_feed(w);
    assert_true(length(&w->fed) > 30 && length(&w->fed) < 50);
    assert_int_equal(t.looks, 2);
    /* The rest keeps its place before those who come later. */
    struct lh_list *first = w->fed.next;
    connection();
    read_all_events();
    assert_ptr_equal(w->fed.next, first);
    assert_ptr_equal(w->fed.prev, &t.conn[50]->fed);
    for (int i = 0; i < 50 && !lh_list_empty(&w->fed); i++)
        lh_conns_feed(w);
    assert_int_equal(length(&w->dirty), 51);

    lh_conns_write(w);
    before = answered();
    assert_true(before > 0 && before < 30);
    assert_int_equal(length(&w->dirty), 51 - before);
    for (int i = 0; i < 50 && !lh_list_empty(&w->dirty); i++)
        lh_conns_write(w);
    assert_int_equal(answered(), 51);

    lh_conns_cut(w);
    assert_int_equal(length(&w->closed), 51);
    lh_conns_reap(w);
    assert_true(w->conns_n > 0 && w->conns_n < 51);
    assert_int_equal(length(&w->closed), w->conns_n);
}

/* --- a protocol that has output without end ------------------------------- */

static size_t pull_for_ever(void *c, uint8_t *out, size_t room)
{
    (void)c;
    memset(out, 'x', room);
    return room;
}

static void nothing(void *c)
{
    (void)c;
}

static unsigned has_output(const void *c)
{
    (void)c;
    return LH_PROTO_HAS_OUTPUT;
}

static uint64_t never(const void *c)
{
    (void)c;
    return LH_NEVER;
}

static const struct lh_protocol endless = {
    .name = "endless",
    .pull = pull_for_ever,
    .sent = nothing,
    .gone = nothing,
    .status = has_output,
    .deadline = never,
    .free = nothing,
};

static size_t got(unsigned i)
{
    static char all[1 << 20];
    ssize_t n, sum = 0;

    while ((n = recv(t.client[i], all, sizeof(all), MSG_DONTWAIT)) > 0)
        sum += n;
    return (size_t)sum;
}

static unsigned begun(void)
{
    return (unsigned)lh_count_get(&t.worker.ctx.counters.requests_begun);
}

/* Each that has begun may wait for its handler, and that costs memory: however
 * many clients send, these are not many. */
static void handlers_run_before_more_begin(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    struct lh_worker *w = &t.worker;

    (void)state;
    t.stands = true;
    connections(CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(send(t.client[i], get, sizeof(get) - 1, 0),
                         sizeof(get) - 1);
    read_all_events();
    lh_conns_feed(w);
    assert_in_range(begun(), 128, 129);
    assert_int_equal(length(&w->fed), CLIENTS - 64);
    lh_conns_feed(w);
    assert_int_equal(begun(), 2 * CLIENTS);
    assert_true(lh_list_empty(&w->fed));
}

static void short_answers_pass_long_ones(void **state)
{
    struct lh_worker *w = &t.worker;

    (void)state;
    connections(20);
    for (unsigned i = 0; i < 20; i++) {
        t.conn[i]->state = LH_CONN_OPEN;
        t.conn[i]->protocol = &endless;
        lh_list_append(&w->dirty, &t.conn[i]->dirty);
    }
    for (int i = 0; i < 100 && length(&w->bulk) < 20; i++) {
        lh_conns_write(w);
        for (unsigned k = 0; k < 20; k++)
            got(k);
    }
    assert_int_equal(length(&w->bulk), 20);
    assert_true(lh_list_empty(&w->dirty));
    connection();
    read_all_events();
    while (!lh_list_empty(&w->fed))
        lh_conns_feed(w);
    assert_int_equal(length(&w->dirty), 1);
    lh_conns_write(w);
    assert_true(got(20) > 0);
    /* In bulk they take turns, too. */
    unsigned served = 0;
    for (unsigned k = 0; k < 20; k++)
        served += got(k) > 0;
    assert_true(served > 0 && served < 20);
    for (int i = 0; i < 100; i++) {
        unsigned first =
            (unsigned)(LH_OF(w->bulk.next, struct lh_conn, dirty)->fd);
        lh_conns_write(w);
        assert_int_not_equal(LH_OF(w->bulk.next, struct lh_conn, dirty)->fd,
                             first);
        for (unsigned k = 0; k < 20; k++)
            got(k);
    }
}

static unsigned dropped;

static void count_drop(struct lh_message *message)
{
    (void)message;
    dropped++;
}

/* Mail that no turn delivers comes back to its sender, as late as it is sent.
 */
static void mail_of_an_ended_worker_is_dropped(void **state)
{
    struct lh_message mail[] = {
        {.drop = count_drop}, {.drop = NULL}, {.drop = count_drop}};
    struct lh_event none[1];

    (void)state;
    dropped = 0;
    assert_ptr_equal(t.worker.ctx.mailbox, &t.worker.mailbox);
    for (int i = 0; i < 3; i++)
        lh_worker_post(&t.worker, &mail[i]);
    /* It was woken. */
    assert_int_equal(lh_evq_wait(&t.worker.evq, none, 1, -1), 0);
    lh_worker_deinit(&t.worker);
    assert_int_equal(dropped, 2);
    lh_worker_post(&t.worker, &mail[0]);
    lh_worker_close(&t.worker);
    assert_int_equal(dropped, 3);
    struct lh_err err;
    assert_int_equal(lh_worker_init(&t.worker, t.server, 0, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_step_is_bounded, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(handlers_run_before_more_begin, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(mail_of_an_ended_worker_is_dropped,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_answers_pass_long_ones, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
