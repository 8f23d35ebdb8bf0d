/* Asynchronous file operations, by each way; FreeBSD's runs on Linux too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/deny.h"
#include "lib/forked.h"
#include "lib/heap.h"
#include "lib/uring.h"
#include "os/aio.h"
#include "os/aio_ways.h"
#include "os/evq.h"
#include "os/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAITS_MAX 2000
#define MANY      500

struct fixture {
    struct lh_aio *aio;
    char path[64];
    int fd;
};

static unsigned completed;

static void count_completed(struct lh_aio_op *op)
{
    (void)op;
    completed++;
}

static int set_up(void **state, const char *way)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct lh_err err;
    bool is_posix = strcmp(way, lh_aio_posix.name) == 0;

    if ((is_posix ? lh_aio_posix.new(&f->aio, &err)
                  : lh_aio_new(&f->aio, way, &err)) < 0) {
        print_message("%s\n", err.text);
        free(f);
        *state = NULL;
        return strcmp(way, "uring") == 0 ? 0 : -1;
    }
    snprintf(f->path, sizeof(f->path), "/tmp/lhttpd-aio-XXXXXX");
    f->fd = mkstemp(f->path);
    *state = f;
    completed = 0;
    return f->fd < 0 ? -1 : 0;
}

static int by_uring(void **state)
{
    return set_up(state, "uring");
}

/* The thread sanitizer does not know threads that the C library makes, and
 * musl's operations on a bad descriptor never end. */
static int by_posix(void **state)
{
#if defined(__SANITIZE_THREAD__) || (defined(__linux__) && !defined(__GLIBC__))
    *state = NULL;
    return 0;
#else
    return set_up(state, "posix");
#endif
}

static int by_none(void **state)
{
    return set_up(state, "inline");
}

static int by_threads(void **state)
{
    return set_up(state, "threads");
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (!f)
        return 0;
    lh_aio_free(f->aio);
    close(f->fd);
    unlink(f->path);
    free(f);
    return 0;
}

/* The fixture, or a skipped test where the kernel refuses io_uring. */
static struct fixture *need(void **state)
{
    if (!*state)
        skip();
    return *state;
}

/* Delivers what comes within a second. */
static void deliver_next(struct lh_aio *aio)
{
    struct lh_event event;
    struct lh_evq q;

    assert_int_equal(lh_evq_init(&q), 0);
    assert_int_equal(lh_evq_add(&q, lh_aio_fd(aio), LH_EV_READ, 7), 0);
    lh_evq_wait(&q, &event, 1, 1000);
    lh_aio_deliver(aio);
    lh_evq_deinit(&q);
}

/* Submits and delivers, as turns do, until nothing is pending. */
static void finish(struct lh_aio *aio)
{
    for (int i = 0; i < WAITS_MAX && lh_aio_pending(aio); i++) {
        lh_aio_submit(aio);
        deliver_next(aio);
    }
    assert_int_equal(lh_aio_pending(aio), 0);
}

static int64_t run(struct fixture *f, struct lh_aio_op *op)
{
    op->complete = count_completed;
    lh_aio_add(f->aio, op);
    finish(f->aio);
    return op->result;
}

static void writes_and_reads(void **state)
{
    struct fixture *f = need(state);
    static char data[3 << 20], back[3 << 20];
    struct lh_aio_op op = {.kind = LH_AIO_WRITE, .fd = f->fd};

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + i / 253);
    op.p = data;
    op.n = sizeof(data);
    op.offset = 5;
    assert_int_equal(run(f, &op), sizeof(data));
    op = (struct lh_aio_op){.kind = LH_AIO_SYNC, .fd = f->fd};
    assert_int_equal(run(f, &op), 0);
    op = (struct lh_aio_op){
        .kind = LH_AIO_READ, .fd = f->fd, .p = back, .n = sizeof(back)};
    op.offset = 5;
    assert_int_equal(run(f, &op), sizeof(back));
    assert_memory_equal(data, back, sizeof(data));
    assert_int_equal(completed, 3);
}

static void a_read_is_short_only_at_the_end(void **state)
{
    struct fixture *f = need(state);
    char back[100];
    struct lh_aio_op op = {
        .kind = LH_AIO_READ, .fd = f->fd, .p = back, .n = sizeof(back)};

    assert_int_equal(write(f->fd, "0123456789", 10), 10);
    assert_int_equal(run(f, &op), 10);
    op.offset = 10;
    assert_int_equal(run(f, &op), 0);
    op.offset = 1000;
    assert_int_equal(run(f, &op), 0);
}

