/* The plain transport, on a socket pair. */
#include "lib/heap.h"
#include "net/transport.h"
#include "os/error.h"
#include "os/pipe.h"
#include "os/sock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

struct both {
    struct lh_net_pools pools;
    struct lh_transport *t;
    int peer;
};

static int set_up(void **state)
{
    static struct both b;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    lh_net_pools_init(&b.pools);
    b.t = lh_tcp_new(&b.pools, fds[0]);
    assert_non_null(b.t);
    b.peer = fds[1];
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    struct both *b = *state;
    int fd = b->t->fd;

    b->t->ops->free(b->t);
    close(fd);
    if (b->peer >= 0)
        close(b->peer);
    assert_int_equal(b->pools.chunks.out, 0);
    lh_net_pools_deinit(&b->pools);
    return 0;
}

static void put(struct both *b, const char *s)
{
    size_t room;
    uint8_t *p = b->t->ops->buf(b->t, &room);

    assert_non_null(p);
    assert_true(room >= strlen(s));
    memcpy(p, s, strlen(s));
    b->t->ops->ack(b->t, strlen(s));
}

static void receives_in_pieces(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    size_t n;

    assert_int_equal(ops->receive(b->t), LH_NET_AGAIN);
    assert_null(ops->peek(b->t, &n));
    assert_int_equal(n, 0);
    assert_int_equal(b->pools.chunks.out, 0);
    assert_int_equal(write(b->peer, "hello world", 11), 11);
    assert_int_equal(ops->receive(b->t), LH_NET_OK);
    assert_int_equal(b->pools.chunks.out, 1);
    assert_memory_equal(ops->peek(b->t, &n), "hello world", 11);
    assert_int_equal(n, 11);
    ops->consume(b->t, 6);
    assert_memory_equal(ops->peek(b->t, &n), "world", 5);
    assert_int_equal(n, 5);
    ops->rest(b->t);
    assert_int_equal(b->pools.chunks.out, 1); /* somebody still wants it */
    ops->consume(b->t, 5);
    assert_null(ops->peek(b->t, &n));
    assert_int_equal(b->pools.chunks.out, 0);
}

static void discards(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    size_t n;

    assert_int_equal(write(b->peer, "unread", 6), 6);
    assert_int_equal(ops->receive(b->t), LH_NET_OK);
    assert_int_equal(ops->shutdown(b->t), LH_NET_OK);
    assert_int_equal(write(b->peer, "more", 4), 4);
    assert_int_equal(ops->discard(b->t), LH_NET_OK);
    assert_null(ops->peek(b->t, &n));
    assert_int_equal(ops->discard(b->t), LH_NET_AGAIN);
    assert_int_equal(b->pools.chunks.out, 0);
    close(b->peer);
    b->peer = -1;
    assert_int_equal(ops->discard(b->t), LH_NET_EOF);
}

static void tells_of_the_end(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    size_t n;

    assert_int_equal(write(b->peer, "x", 1), 1);
    close(b->peer);
    b->peer = -1;
    assert_int_equal(ops->receive(b->t), LH_NET_OK);
    assert_memory_equal(ops->peek(b->t, &n), "x", 1);
    ops->consume(b->t, 1);
    assert_int_equal(ops->receive(b->t), LH_NET_EOF);
    assert_int_equal(ops->receive(b->t), LH_NET_EOF);
    assert_int_equal(b->pools.chunks.out, 0);
    put(b, "nobody hears");
    assert_int_equal(ops->send(b->t), LH_NET_LOST);
    assert_int_equal(ops->send(b->t), LH_NET_LOST);
    assert_true(ops->unsent(b->t)); /* so that send is called and says it */
    assert_null(ops->buf(b->t, &n));
    assert_int_equal(n, 0);
    assert_int_equal(b->pools.chunks.out, 0);
}

static void sends_what_was_acked(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    char in[16];
    size_t room;

    assert_non_null(ops->buf(b->t, &room));
    assert_int_equal(room, LH_NET_CHUNK_BYTES);
    assert_false(ops->unsent(b->t));
    ops->rest(b->t);
    assert_int_equal(b->pools.chunks.out, 0); /* lent, not written into */
    put(b, "one");
    put(b, "two");
    assert_true(ops->unsent(b->t));
    ops->rest(b->t);
    assert_int_equal(ops->send(b->t), LH_NET_OK);
    assert_false(ops->unsent(b->t));
    assert_int_equal(b->pools.chunks.out, 0);
    assert_int_equal(read(b->peer, in, sizeof(in)), 6);
    assert_memory_equal(in, "onetwo", 6);
    assert_int_equal(ops->send(b->t), LH_NET_OK); /* nothing: fine */
}

/* A megabyte through a full socket: nothing lost, nothing out of order. */
static void remembers_partial_sends(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    uint32_t written = 0, checked = 0, total = 1024 * 1024;
    bool was_full = false;
    uint8_t in[5000], *p;
    size_t room;

    while (checked < total) {
        while (written < total && (p = ops->buf(b->t, &room))) {
            for (size_t i = 0; i < room; i++, written++)
                p[i] = (uint8_t)(written * 7 >> 8 ^ written);
            ops->ack(b->t, room);
        }
        enum lh_net sent = ops->send(b->t);
        assert_int_not_equal(sent, LH_NET_LOST);
        assert_int_equal(sent == LH_NET_AGAIN, ops->unsent(b->t));
        was_full |= sent == LH_NET_AGAIN;
        ssize_t n = read(b->peer, in, sizeof(in));
        for (ssize_t i = 0; i < n; i++, checked++)
            assert_int_equal(in[i], (uint8_t)(checked * 7 >> 8 ^ checked));
    }
    assert_true(was_full);
}

