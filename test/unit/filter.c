/*
 * A part of every unit test: the environment variable CMOCKA_TEST_FILTER names
 * the test functions to run, with * and ? as in file names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

__attribute__((constructor)) static void take_filter(void)
{
    const char *pattern = getenv("CMOCKA_TEST_FILTER");

    if (pattern)
        cmocka_set_test_filter(pattern);
}