/* What is there is given, as read() does it; the rest may never come. */
static void a_pipe_is_not_read_to_its_end(void **state)
{
    struct fixture *f = need(state);
    char back[100];
    struct lh_aio_op op = {.kind = LH_AIO_READ, .p = back, .n = sizeof(back)};
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "hello", 5), 5);
    op.fd = fds[0];
    op.offset = LH_AIO_NO_OFFSET;
    assert_int_equal(run(f, &op), 5);
    close(fds[1]);
    assert_int_equal(run(f, &op), 0);
    close(fds[0]);
}

/* It is asked again so that it may wait, once. */
static void what_cannot_be_had_at_once_is_waited_for(void **state)
{
    struct fixture *f = need(state);
    char octets[10];
    struct lh_aio_op op = {.kind = LH_AIO_WRITE,
                           .fd = f->fd,
                           .p = "0123456789",
                           .n = 10,
                           .offset = LH_AIO_NO_OFFSET,
                           .complete = count_completed};

    test_uring_waits(true);
    assert_int_equal(run(f, &op), 10);
    op.kind = LH_AIO_READ;
    op.p = octets;
    op.offset = 2;
    assert_int_equal(run(f, &op), 8);
    assert_memory_equal(octets, "23456789", 8);
    assert_int_equal(completed, 2);
    test_uring_waits(false);
}

static void a_kernel_without_memory_is_asked_again(void **state)
{
    struct fixture *f = need(state);
    char back[10];
    struct lh_aio_op op = {
        .kind = LH_AIO_READ, .fd = f->fd, .p = back, .n = sizeof(back)};

    assert_int_equal(write(f->fd, "0123456789", 10), 10);
    op.complete = count_completed;
    test_uring_refuse(2);
    lh_aio_add(f->aio, &op);
    assert_true(lh_aio_submit(f->aio));
    assert_true(lh_aio_submit(f->aio));
    assert_false(lh_aio_submit(f->aio));
    finish(f->aio);
    assert_int_equal(op.result, 10);
}

static int64_t wait_for_octet(struct lh_aio_op *op)
{
    char octet;

    return read(op->fd, &octet, 1);
}

/* Two functions are with helpers and a sync is left in the ring.  When one
 * comes back the ring has to watch for the other: the kernel takes the sync and
 * has no memory for that. */
static void what_the_kernel_has_left_is_asked_again(void **state)
{
    struct fixture *f = need(state);
    struct lh_aio_op left = {.kind = LH_AIO_SYNC, .fd = f->fd};
    struct lh_aio_op calls[2];
    int fds[2][2];

    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe(fds[i]), 0);
        calls[i] = (struct lh_aio_op){.kind = LH_AIO_CALL,
                                      .fd = fds[i][0],
                                      .call = wait_for_octet,
                                      .complete = count_completed};
        lh_aio_add(f->aio, &calls[i]);
    }
    assert_false(lh_aio_submit(f->aio));
    left.complete = count_completed;
    lh_aio_add(f->aio, &left);
    test_uring_refuse(1);
    assert_true(lh_aio_submit(f->aio));
    test_uring_take(1);
    assert_int_equal(write(fds[0][1], "x", 1), 1);
    for (int i = 0; i < 30 && completed == 0; i++)
        deliver_next(f->aio);
    assert_int_equal(write(fds[1][1], "x", 1), 1);
    for (int i = 0; i < 30 && completed < 3; i++) {
        lh_aio_submit(f->aio);
        deliver_next(f->aio);
    }
    assert_int_equal(completed, 3);
    for (int i = 0; i < 4; i++)
        close(fds[i / 2][i % 2]);
}

static void opens(void **state)
{
    struct fixture *f = need(state);
    struct lh_aio_op op = {.kind = LH_AIO_OPEN, .path = f->path};

    op.flags = O_RDONLY;
    int fd = (int)run(f, &op);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
    op.path = "/no/such/file";
    assert_int_equal(run(f, &op), -ENOENT);
}

