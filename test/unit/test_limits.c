/* Limits, their names and their defaults. */
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_defaults(void **state)
{
    lhttpd_limits_t l = lh_limits_resolve(NULL);

    (void)state;
    assert_int_equal(l.size, sizeof(l));
    /* As lhttpd.h says in its comments. */
    assert_int_equal(l.request_line_bytes, 8192);
    assert_int_equal(l.header_bytes, 32768);
    assert_int_equal(l.header_fields, 128);
    assert_int_equal(l.header_timeout_ms, 10000);
    assert_int_equal(l.chunk_line_bytes, 256);
    assert_int_equal(l.trailer_bytes, 8192);
    assert_true(l.body_bytes == LHTTPD_UNLIMITED);
    assert_int_equal(l.body_timeout_ms, 30000);
    assert_int_equal(l.body_rate, 500);
    assert_int_equal(l.send_timeout_ms, 30000);
    assert_int_equal(l.idle_timeout_ms, 60000);
    assert_int_equal(l.linger_timeout_ms, 30000);
    assert_int_equal(l.linger_bytes, 65536);
    assert_int_equal(l.handshake_timeout_ms, 10000);
    assert_true(l.connection_requests == LHTTPD_UNLIMITED);
    assert_int_equal(l.connections, 0); /* depends on the process */
    assert_int_equal(l.stream_buffer_bytes, 65536);
    assert_int_equal(l.connection_buffer_bytes, 262144);
    assert_int_equal(l.handler_run_ms, 5000);
    assert_true(l.vm_memory_bytes == LHTTPD_UNLIMITED);
    assert_int_equal(l.h2_streams, 128);
    assert_int_equal(l.h2_continuations, 8);
    assert_int_equal(l.h2_useless, 1000);
    assert_int_equal(l.h2_useless_refill, 100);
    assert_int_equal(l.h2_queued_reply_bytes, 65536);
    assert_int_equal(l.h2_settings, 32);
    assert_int_equal(l.hpack_table_bytes, 4096);
    assert_int_equal(l.linger_idle_ms, 5000);
}

static void test_given_ones_stay(void **state)
{
    lhttpd_limits_t given = lhttpd_limits_init();

    (void)state;
    given.header_fields = 5;
    given.hpack_table_bytes = LHTTPD_UNLIMITED;
    lhttpd_limits_t l = lh_limits_resolve(&given);
    assert_int_equal(l.header_fields, 5);
    assert_true(l.hpack_table_bytes == LHTTPD_UNLIMITED);
    assert_int_equal(l.header_bytes, 32768);
    /* A program built with fewer limits: beyond its size nothing is read. */
    given.header_bytes = 77;
    given.size = offsetof(lhttpd_limits_t, header_fields);
    l = lh_limits_resolve(&given);
    assert_int_equal(l.header_bytes, 77);
    assert_int_equal(l.header_fields, 128);
    assert_int_equal(l.size, sizeof(l));
    /* And one built with more. */
    given.size = sizeof(given) + 800;
    l = lh_limits_resolve(&given);
    assert_int_equal(l.header_fields, 5);
    assert_int_equal(l.size, sizeof(l));
}

/* Each name sets its own field, and no field lacks a name. */
static void test_names(void **state)
{
    const size_t fields = (sizeof(lhttpd_limits_t) -
                           offsetof(lhttpd_limits_t, request_line_bytes)) /
                          sizeof(uint64_t);
    unsigned n = 0;

    (void)state;
    for (; lhttpd_limits_name(n); n++) {
        lhttpd_limits_t l = lhttpd_limits_init();
        const uint64_t *field = &l.request_line_bytes;
        assert_int_equal(lhttpd_limits_set(&l, lhttpd_limits_name(n), "7"), 0);
        for (size_t i = 0; i < fields; i++)
            assert_int_equal(field[i], i == n ? 7 : 0);
    }
    assert_int_equal(n, fields);
    assert_null(lhttpd_limits_name(n + 1));
    assert_string_equal(lhttpd_limits_name(0), "request_line_bytes");
}

static void test_values(void **state)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "1k",
                                      "18446744073709551615",
                                      "18446744073709551616",
                                      "Unlimited",
                                      "99999999999999999999999"};
    lhttpd_limits_t l = lhttpd_limits_init();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(lhttpd_limits_set(&l, "header_bytes", bad[i]),
                         LHTTPD_EINVAL);
    assert_int_equal(l.header_bytes, 0);
    assert_int_equal(
        lhttpd_limits_set(&l, "header_bytes", "18446744073709551614"), 0);
    assert_true(l.header_bytes == LHTTPD_UNLIMITED - 1);
    assert_int_equal(lhttpd_limits_set(&l, "body_rate", "unlimited"), 0);
    assert_true(l.body_rate == LHTTPD_UNLIMITED);
    assert_int_equal(lhttpd_limits_set(&l, "size", "1"), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_limits_set(&l, "header", "1"), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_limits_set(NULL, "body_rate", "1"), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_limits_set(&l, NULL, "1"), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_limits_set(&l, "body_rate", NULL), LHTTPD_EINVAL);
    /* A field that the program's struct does not have. */
    l.size = offsetof(lhttpd_limits_t, body_rate) + 7;
    assert_int_equal(lhttpd_limits_set(&l, "body_rate", "1"), LHTTPD_EINVAL);
    assert_true(l.body_rate == LHTTPD_UNLIMITED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_given_ones_stay),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
