/* Memory that is freed all at once. */
#include "base/arena.h"

#include "base/mem.h"
#include "lib/heap.h"

#include <stdalign.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char storage[256];

static void test_first_block_allocates_nothing(void **state)
{
    struct lh_arena a;

    (void)state;
    lh_arena_init(&a, NULL, storage, sizeof(storage));
    struct lh_str s = lh_arena_copy(&a, "abc", 3);
    assert_memory_equal(s.p, "abc", 3);
    char *p = lh_arena_alloc(&a, 100);
    assert_true(p >= storage && p + 100 <= storage + sizeof(storage));
    assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
    assert_non_null(lh_arena_copy(&a, "", 0).p);
    assert_int_equal(test_heap_count(), 0);
    lh_arena_reset(&a);
    assert_ptr_equal(lh_arena_copy(&a, "x", 1).p, storage);
    lh_arena_reset(&a);
}

static void test_pieces_stay_and_are_aligned(void **state)
{
    struct lh_arena a;
    uint8_t *pieces[300];

    (void)state;
    lh_arena_init(&a, NULL, storage + 1, sizeof(storage) - 1);
    for (size_t i = 0; i < 300; i++) {
        pieces[i] = lh_arena_alloc(&a, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 0xff), i);
        assert_non_null(lh_arena_copy(&a, "z", 1).p);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], i & 0xff);
    }
    lh_arena_reset(&a);
    assert_int_equal(test_heap_live(), 0);
}

static void test_large_pieces(void **state)
{
    struct lh_arena a;

    (void)state;
    lh_arena_init(&a, NULL, storage, sizeof(storage));
    char *p = lh_arena_alloc(&a, 1 << 20);
    assert_non_null(p);
    memset(p, 1, 1 << 20);
    assert_null(lh_arena_alloc(&a, SIZE_MAX));
    assert_null(lh_arena_alloc(&a, SIZE_MAX / 2));
    lh_arena_reset(&a);
}

/* An owner without storage of its own. */
static void test_no_storage(void **state)
{
    struct lh_arena a;
    char *grown = NULL;

    (void)state;
    lh_arena_init(&a, NULL, NULL, 0);
    assert_non_null(lh_arena_copy(&a, "", 0).p); /* NULL is out of memory */
    lh_arena_reset(&a);
    assert_non_null(lh_arena_alloc(&a, 0));
    lh_arena_reset(&a);
    assert_true(lh_arena_grow(&a, &grown, 0, 4));
    memcpy(grown, "abcd", 4);
    lh_arena_reset(&a);
}

static void test_grow(void **state)
{
    struct lh_arena a;
    char *p = NULL;
    size_t n = 0;

    (void)state;
    lh_arena_init(&a, NULL, storage, sizeof(storage));
    test_heap_fail_at(0); /* counts anew */
    for (; n < 20000; n++) {
        assert_true(lh_arena_grow(&a, &p, n, 1));
        p[n] = (char)('a' + n % 26);
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], 'a' + i % 26);
    assert_true(test_heap_count() < 10); /* it doubles */
    /* No longer the newest piece: it moves, what follows it stays. */
    struct lh_str after = lh_arena_copy(&a, "after", 5);
    char *old = p;
    assert_true(lh_arena_grow(&a, &p, n, 5));
    memcpy(p + n, "added", 5);
    assert_ptr_not_equal(p, old);
    assert_memory_equal(after.p, "after", 5);
    assert_int_equal(p[0], 'a');
    assert_false(lh_arena_grow(&a, &p, n, SIZE_MAX));
    assert_false(lh_arena_grow(&a, &p, n, SIZE_MAX / 4));
    lh_arena_reset(&a);
}

static void test_no_memory(void **state)
{
    struct lh_arena a;
    char *p = NULL;

    (void)state;
    lh_arena_init(&a, NULL, storage, sizeof(storage));
    assert_true(lh_arena_grow(&a, &p, 0, 200));
    test_heap_fail_at(1);
    assert_null(lh_arena_alloc(&a, 300));
    test_heap_fail_at(1);
    assert_null(lh_arena_copy(&a, storage, 100).p);
    test_heap_fail_at(1);
    char *old = p;
    assert_false(lh_arena_grow(&a, &p, 200, 100));
    assert_ptr_equal(p, old);
    /* What is left can be used still. */
    assert_true(lh_arena_grow(&a, &p, 200, 56));
    assert_ptr_equal(p, old);
    test_heap_fail_at(0);
    assert_non_null(lh_arena_alloc(&a, 300));
    lh_arena_reset(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_block_allocates_nothing),
        cmocka_unit_test(test_pieces_stay_and_are_aligned),
        cmocka_unit_test(test_large_pieces),
        cmocka_unit_test(test_no_storage),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, test_heap_set_up, test_heap_tear_down);
}
