/* Status codes and their pages. */
#include "http/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Two of each class, at its ends, from RFC 9110, 15 and IANA's registry. */
static void test_phrases(void **state)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } cases[] = {
        {100, "Continue"},
        {103, "Early Hints"},
        {200, "OK"},
        {206, "Partial Content"},
        {226, "IM Used"},
        {300, "Multiple Choices"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {413, "Content Too Large"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {505, "HTTP Version Not Supported"},
        {511, "Network Authentication Required"},
        {0, ""},
        {99, ""},
        {104, ""},
        {299, ""},
        {306, ""},
        {418, ""},
        {452, ""},
        {512, ""},
        {600, ""},
        {4294967295u, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(lh_status_phrase(cases[i].status), cases[i].phrase);
}

static void test_no_body(void **state)
{
    (void)state;
    assert_true(lh_status_has_no_body(100));
    assert_true(lh_status_has_no_body(204));
    assert_true(lh_status_has_no_body(304));
    assert_false(lh_status_has_no_body(200));
    assert_false(lh_status_has_no_body(205));
    assert_false(lh_status_has_no_body(404));
}

static void test_page(void **state)
{
    (void)state;
    for (unsigned status = 0; status < 1000; status++) {
        struct lh_str page = lh_status_page(status);
        assert_in_range(page.n, 100, 400);
        assert_int_equal(strlen(page.p), page.n);
    }
    assert_non_null(
        strstr(lh_status_page(404).p, "<title>404 Not Found</title>"));
    assert_non_null(strstr(lh_status_page(499).p, "<title>Error</title>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phrases),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
