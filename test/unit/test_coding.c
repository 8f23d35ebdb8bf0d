/* What accept-encoding asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/coding.h"

#include <stdio.h>

/* "br gzip", in the order in which they are tried. */
static const char *order_of(const char *value)
{
    static char text[64];
    struct lh_field field = {LH_STR("accept-encoding"), lh_str_of(value)};
    struct lh_fields fields = {.v = &field, .n = value != NULL};
    struct lh_coding_wishes wishes;
    enum lh_coding order[LH_CODINGS];
    size_t at = 0;

    lh_coding_read(&wishes, &fields);
    assert_true(wishes.asked == (value != NULL));
    unsigned n = lh_coding_order(&wishes, order);
    text[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s",
                               i ? " " : "", (int)lh_coding_name(order[i]).n,
                               lh_coding_name(order[i]).p);
    return text;
}

static void values(void **state)
{
    static const struct {
        const char *value, *order;
    } cases[] = {
        {NULL, ""},
        {"", ""},
        {"gzip", "gzip"},
        {"gzip, deflate, br", "br gzip"},
        {"gzip;q=1.0, br;q=0.5", "gzip br"},
        {"br;q=0.5,gzip;q=0.501", "gzip br"},
        {"GZIP ; Q=0.3", "gzip"},
        {"x-gzip", "gzip"},
        {"gzip;q=0", ""},
        {"gzip;q=0.000, br", "br"},
        {"*", "br gzip"},
        {"*;q=0.1", "br gzip"},
        {"*, br;q=0", "gzip"},
        {"*;q=0, gzip", "gzip"},
        {"identity", ""},
        {"identity, gzip;q=0.5", ""},
        {"identity;q=0.5, gzip;q=0.5", "gzip"},
        {"identity;q=0", ""},
        {"identity;q=0, gzip;q=0.001", "gzip"},
        {"gzip;q=0.001", "gzip"},
        {"deflate", ""},
        {"gzipped, brr", ""},
        /* What is no weight is none. */
        {"gzip;q=", ""},
        {"gzip;q=2", ""},
        {"gzip;q=1.001", ""},
        {"gzip;q=0.1234", ""},
        {"gzip;q=-1", ""},
        {"gzip;q=0,5", ""},
        {"gzip;level=3", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *order = order_of(cases[i].value);
        if (strcmp(order, cases[i].order) != 0)
            fail_msg("%s -> %s, not %s", cases[i].value, order, cases[i].order);
    }
}

static void several_lines(void **state)
{
    struct lh_field v[] = {{LH_STR("accept-encoding"), LH_STR("br;q=0.1")},
                           {LH_STR("accept"), LH_STR("gzip")},
                           {LH_STR("accept-encoding"), LH_STR("gzip")}};
    struct lh_fields fields = {.v = v, .n = 3};
    struct lh_coding_wishes wishes;
    enum lh_coding order[LH_CODINGS];

    (void)state;
    lh_coding_read(&wishes, &fields);
    assert_int_equal(lh_coding_order(&wishes, order), 2);
    assert_int_equal(order[0], LH_CODING_GZIP);
    assert_true(lh_str_equal(lh_coding_suffix(order[0]), LH_STR(".gz")));
    assert_true(lh_str_equal(lh_coding_suffix(order[1]), LH_STR(".br")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(several_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