static void splices_into_a_pipe(void **state)
{
    struct fixture *f = need(state);
    struct lh_aio_op op = {.kind = LH_AIO_SPLICE, .fd = f->fd};
    char back[16];
    int fds[2];

    ssize_t room = lh_pipe_open(fds);
    if (room == -EOPNOTSUPP)
        skip(); /* FreeBSD cannot splice */
    assert_true(room > 0);
    assert_int_equal(write(f->fd, "0123456789", 10), 10);
    op.to = fds[1];
    op.n = 5;
    op.offset = 2;
    assert_int_equal(run(f, &op), 5);
    op.n = 100;
    op.offset = 7;
    assert_int_equal(run(f, &op), 3);
    op.offset = 10;
    assert_int_equal(run(f, &op), 0);
    assert_int_equal(lh_pipe_read(fds[0], back, sizeof(back)), 8);
    assert_memory_equal(back, "23456789", 8);
    assert_int_equal(lh_pipe_read(fds[0], back, sizeof(back)), -EAGAIN);
    op.fd = fds[1];
    assert_true(run(f, &op) < 0);
    close(fds[0]);
    close(fds[1]);
}

struct called {
    struct lh_aio_op op;
    pthread_t by;
};

static int64_t note_thread(struct lh_aio_op *op)
{
    ((struct called *)op)->by = pthread_self();
    return ((struct called *)op)->op.fd;
}

/* They do not hold the worker's thread, unless it is to do all. */
static void calls_functions(void **state)
{
    struct fixture *f = need(state);
    bool is_inline = strcmp(lh_aio_way(f->aio), "inline") == 0;
    struct called calls[40] = {0};
    struct lh_aio_op other = {.kind = LH_AIO_OPEN, .path = "/no/such/file"};

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            calls[i].op = (struct lh_aio_op){.kind = LH_AIO_CALL,
                                             .fd = i,
                                             .call = note_thread,
                                             .complete = count_completed};
            lh_aio_add(f->aio, &calls[i].op);
        }
        assert_int_equal(run(f, &other), -ENOENT);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(calls[i].op.result, i);
            assert_int_equal(pthread_equal(calls[i].by, pthread_self()) != 0,
                             is_inline);
        }
    }
}

static void errors_are_each_operation_s_own(void **state)
{
    struct fixture *f = need(state);
    char back[10];
    struct lh_aio_op bad = {
        .kind = LH_AIO_READ, .fd = -1, .p = back, .n = sizeof(back)};
    struct lh_aio_op good = bad;
    int directory = open("/", O_RDONLY | O_CLOEXEC);

    good.fd = f->fd;
    assert_int_equal(write(f->fd, "0123456789", 10), 10);
    good.complete = bad.complete = count_completed;
    lh_aio_add(f->aio, &bad);
    lh_aio_add(f->aio, &good);
    finish(f->aio);
    assert_int_equal(bad.result, -EBADF);
    assert_int_equal(good.result, 10);
    bad.fd = directory;
    assert_int_equal(run(f, &bad), -EISDIR);
    close(directory);
}

static void writes_at_the_end_of_an_append_file(void **state)
{
    struct fixture *f = need(state);
    struct lh_aio_op op = {.kind = LH_AIO_WRITE, .p = (char[]){"abc"}, .n = 3};
    char back[16] = "";

    op.fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    op.offset = LH_AIO_NO_OFFSET;
    assert_int_equal(run(f, &op), 3);
    assert_int_equal(run(f, &op), 3);
    assert_int_equal(pread(f->fd, back, 16, 0), 6);
    assert_string_equal(back, "abcabc");
    close(op.fd);
}

/* The kernel refuses the first at once; those behind it are done all the same,
 * by the one submission. */
static void a_refused_operation_holds_up_none(void **state)
{
    struct fixture *f = need(state);
    char back[10];
    struct lh_aio_op bad = {.kind = LH_AIO_OPEN, .path = ""};
    struct lh_aio_op good = {
        .kind = LH_AIO_READ, .fd = f->fd, .p = back, .n = sizeof(back)};

    assert_int_equal(write(f->fd, "0123456789", 10), 10);
    bad.complete = good.complete = count_completed;
    lh_aio_add(f->aio, &bad);
    lh_aio_add(f->aio, &good);
    lh_aio_submit(f->aio);
    for (int i = 0; i < WAITS_MAX && lh_aio_pending(f->aio); i++) {
        usleep(1000);
        lh_aio_deliver(f->aio);
    }
    assert_int_equal(lh_aio_pending(f->aio), 0);
    assert_int_equal(bad.result, -ENOENT);
    assert_int_equal(good.result, 10);
}

