/* The allocation hook and pools. */
#include "base/mem.h"

#include "lib/heap.h"

#include <stdint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_allocations(void **state)
{
    static const char zeroes[12];

    (void)state;
    char *p = lh_alloc(0); /* not NULL, which would be out of memory */
    assert_non_null(p);
    p = lh_realloc(p, 3);
    memcpy(p, "ab", 3);
    p = lh_realloc(p, 10000);
    assert_string_equal(p, "ab");
    assert_int_equal(test_heap_live(), 1);
    p = lh_realloc(p, 0);
    assert_non_null(p);
    lh_free(p);
    lh_free(NULL);
    p = lh_calloc(3, 4);
    assert_memory_equal(p, zeroes, 12);
    lh_free(p);
    p = lh_calloc(0, 4);
    assert_non_null(p);
    lh_free(p);
    p = lh_calloc(4, 0);
    assert_non_null(p);
    lh_free(p);
    assert_null(lh_calloc(SIZE_MAX / 2, 3));
    assert_null(lh_calloc(SIZE_MAX / 4 + 2, 4)); /* 4, taken modulo */
    p = lh_memdup("a\0b", 3);
    assert_memory_equal(p, "a\0b", 3);
    lh_free(p);
    p = lh_memdup(NULL, 0);
    assert_non_null(p);
    lh_free(p);
    p = lh_strdup("word");
    assert_string_equal(p, "word");
    lh_free(p);
    assert_int_equal(test_heap_live(), 0);
}

static void test_failures(void **state)
{
    (void)state;
    char *p = lh_strdup("kept");
    test_heap_fail_at(1);
    assert_null(lh_alloc(1));
    test_heap_fail_at(1);
    assert_null(lh_calloc(1, 1));
    test_heap_fail_at(1);
    assert_null(lh_strdup("x"));
    test_heap_fail_at(1);
    assert_null(lh_memdup("x", 1));
    test_heap_fail_at(1);
    assert_null(lh_realloc(p, 100));
    assert_string_equal(p, "kept");
    lh_free(p);
    test_heap_fail_at(2);
    p = lh_alloc(1);
    assert_non_null(p);
    assert_null(lh_alloc(1));
    lh_free(p);
    assert_int_equal(test_heap_count(), 2);
    p = lh_alloc(1); /* it fails once only */
    assert_non_null(p);
    lh_free(p);
}

static void test_pool_keeps_some(void **state)
{
    struct lh_pool pool;
    void *blocks[5];

    (void)state;
    lh_pool_init(&pool, 64, 2);
    for (int i = 0; i < 5; i++) {
        blocks[i] = lh_pool_take(&pool);
        assert_non_null(blocks[i]);
        memset(blocks[i], i, 64);
    }
    assert_int_equal(pool.out, 5);
    assert_int_equal(test_heap_live(), 5);
    for (int i = 0; i < 5; i++)
        lh_pool_give(&pool, blocks[i]);
    assert_int_equal(pool.out, 0);
    assert_int_equal(pool.kept, 2);
    assert_int_equal(test_heap_live(), 2);
    test_heap_fail_at(1);
    blocks[0] = lh_pool_take(&pool);
    blocks[1] = lh_pool_take(&pool);
    assert_non_null(blocks[0]);
    assert_non_null(blocks[1]);
    assert_ptr_not_equal(blocks[0], blocks[1]);
    assert_null(lh_pool_take(&pool)); /* no block is kept, none to be had */
    assert_int_equal(pool.out, 2);
    lh_pool_give(&pool, blocks[0]);
    lh_pool_give(&pool, blocks[1]);
    lh_pool_deinit(&pool);
    assert_int_equal(test_heap_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_pool_keeps_some),
    };

    return cmocka_run_group_tests(tests, test_heap_set_up, test_heap_tear_down);
}
