/* The three forms of dates in fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/date.h"
#include "os/clock.h"

#define NOW_S INT64_C(1790000000) /* in 2026 */
#define BAD   INT64_MIN

static int64_t parse(const char *text)
{
    int64_t s;

    return lh_date_parse(lh_str_of(text), NOW_S, &s) ? s : BAD;
}

static void three_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    assert_int_equal(parse("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    assert_int_equal(parse("Sun Nov  6 08:49:37 1994"), 784111777);
    assert_int_equal(parse("Wed Nov 16 08:49:37 1994"), 784975777);
    assert_int_equal(parse("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    assert_int_equal(parse("Thu, 29 Feb 2024 23:59:60 GMT"), 1709251199);
    assert_int_equal(parse("Wed, 31 Dec 1969 23:59:59 GMT"), -1);
}

/* RFC 9110, 5.6.7: more than 50 years ahead is in the past. */
static void centuries(void **state)
{
    (void)state;
    assert_int_equal(parse("Friday, 01-Jan-27 00:00:00 GMT"), 1798761600);
    assert_int_equal(parse("Wednesday, 01-Jan-76 00:00:00 GMT"),
                     parse("Wed, 01 Jan 2076 00:00:00 GMT"));
    assert_int_equal(parse("Saturday, 01-Jan-77 00:00:00 GMT"),
                     parse("Sat, 01 Jan 1977 00:00:00 GMT"));
}

static void no_dates(void **state)
{
    static const char *const bad[] = {
        "",
        "0",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i]) != BAD)
            fail_msg("%s", bad[i]);
    }
}

/* What we write we read. */
static void there_and_back(void **state)
{
    char text[30];

    (void)state;
    for (int64_t s = -62135596800; s < 253402300800; s += 86399 * 7) {
        lh_clock_imf_date(s, text);
        assert_int_equal(parse(text), s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_forms),
        cmocka_unit_test(centuries),
        cmocka_unit_test(no_dates),
        cmocka_unit_test(there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