static void many_at_once(void **state)
{
    struct fixture *f = need(state);
    static struct lh_aio_op ops[MANY];
    static char back[MANY][16];

    for (int i = 0; i < MANY; i++)
        assert_int_equal(dprintf(f->fd, "%015d\n", i), 16);
    for (int i = 0; i < MANY; i++) {
        ops[i] = (struct lh_aio_op){.kind = LH_AIO_READ, .fd = f->fd};
        ops[i].p = back[i];
        ops[i].n = 16;
        ops[i].offset = (uint64_t)i * 16;
        ops[i].complete = count_completed;
        lh_aio_add(f->aio, &ops[i]);
    }
    assert_int_equal(lh_aio_pending(f->aio), MANY);
    finish(f->aio);
    assert_int_equal(completed, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(ops[i].result, 16);
        assert_int_equal(strtol(back[i], NULL, 10), i);
    }
}

static void reads_what_is_cached(void **state)
{
    struct fixture *f = need(state);
    char back[16];

    assert_int_equal(write(f->fd, "0123456789", 10), 10);
    ssize_t n = lh_aio_read_cached(f->fd, back, 16, 2);
    assert_true(n == 8 || n < 0); /* not every file system can tell */
    if (n == 8)
        assert_memory_equal(back, "23456789", 8);
}

static void an_unknown_way_is_an_error(void **state)
{
    struct lh_aio *aio = NULL;
    struct lh_err err;

    (void)state;
    assert_int_equal(lh_aio_new(&aio, "magic", &err), LHTTPD_ESYSTEM);
    assert_non_null(strstr(err.text, "magic"));
    lh_aio_free(NULL);
}

/* The child of a test, where a system call is refused; its exit status. */
struct refusal {
    long call;
    int error;
};

static int best_way_without(void *arg)
{
    const struct refusal *refusal = arg;
    struct fixture f = {.fd = open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    char back[16] = "x";
    struct lh_aio_op op = {
        .kind = LH_AIO_READ, .fd = f.fd, .p = back, .n = sizeof(back)};
    struct lh_err err;

    if (!test_deny(refusal->call, TEST_ANY_ARGUMENT, refusal->error))
        return TEST_CANNOT;
    if (lh_aio_new(&f.aio, "uring", &err) != LHTTPD_ESYSTEM)
        return 2;
    if (!strstr(err.text, "io_uring: "))
        return 3;
    if (lh_aio_new(&f.aio, NULL, &err) != 0)
        return 4;
    if (strcmp(lh_aio_way(f.aio), "threads") != 0)
        return 5;
    return run(&f, &op) == sizeof(back) && back[0] == 0 ? 0 : 6;
}

static void where_a_part_of_io_uring_is_refused(void **state)
{
    static const long calls[] = {SYS_io_uring_setup, SYS_io_uring_enter,
                                 SYS_io_uring_register};
    static const int errors[] = {ENOSYS, EPERM};

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct refusal refusal = {calls[i / 2], errors[i % 2]};
        assert_int_equal(test_forked(best_way_without, &refusal), 0);
    }
}

static void lack_of_memory_is_an_error(void **state)
{
    struct lh_aio *aio = NULL;
    struct lh_err err;

    (void)state;
    test_heap_install();
    test_heap_fail_at(1);
    assert_int_equal(lh_aio_new(&aio, NULL, &err), LHTTPD_ENOMEM);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

#define EACH(test)                                                             \
    {"uring: " #test, test, by_uring, tear_down, NULL},                        \
        {"posix: " #test, test, by_posix, tear_down, NULL},                    \
        {"threads: " #test, test, by_threads, tear_down, NULL},                \
    {                                                                          \
        "inline: " #test, test, by_none, tear_down, NULL                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(writes_and_reads),
        EACH(a_read_is_short_only_at_the_end),
        EACH(a_pipe_is_not_read_to_its_end),
        EACH(opens),
        EACH(splices_into_a_pipe),
        EACH(calls_functions),
        EACH(errors_are_each_operation_s_own),
        EACH(writes_at_the_end_of_an_append_file),
        EACH(a_refused_operation_holds_up_none),
        cmocka_unit_test_setup_teardown(a_kernel_without_memory_is_asked_again,
                                        by_uring, tear_down),
        cmocka_unit_test_setup_teardown(what_the_kernel_has_left_is_asked_again,
                                        by_uring, tear_down),
        cmocka_unit_test_setup_teardown(
            what_cannot_be_had_at_once_is_waited_for, by_uring, tear_down),
        EACH(many_at_once),
        EACH(reads_what_is_cached),
        cmocka_unit_test(an_unknown_way_is_an_error),
        cmocka_unit_test(where_a_part_of_io_uring_is_refused),
        cmocka_unit_test(lack_of_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
