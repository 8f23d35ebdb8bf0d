/* Handles: taken once, whoever comes first; never for another object. */
#include "base/handle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_once(void **state)
{
    int a, b;
    uintptr_t first = lh_handle_new(&a);

    (void)state;
    assert_true(first != 0);
    assert_ptr_equal(lh_handle_take(first), &a);
    assert_null(lh_handle_take(first));
    uintptr_t second = lh_handle_new(&b); /* in the same place */
    assert_true(second != first);
    assert_null(lh_handle_take(first));
    assert_ptr_equal(lh_handle_take(second), &b);
}

/* Any number may come. */
static void test_no_handle(void **state)
{
    const uintptr_t none[] = {0,
                              1,
                              LH_HANDLES_MAX - 1,
                              LH_HANDLES_MAX,
                              UINTPTR_MAX,
                              (uintptr_t)&none};

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_null(lh_handle_take(none[i]));
}

static void test_all(void **state)
{
    static uintptr_t handles[LH_HANDLES_MAX];

    (void)state;
    for (uintptr_t i = 0; i < LH_HANDLES_MAX; i++) {
        handles[i] = lh_handle_new((void *)(i + 1));
        assert_true(handles[i] != 0);
    }
    assert_int_equal(lh_handle_new(handles), 0);
    for (uintptr_t i = 0; i < LH_HANDLES_MAX; i++)
        assert_ptr_equal(lh_handle_take(handles[i]), (void *)(i + 1));
    uintptr_t handle = lh_handle_new(handles);
    assert_ptr_equal(lh_handle_take(handle), handles);
}

/* --- threads -------------------------------------------------------------- */

#define TAKERS 3
#define ROUNDS 20000

static _Atomic uintptr_t shown;
static _Atomic long got;
static _Atomic int over;

static void *take_what_is_shown(void *arg)
{
    long mine = 0;

    (void)arg;
    while (!atomic_load(&over))
        mine += lh_handle_take(atomic_load(&shown)) != NULL;
    atomic_fetch_add(&got, mine);
    return NULL;
}

/* Each is taken by one: by a thread, or by who has made it. */
static void test_threads(void **state)
{
    pthread_t takers[TAKERS];
    long own = 0;

    (void)state;
    for (int i = 0; i < TAKERS; i++)
        pthread_create(&takers[i], NULL, take_what_is_shown, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        uintptr_t handle = lh_handle_new(&own);
        assert_true(handle != 0);
        atomic_store(&shown, handle);
        own += lh_handle_take(handle) != NULL;
    }
    atomic_store(&over, 1);
    for (int i = 0; i < TAKERS; i++)
        pthread_join(takers[i], NULL);
    assert_int_equal(own + atomic_load(&got), ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_no_handle),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
