/* Errors in words. */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_set(void **state)
{
    struct lh_err err;

    (void)state;
    assert_int_equal(lh_err_set(&err, LHTTPD_ECERT, "key %d of '%s'", 2, "x"),
                     LHTTPD_ECERT);
    assert_string_equal(err.text, "key 2 of 'x'");
    assert_int_equal(lh_err_memory(&err), LHTTPD_ENOMEM);
    assert_string_equal(err.text, "out of memory");
}

static void test_prefix(void **state)
{
    struct lh_err err;

    (void)state;
    lh_err_set(&err, LHTTPD_ECERT, "no key");
    lh_err_prefix(&err, "x.pem");
    assert_string_equal(err.text, "x.pem: no key");
    lh_err_prefix(&err, "certificate");
    assert_string_equal(err.text, "certificate: x.pem: no key");
}

static void test_overlong_is_cut(void **state)
{
    char longer[2 * LH_ERR_TEXT_BYTES];
    struct lh_err err;

    (void)state;
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    lh_err_set(&err, LHTTPD_EINVAL, "%s", longer);
    assert_int_equal(strlen(err.text), LH_ERR_TEXT_BYTES - 1);
    lh_err_prefix(&err, "what");
    assert_int_equal(strlen(err.text), LH_ERR_TEXT_BYTES - 1);
    assert_memory_equal(err.text, "what: aaa", 9);
    lh_err_prefix(&err, longer);
    assert_int_equal(strlen(err.text), LH_ERR_TEXT_BYTES - 1);
    assert_memory_equal(err.text, "aaa", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_overlong_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
