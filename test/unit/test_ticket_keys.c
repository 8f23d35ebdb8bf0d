/* Keys of session tickets: their periods, and threads that share them. */
#include "net/ticket_keys.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HOUR ((uint64_t)3600 * 1000)

static struct lh_ticket_keys *keys;

static int set_up(void **state)
{
    (void)state;
    keys = lh_ticket_keys_new();
    return keys ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    lh_ticket_keys_free(keys);
    return 0;
}

static void one_for_twelve_hours(void **state)
{
    struct lh_ticket_key a, b;

    (void)state;
    assert_true(lh_ticket_keys_now(keys, 1 * HOUR, &a));
    assert_true(lh_ticket_keys_now(keys, 11 * HOUR, &b));
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(lh_ticket_keys_now(keys, 12 * HOUR, &b));
    assert_memory_not_equal(a.name, b.name, sizeof(a.name));
    assert_memory_not_equal(a.cipher, b.cipher, sizeof(a.cipher));
    assert_memory_not_equal(a.mac, b.mac, sizeof(a.mac));
}

static bool finds(uint64_t hour, const struct lh_ticket_key *key)
{
    struct lh_ticket_key found;

    if (!lh_ticket_keys_find(keys, hour * HOUR, key->name, &found))
        return false;
    assert_memory_equal(&found, key, sizeof(found));
    return true;
}

static void the_last_two_are_good(void **state)
{
    struct lh_ticket_key first, second, third, none = {.name = {1}};

    (void)state;
    assert_false(finds(0, &none));
    memset(&none, 0, sizeof(none));
    assert_false(finds(0, &none)); /* an empty slot is no key */
    assert_true(lh_ticket_keys_now(keys, 0, &first));
    assert_true(finds(0, &first));
    assert_true(finds(23, &first));
    assert_false(finds(24, &first)); /* though nobody has made another */
    assert_true(lh_ticket_keys_now(keys, 12 * HOUR, &second));
    assert_true(finds(12, &first));
    assert_true(finds(12, &second));
    assert_true(finds(11, &second)); /* a worker whose clock is behind */
    assert_true(lh_ticket_keys_now(keys, 24 * HOUR, &third));
    assert_false(finds(24, &first));
    assert_true(finds(24, &second));
    assert_true(finds(24, &third));
}

static atomic_bool differs;

/* Time goes on in each thread at its own pace. */
static void *use(void *unused)
{
    struct lh_ticket_key key, found;

    (void)unused;
    for (uint64_t hour = 0; hour < 20000; hour++) {
        if (!lh_ticket_keys_now(keys, hour * HOUR, &key))
            continue;
        if (lh_ticket_keys_find(keys, hour * HOUR, key.name, &found) &&
            memcmp(&key, &found, sizeof(key)) != 0)
            differs = true;
    }
    return NULL;
}

static void threads_see_whole_keys(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_false(differs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_for_twelve_hours, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_last_two_are_good, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(threads_see_whole_keys, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("ticket_keys", tests, NULL, NULL);
}
