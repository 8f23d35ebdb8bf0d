/* The clocks, and the calendar at times that are known. */
#include "os/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void test_imf_dates(void **state)
{
    static const struct {
        int64_t unix_s;
        const char *date;
    } known[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110, 5.6.7 */
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
        {1000000000, "Sun, 09 Sep 2001 01:46:40 GMT"},
        {1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"},
        {2147483648, "Tue, 19 Jan 2038 03:14:08 GMT"},
        {4107542399, "Sun, 28 Feb 2100 23:59:59 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"}, /* no leap year */
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };
    char out[30];

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        memset(out, 'x', sizeof(out));
        lh_clock_imf_date(known[i].unix_s, out);
        assert_string_equal(out, known[i].date);
    }
}

static void test_iso_dates(void **state)
{
    char out[LH_CLOCK_ISO_BYTES];

    (void)state;
    lh_clock_iso_date(784111777, out);
    assert_string_equal(out, "1994-11-06T08:49:37Z");
    lh_clock_iso_date(-62167219200, out);
    assert_string_equal(out, "0000-01-01T00:00:00Z");
    lh_clock_iso_date(INT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59Z");
}

/* Every day of 500 years as the C library has it. */
static void test_calendar_as_libc(void **state)
{
    char ours[30], theirs[40];

    (void)state;
    for (int64_t day = -365 * 100; day < 365 * 400; day++) {
        time_t t = (time_t)(day * 86400 + (day * 7919) % 86400);
        struct tm tm;

        assert_non_null(gmtime_r(&t, &tm));
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        lh_clock_imf_date(t, ours);
        assert_string_equal(ours, theirs);
    }
}

static void test_clocks(void **state)
{
    uint64_t ns = lh_clock_ns(), ms = lh_clock_ms();
    int64_t now = (int64_t)time(NULL);

    (void)state;
    assert_true(ns > 0 && ms > 0);
    for (int i = 0; i < 10000; i++) {
        uint64_t next_ns = lh_clock_ns(), next_ms = lh_clock_ms();
        assert_true(next_ns >= ns && next_ms >= ms);
        ns = next_ns;
        ms = next_ms;
    }
    /* The same clock, to the kernel's tick; 1 s is generous. */
    assert_true(ms <= lh_clock_ns() / 1000000);
    assert_true(ms + 1000 > ns / 1000000);
    assert_true(lh_clock_unix_s() >= now - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_imf_dates),
        cmocka_unit_test(test_iso_dates),
        cmocka_unit_test(test_calendar_as_libc),
        cmocka_unit_test(test_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