static void shuts_down_after_output(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    char in[16];
    size_t room;

    put(b, "bye");
    assert_int_equal(ops->shutdown(b->t), LH_NET_OK);
    assert_int_equal(ops->shutdown(b->t), LH_NET_OK);
    assert_null(ops->buf(b->t, &room));
    assert_int_equal(read(b->peer, in, sizeof(in)), 3);
    assert_int_equal(read(b->peer, in, sizeof(in)), 0);
    /* The other direction goes on. */
    assert_int_equal(write(b->peer, "last", 4), 4);
    assert_int_equal(ops->receive(b->t), LH_NET_OK);
    ops->consume(b->t, 4);
}

/* No memory: the connection is given up, nothing leaks. */
static void lives_without_memory(void **state)
{
    struct both *b = *state;
    size_t room;

    test_heap_install();
    test_heap_fail_at(1);
    assert_null(lh_tcp_new(&b->pools, b->t->fd));
    test_heap_fail_at(1);
    assert_null(b->t->ops->buf(b->t, &room));
    assert_int_equal(room, 0);
    assert_true(b->t->ops->unsent(b->t));
    assert_int_equal(b->t->ops->send(b->t), LH_NET_LOST);
    assert_int_equal(write(b->peer, "x", 1), 1);
    test_heap_fail_at(1);
    assert_int_equal(b->t->ops->receive(b->t), LH_NET_LOST);
    assert_int_equal(b->t->ops->receive(b->t), LH_NET_LOST);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

static void moves_from_a_pipe(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    struct lh_place place = {.at = LH_PLACE_PIPE};
    char got[16];
    size_t sent;
    int fds[2];

    ssize_t room = lh_pipe_open(fds);
    if (room == LH_SYS_EOPNOTSUPP)
        skip(); /* FreeBSD cannot splice */
    assert_true(room >= 65536);
    place.fd = fds[0];
    assert_int_equal(write(fds[1], "from a pipe", 11), 11);
    assert_int_equal(ops->move(b->t, &place, 4, &sent), LH_NET_OK);
    assert_int_equal(sent, 4);
    assert_int_equal(ops->move(b->t, &place, 7, &sent), LH_NET_OK);
    assert_int_equal(read(b->peer, got, sizeof(got)), 11);
    assert_memory_equal(got, "from a pipe", 11);

    /* What the system does not move costs the connection nothing. */
    struct lh_place no_pipe = {.fd = b->t->fd, .at = LH_PLACE_PIPE};
    assert_int_equal(ops->move(b->t, &no_pipe, 4, &sent), LH_NET_OK);
    assert_int_equal(sent, 0);
    size_t sum = 0, before;
    do {
        static char much[65536];
        before = sum;
        assert_int_equal(write(fds[1], much, sizeof(much)), sizeof(much));
        (void)ops->move(b->t, &place, sizeof(much), &sent);
        sum += sent;
    } while (sum - before == 65536 && sum < 100000000);
    assert_true(sum < 100000000);
    assert_int_equal(ops->move(b->t, &place, 1, &sent), LH_NET_AGAIN);
    assert_int_equal(sent, 0);
    close(b->peer);
    b->peer = -1;
    assert_int_equal(ops->move(b->t, &place, 1, &sent), LH_NET_LOST);
    assert_int_equal(ops->move(b->t, &place, 1, &sent), LH_NET_LOST);
    close(fds[0]);
    close(fds[1]);
}

static void acked(struct lh_transport *t, const char *text)
{
    size_t room, n = strlen(text);
    uint8_t *out = t->ops->buf(t, &room);

    assert_non_null(out);
    memcpy(out, text, n);
    t->ops->ack(t, n);
}

/* Behind what was acked.  What the file does not have, or cannot be read from
 * it, costs the connection nothing. */
static void moves_from_a_file(void **state)
{
    struct both *b = *state;
    const struct lh_transport_ops *ops = b->t->ops;
    struct lh_place place = {.at = 5};
    char got[32];
    size_t sent;
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_true(fputs("from a file", file) >= 0 && fflush(file) == 0);
    place.fd = fileno(file);
    acked(b->t, "head, ");
    assert_int_equal(ops->move(b->t, &place, 6, &sent), LH_NET_OK);
    assert_int_equal(sent, 6);
    assert_false(ops->unsent(b->t));
    assert_int_equal(read(b->peer, got, sizeof(got)), 12);
    assert_memory_equal(got, "head, a file", 12);

    /* Shorter than was thought. */
    place.at = 9;
    assert_int_equal(ops->move(b->t, &place, 6, &sent), LH_NET_AGAIN);
    assert_int_equal(sent, 2);
    place.at = 11;
    acked(b->t, "head");
    assert_int_equal(ops->move(b->t, &place, 6, &sent), LH_NET_OK);
    assert_int_equal(sent, 0);
    assert_int_equal(read(b->peer, got, sizeof(got)), 6);
    assert_memory_equal(got, "lehead", 6);

    /* What cannot be read so. */
    place = (struct lh_place){.fd = b->t->fd, .at = 0};
    assert_int_equal(ops->move(b->t, &place, 6, &sent), LH_NET_OK);
    assert_int_equal(sent, 0);

    place = (struct lh_place){.fd = fileno(file), .at = 0};
    close(b->peer);
    b->peer = -1;
    assert_int_equal(ops->move(b->t, &place, 6, &sent), LH_NET_LOST);
    assert_int_equal(ops->move(b->t, &place, 6, &sent), LH_NET_LOST);
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(receives_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(discards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_of_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sends_what_was_acked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(remembers_partial_sends, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(moves_from_a_pipe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moves_from_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shuts_down_after_output, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lives_without_memory, set_up,
                                        tear_down),
    };

    signal(SIGPIPE, SIG_IGN); /* workers block it */
    return cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
