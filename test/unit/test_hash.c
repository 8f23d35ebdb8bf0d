/* The keyed hash, by the vectors of its authors. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The key is the octets 0 to 15, the input the first n of 0, 1, 2... */
static void test_known_answers(void **state)
{
    static const struct {
        size_t n;
        uint64_t hash;
    } known[] = {
        {0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},
        {7, 0xab0200f58b01d137},  {8, 0x93f5f5799a932462},
        {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572},
    };
    struct lh_hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
    char input[64];

    (void)state;
    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (char)i;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        assert_true(lh_hash(&key, (struct lh_str){input, known[i].n}) ==
                    known[i].hash);
}

static void test_the_key_matters(void **state)
{
    struct lh_hash_key a = {{1, 2}}, b = {{1, 3}};
    struct lh_str absent = {NULL, 0};

    (void)state;
    assert_true(lh_hash(&a, absent) == lh_hash(&a, LH_STR("")));
    assert_true(lh_hash(&a, LH_STR("x")) != lh_hash(&b, LH_STR("x")));
    assert_true(lh_hash(&a, LH_STR("x")) != lh_hash(&a, LH_STR("x\0y")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_the_key_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
