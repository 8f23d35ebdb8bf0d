/* The first of several addresses that answers.  The time is the test's. */
#include "net/dial.h"

#include "lib/context.h"
#include "lib/live.h"
#include "os/error.h"
#include "os/evq.h"
#include "os/sock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_context t;
static struct lh_evq evq;
static struct lh_slots slots;
static struct lh_dial dial;
static int done, fds_before;

static void count_done(struct lh_dial *d)
{
    assert_ptr_equal(d, &dial);
    done++;
}

static void begin(void)
{
    test_context_init(&t);
    fds_before = test_live_fds();
    assert_int_equal(lh_evq_init(&evq), 0);
    memset(&slots, 0, sizeof(slots));
    t.ctx.evq = &evq;
    t.ctx.slots = &slots;
    done = 0;
}

static void end(void)
{
    lh_evq_deinit(&evq);
    lh_slots_deinit(&slots);
    assert_int_equal(test_live_fds(), fds_before);
    test_context_deinit(&t);
}

/* What events there are within some time, while it is not over. */
static void turn(int wait_ms)
{
    struct lh_event events[8];
    unsigned n = lh_evq_wait(&evq, events, 8, wait_ms);

    for (unsigned i = 0; i < n; i++) {
        struct lh_source *source = lh_slots_find(&slots, events[i].tag);
        if (source)
            source->on_event(source, events[i].ready);
    }
}

static void run(void)
{
    for (int i = 0; i < 100 && !done; i++)
        turn(100);
    assert_int_equal(done, 1);
}

static int listening(int backlog, int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void add_address(struct lh_resolved *to, const char *host, int port)
{
    struct lh_resolved one;

    assert_true(lh_resolve_numeric(host, port, &one));
    to->v[to->n++] = one.v[0];
}

static void test_families_take_turns(void **state)
{
    static const char *const hosts[] = {"::1", "::1", "::1", "127.0.0.1",
                                        "127.0.0.1"};
    static const bool ipv6[] = {true, false, true, false, true};
    struct lh_resolved to = {.n = 0};
    int port, fd;

    (void)state;
    begin();
    fd = listening(-1, &port); /* nobody answers there */
    for (int i = 0; i < 5; i++)
        add_address(&to, hosts[i], port);
    lh_dial_begin(&dial, &t.ctx, &to, count_done);
    run();
    for (int i = 0; i < 5; i++)
        assert_int_equal(lh_address_is_ipv6(&dial.to.v[i]), ipv6[i]);
    assert_int_equal(dial.fd, -1);
    assert_int_equal(lh_connect_error_is_vague(dial.error), false);
    close(fd);
    end();
}

/* Without a look at the clock: a refusal makes room for the next at once. */
static void test_one_that_refuses_makes_room(void **state)
{
    struct lh_resolved to = {.n = 0};
    int refuses, port, fd = listening(-1, &refuses),
                       other = listening(4, &port);

    (void)state;
    begin();
    add_address(&to, "127.0.0.1", refuses);
    add_address(&to, "127.0.0.1", port);
    lh_dial_begin(&dial, &t.ctx, &to, count_done);
    run();
    assert_true(dial.fd >= 0);
    lh_sock_close(dial.fd);
    end();
    close(fd);
    close(other);
}

/* A full queue of clients: the kernel does not answer. */
static void fill(int port, int fds[4])
{
    struct lh_resolved to;
    struct lh_address *a = &to.v[0];

    assert_true(lh_resolve_numeric("127.0.0.1", port, &to));
    for (int i = 0; i < 4; i++)
        (void)lh_connect_begin(a, &fds[i]);
    usleep(10000);
}

static void test_one_that_is_silent_gets_company(void **state)
{
    struct lh_resolved to = {.n = 0};
    int silent, port, full[4];
    int fd = listening(0, &silent), other = listening(4, &port);

    (void)state;
    fill(silent, full);
    begin();
    add_address(&to, "127.0.0.1", silent);
    add_address(&to, "127.0.0.1", port);
    lh_dial_begin(&dial, &t.ctx, &to, count_done);
    turn(20);
    test_context_advance(&t, LH_DIAL_NEXT_MS - 1);
    assert_int_equal(dial.begun, 1);
    assert_int_equal(done, 0);
    test_context_advance(&t, 1);
    assert_int_equal(dial.begun, 2);
    run();
    assert_true(dial.fd >= 0);
    lh_sock_close(dial.fd);
    end(); /* and the silent one's descriptor is closed */
    for (int i = 0; i < 4; i++)
        close(full[i]);
    close(fd);
    close(other);
}

static void test_it_can_be_given_up(void **state)
{
    struct lh_resolved to = {.n = 0};
    int silent, full[4], fd = listening(0, &silent);

    (void)state;
    fill(silent, full);
    begin();
    for (int i = 0; i < 3; i++)
        add_address(&to, "127.0.0.1", silent);
    lh_dial_begin(&dial, &t.ctx, &to, count_done);
    test_context_advance(&t, LH_DIAL_NEXT_MS);
    assert_int_equal(dial.under_way, 2);
    lh_dial_end(&dial);
    test_context_advance(&t, 10000);
    assert_int_equal(dial.under_way, 0);
    assert_int_equal(done, 0);
    end();
    for (int i = 0; i < 4; i++)
        close(full[i]);
    close(fd);
}

/* The other addresses would fare no better. */
static void test_no_descriptors(void **state)
{
    struct rlimit before, none;
    struct lh_resolved to = {.n = 0};

    (void)state;
    begin();
    add_address(&to, "127.0.0.1", 1);
    add_address(&to, "127.0.0.1", 2);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    lh_dial_begin(&dial, &t.ctx, &to, count_done);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(done, 1);
    assert_int_equal(dial.begun, 1);
    assert_int_equal(dial.error, LH_SYS_EMFILE);
    end();
}

/* What says most is told, in whatever order they fail. */
static void test_vague_errors(void **state)
{
    (void)state;
    assert_true(lh_connect_error_is_vague(-ENETUNREACH));
    assert_true(lh_connect_error_is_vague(-EAFNOSUPPORT));
    assert_false(lh_connect_error_is_vague(-ECONNREFUSED));
    assert_false(lh_connect_error_is_vague(-ETIMEDOUT));
}

static void test_paths(void **state)
{
    struct lh_address a;
    char path[200];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[107] = '\0';
    assert_true(lh_address_of_path(path, &a));
    assert_false(lh_address_is_ipv6(&a));
    path[107] = 'x';
    path[108] = '\0';
    assert_false(lh_address_of_path(path, &a));
    assert_false(lh_address_of_path("", &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families_take_turns),
        cmocka_unit_test(test_one_that_refuses_makes_room),
        cmocka_unit_test(test_one_that_is_silent_gets_company),
        cmocka_unit_test(test_it_can_be_given_up),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_vague_errors),
        cmocka_unit_test(test_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
