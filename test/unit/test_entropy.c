/* Random bytes. */
#include "os/entropy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_two_differ(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    assert_int_equal(lh_entropy(a, sizeof(a)), 0);
    assert_int_equal(lh_entropy(b, sizeof(b)), 0);
    assert_memory_not_equal(a, b, sizeof(a));
}

/* The kernel gives at most 256 bytes without interruption. */
static void test_many_bytes(void **state)
{
    static uint8_t many[100000];
    unsigned counts[256] = {0};

    (void)state;
    many[sizeof(many) - 1] = 0;
    assert_int_equal(lh_entropy(many, sizeof(many)), 0);
    for (size_t i = 0; i < sizeof(many); i++)
        counts[many[i]]++;
    for (int i = 0; i < 256; i++) /* 390 expected; 195 is ten deviations */
        assert_in_range(counts[i], 195, 590);
}

static void test_nothing_and_bad_memory(void **state)
{
    uint8_t byte = 7;

    (void)state;
    assert_int_equal(lh_entropy(&byte, 0), 0);
    assert_int_equal(byte, 7);
    assert_true(lh_entropy(NULL, 1) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_differ),
        cmocka_unit_test(test_many_bytes),
        cmocka_unit_test(test_nothing_and_bad_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
