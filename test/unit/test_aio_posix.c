/* POSIX's file operations where the system refuses some: helpers do those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/aio_ways.h"

#include <aio.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY  100
#define WAITS 2000

/* What the linker puts in the place of the C library's (--wrap), whose names
 * are these where off_t has 64 bits. */
int __real_lio_listio64(int mode, struct aiocb *const list[], int n,
                        struct sigevent *event);
int __wrap_lio_listio64(int mode, struct aiocb *const list[], int n,
                        struct sigevent *event);
int __real_aio_read64(struct aiocb *cb);
int __wrap_aio_read64(struct aiocb *cb);

static unsigned lists, listed, alone;
static bool refuses; /* the second half of each list, and those alone */

int __wrap_lio_listio64(int mode, struct aiocb *const list[], int n,
                        struct sigevent *event)
{
    int taken = refuses ? n / 2 : n;

    lists++;
    listed += (unsigned)n;
    int r = __real_lio_listio64(mode, list, taken, event);
    for (int i = taken; i < n; i++)
        list[i]->__error_code = EAGAIN;
    if (taken == n)
        return r;
    errno = EAGAIN;
    return -1;
}

int __wrap_aio_read64(struct aiocb *cb)
{
    alone++;
    if (!refuses)
        return __real_aio_read64(cb);
    errno = EAGAIN;
    return -1;
}

static struct lh_aio_op ops[MANY];
static char back[MANY][16];
static unsigned completed;

static void count_end(struct lh_aio_op *op)
{
    (void)op;
    completed++;
}

/* The file's n records are read, an operation each. */
static void read_records(int fd, int n)
{
    struct lh_aio *aio;
    struct lh_err err;

    assert_int_equal(lh_aio_posix.new(&aio, &err), 0);
    completed = lists = listed = alone = 0;
    memset(back, 0, sizeof(back));
    for (int i = 0; i < n; i++) {
        ops[i] = (struct lh_aio_op){.kind = LH_AIO_READ, .fd = fd, .n = 16};
        ops[i].p = back[i];
        ops[i].offset = (uint64_t)i * 16;
        ops[i].complete = count_end;
        lh_aio_add(aio, &ops[i]);
    }
    for (int i = 0; i < WAITS && lh_aio_pending(aio); i++) {
        struct pollfd p = {lh_aio_fd(aio), POLLIN, 0};
        assert_false(lh_aio_submit(aio));
        poll(&p, 1, 1000);
        lh_aio_deliver(aio);
    }
    assert_int_equal(completed, n);
    lh_aio_free(aio);
    for (int i = 0; i < n; i++) {
        assert_int_equal(ops[i].result, 16);
        assert_int_equal(strtol(back[i], NULL, 10), i);
    }
}

static int records(void)
{
    char path[] = "/tmp/lhttpd-aio-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(dprintf(fd, "%015d\n", i), 16);
    return fd;
}

static void what_a_turn_adds_is_one_list(void **state)
{
    int fd = records();

    (void)state;
    read_records(fd, 16);
    assert_int_equal(lists, 1);
    assert_int_equal(listed, 16);
    assert_int_equal(alone, 0);
    read_records(fd, 1);
    assert_int_equal(lists, 0);
    assert_int_equal(alone, 1);
    close(fd);
}

static void what_is_refused_is_done_by_helpers(void **state)
{
    int fd = records();

    (void)state;
    refuses = true;
    read_records(fd, MANY);
    assert_true(lists > 0);
    read_records(fd, 1);
    assert_int_equal(alone, 1);
    refuses = false;
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_turn_adds_is_one_list),
        cmocka_unit_test(what_is_refused_is_done_by_helpers),
    };

#ifdef __SANITIZE_THREAD__ /* it does not know the C library's own threads */
    return 0;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
