/* Range requests, by RFC 9110, 14. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/range.h"

#include <stdio.h>

/* "whole", "416", or "from+n from+n". */
static const char *parse(const char *value, uint64_t length)
{
    static char text[512];
    struct lh_field field = {LH_STR("range"), lh_str_of(value)};
    struct lh_fields fields = {.v = &field, .n = 1};
    struct lh_ranges ranges;
    size_t at = 0;

    switch (lh_ranges_parse(&ranges, &fields, length)) {
    case LH_RANGE_WHOLE:
        assert_int_equal(ranges.n, 0);
        return "whole";
    case LH_RANGE_UNSATISFIABLE:
        assert_int_equal(ranges.n, 0);
        return "416";
    case LH_RANGE_PARTS:
        break;
    }
    for (unsigned i = 0; i < ranges.n; i++)
        at +=
            (size_t)snprintf(text + at, sizeof(text) - at, "%s%llu+%llu",
                             i ? " " : "", (unsigned long long)ranges.v[i].from,
                             (unsigned long long)ranges.v[i].n);
    return text;
}

static void values(void **state)
{
    static const struct {
        const char *value;
        uint64_t length;
        const char *result;
    } cases[] = {
        {"bytes=0-499", 10000, "0+500"},
        {"bytes=500-999", 10000, "500+500"},
        {"bytes=-500", 10000, "9500+500"},
        {"bytes=9500-", 10000, "9500+500"},
        {"bytes=0-", 10000, "0+10000"},
        {"bytes=0-0", 10000, "0+1"},
        {"bytes=9999-9999", 10000, "9999+1"},
        {"bytes=0-0,-1", 10000, "0+1 9999+1"},
        {"bytes=500-600,601-999", 10000, "500+101 601+399"},
        {"bytes=601-999, 500-600", 10000, "601+399 500+101"},
        {"Bytes=1-2", 10, "1+2"},
        {"bytes= 1-2 ,, 4-5", 10, "1+2 4+2"},
        /* Past the end. */
        {"bytes=0-99999", 10, "0+10"},
        {"bytes=-99999", 10, "0+10"},
        {"bytes=0-99999999999999999999999", 10, "0+10"},
        {"bytes=-99999999999999999999999", 10, "0+10"},
        {"bytes=10-", 10, "416"},
        {"bytes=10-20", 10, "416"},
        {"bytes=99999999999999999999999-", 10, "416"},
        {"bytes=-0", 10, "416"},
        {"bytes=10-,20-", 10, "416"},
        {"bytes=10-,1-2", 10, "1+2"},
        {"bytes=18446744073709551614-18446744073709551615", 10, "416"},
        /* Of nothing. */
        {"bytes=0-", 0, "416"},
        {"bytes=0-0", 0, "416"},
        {"bytes=-0", 0, "416"},
        {"bytes=-5", 0, "whole"},
        /* Mistakes are no ranges. */
        {"bytes=", 10, "whole"},
        {"bytes", 10, "whole"},
        {"", 10, "whole"},
        {"bytes=,", 10, "whole"},
        {"bytes=-", 10, "whole"},
        {"bytes=5", 10, "whole"},
        {"bytes=a-b", 10, "whole"},
        {"bytes=5-4", 10, "whole"},
        {"bytes=1-2-3", 10, "whole"},
        {"bytes=--5", 10, "whole"},
        {"bytes=1 -2", 10, "whole"},
        {"bytes=1-2;3-4", 10, "whole"},
        {"bytes=+1-2", 10, "whole"},
        {"bytes=0x1-2", 10, "whole"},
        {"bytes =1-2", 10, "whole"},
        {"bytes=1-2,x", 10, "whole"},
        {"lines=1-2", 10, "whole"},
        {"octets=1-2", 10, "whole"},
        /* Too much. */
        {"bytes=0-5,3-8", 10, "whole"},
        {"bytes=0-,0-", 10, "whole"},
        {"bytes=0-0,-10", 10, "whole"},
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,"
         "24-24,26-26,28-28,30-30",
         100,
         "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1 16+1 18+1 20+1 22+1 24+1 26+1 "
         "28+1 30+1"},
        {"bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,"
         "24-24,26-26,28-28,30-30,32-32",
         100, "whole"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *result = parse(cases[i].value, cases[i].length);
        if (strcmp(result, cases[i].result) != 0)
            fail_msg("%s of %llu -> %s, not %s", cases[i].value,
                     (unsigned long long)cases[i].length, result,
                     cases[i].result);
    }
}

static void lines(void **state)
{
    struct lh_field v[] = {{LH_STR("range"), LH_STR("bytes=0-1")},
                           {LH_STR("range"), LH_STR("bytes=3-4")}};
    struct lh_fields fields = {.v = v, .n = 2};
    struct lh_ranges ranges;

    (void)state;
    assert_int_equal(lh_ranges_parse(&ranges, &fields, 10), LH_RANGE_WHOLE);
    fields.n = 0;
    assert_int_equal(lh_ranges_parse(&ranges, &fields, 10), LH_RANGE_WHOLE);
}

static void content_range(void **state)
{
    char out[LH_CONTENT_RANGE_BYTES];
    struct lh_range part = {5, 10}, none = {0, 0};
    struct lh_range last = {UINT64_MAX - 9, 9};

    (void)state;
    assert_int_equal(lh_content_range(out, part, 100), 14);
    assert_memory_equal(out, "bytes 5-14/100", 14);
    assert_int_equal(lh_content_range(out, none, 100), 11);
    assert_memory_equal(out, "bytes */100", 11);
    assert_true(lh_content_range(out, last, UINT64_MAX) <= sizeof(out));
}

static void delimiters(void **state)
{
    struct lh_arena a;
    struct lh_range part = {0, 1};
    struct lh_str s;
    const char first[] = "\r\n--xyz\r\ncontent-type: text/plain\r\n"
                         "content-range: bytes 0-0/9\r\n\r\n";

    (void)state;
    lh_arena_init(&a, NULL, NULL, 0);
    s = lh_range_delimiter(&a, LH_STR("xyz"), LH_STR("text/plain"), &part, 9);
    assert_true(lh_str_equal(s, LH_STR(first)));
    s = lh_range_delimiter(&a, LH_STR("xyz"), LH_STR("text/plain"), NULL, 9);
    assert_true(lh_str_equal(s, LH_STR("\r\n--xyz--\r\n")));
    lh_arena_reset(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(lines),
        cmocka_unit_test(content_range),
        cmocka_unit_test(delimiters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
