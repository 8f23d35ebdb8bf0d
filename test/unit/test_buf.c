/* The queue of bytes, against a plain array. */
#include "base/buf.h"

#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BYTES 40000

static uint8_t pattern[BYTES];
static struct lh_buf_pools pools;

static int set_up(void **state)
{
    for (size_t i = 0; i < BYTES; i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    test_heap_set_up(state);
    lh_buf_pools_init(&pools, 4);
    return 0;
}

static int tear_down(void **state)
{
    lh_buf_pools_deinit(&pools);
    return test_heap_tear_down(state);
}

static void test_empty(void **state)
{
    struct lh_buf b;
    uint8_t out[4];
    size_t n = 1;

    (void)state;
    lh_buf_init(&b, &pools);
    assert_null(lh_buf_peek(&b, &n));
    assert_int_equal(n, 0);
    assert_true(lh_buf_append(&b, NULL, 0));
    assert_null(lh_buf_peek(&b, &n));
    assert_int_equal(lh_buf_take(&b, out, sizeof(out)), 0);
    lh_buf_drop(&b, 0);
    lh_buf_clear(&b);
    assert_int_equal(lh_buf_pools_out(&pools), 0);
}

/* In pieces of each size in, in pieces of each size out. */
static void test_in_and_out(void **state)
{
    static const size_t sizes[] = {1,    7,    100,  498,  499,
                                   4082, 4083, 8164, 20000};
    static uint8_t out[BYTES];
    struct lh_buf b;

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        for (size_t k = 0; k < 9; k++) {
            size_t in = 0, got = 0;
            lh_buf_init(&b, &pools);
            while (in < 20000) {
                assert_true(lh_buf_append(&b, pattern + in, sizes[i]));
                assert_true(lh_buf_append(&b, NULL, 0));
                in += sizes[i];
                got += lh_buf_take(&b, out + got, sizes[k]);
                assert_int_equal(b.n, in - got);
            }
            got += lh_buf_take(&b, out + got, BYTES);
            assert_int_equal(got, in);
            assert_memory_equal(out, pattern, in);
            assert_int_equal(lh_buf_pools_out(&pools), 0);
        }
    }
}

static void test_peek_and_drop(void **state)
{
    struct lh_buf b;
    size_t n, seen = 0;

    (void)state;
    lh_buf_init(&b, &pools);
    assert_true(lh_buf_append(&b, pattern, 10000));
    while (b.n) {
        const uint8_t *p = lh_buf_peek(&b, &n);
        assert_non_null(p);
        assert_true(n > 0);
        assert_memory_equal(p, pattern + seen, n);
        size_t step = n > 3000 ? 3000 : n;
        lh_buf_drop(&b, step);
        seen += step;
    }
    assert_int_equal(seen, 10000);
    assert_true(lh_buf_append(&b, pattern, 10000));
    lh_buf_drop(&b, 9000); /* over several blocks at once */
    assert_memory_equal(lh_buf_peek(&b, &n), pattern + 9000, 1000);
    lh_buf_clear(&b);
    assert_int_equal(b.n, 0);
    assert_int_equal(lh_buf_pools_out(&pools), 0);
}

/* A short queue is not to take much memory, a long one not many blocks. */
static void test_sizes_of_blocks(void **state)
{
    struct lh_buf b;

    (void)state;
    lh_buf_init(&b, &pools);
    assert_true(lh_buf_append(&b, pattern, 200));
    assert_true(lh_buf_append(&b, pattern, 200));
    assert_int_equal(pools.small.out, 1);
    assert_int_equal(pools.large.out, 0);
    assert_true(lh_buf_append(&b, pattern, 200));
    assert_int_equal(pools.small.out, 2);
    assert_int_equal(pools.large.out, 0);
    assert_true(lh_buf_append(&b, pattern, 10000));
    assert_int_equal(pools.large.out, 3);
    assert_true(lh_buf_append(&b, pattern, 4000)); /* in one large block more */
    assert_true(lh_buf_append(&b, pattern, 200));
    assert_int_equal(pools.small.out, 2);
    lh_buf_clear(&b);
    assert_true(lh_buf_append(&b, pattern, 4000));
    assert_int_equal(pools.small.out, 0);
    assert_int_equal(pools.large.out, 1);
    lh_buf_clear(&b);
}

static void test_no_memory_changes_nothing(void **state)
{
    struct lh_buf b;
    static uint8_t out[BYTES];

    (void)state;
    lh_buf_pools_deinit(&pools); /* no block is kept */
    lh_buf_pools_init(&pools, 0);
    lh_buf_init(&b, &pools);
    assert_true(lh_buf_append(&b, pattern, 100));
    for (unsigned long n = 1; n <= 3; n++) {
        test_heap_fail_at(n);
        assert_false(lh_buf_append(&b, pattern + 100, 3 * 4082));
        assert_int_equal(b.n, 100);
        assert_int_equal(lh_buf_pools_out(&pools), 1);
    }
    test_heap_fail_at(0);
    assert_true(lh_buf_append(&b, pattern + 100, 3 * 4082));
    assert_int_equal(lh_buf_take(&b, out, BYTES), 100 + 3 * 4082);
    assert_memory_equal(out, pattern, 100 + 3 * 4082);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_in_and_out),
        cmocka_unit_test(test_peek_and_drop),
        cmocka_unit_test(test_sizes_of_blocks),
        cmocka_unit_test(test_no_memory_changes_nothing),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
