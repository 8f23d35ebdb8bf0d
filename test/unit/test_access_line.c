/* Lines of the access log: whatever a client sends, one line that tools read.
 */
#include "server/access_line.h"

#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* 2026-11-28 10:31:26.000042 UTC */
#define TIME_US INT64_C(1795861886000042)

static lhttpd_text_t text(const char *s)
{
    return (lhttpd_text_t){s, strlen(s)};
}

static lhttpd_access_t entry(void)
{
    return (lhttpd_access_t){
        .size = sizeof(lhttpd_access_t),
        .begun_unix_us = TIME_US,
        .header_us = 1500,
        .total_us = UINT64_MAX,
        .status = 200,
        .sent_bytes = 6,
        .protocol = "HTTP/1.1",
        .client = "192.0.2.1",
        .client_port = 49152,
        .server = "192.0.2.80",
        .server_port = 80,
        .prefix = "/",
        .method = text("GET"),
        .target = text("/a?b"),
        .authority = text("example.com"),
    };
}

/* The line, in memory of just the length that was promised to be enough. */
static char *line_with(enum lh_access_format format, const lhttpd_access_t *e,
                       struct lh_str ends)
{
    struct lh_access_dates dates = {0};
    size_t most = lh_access_line_most(format, e, ends);
    char *line = malloc(most);

    assert_non_null(line);
    size_t n = lh_access_line(line, format, e, ends, &dates);
    assert_true(n <= most && line[n - 1] == '\n');
    assert_null(memchr(line, '\n', n - 1));
    char *terminated = strndup(line, n - 1);
    free(line);
    assert_non_null(terminated);
    return terminated;
}

/* The same, whether what is alike in a connection's lines was kept or not. */
static char *line_of(enum lh_access_format format, const lhttpd_access_t *e)
{
    uint16_t bytes = 0;
    char *ends = lh_access_ends(e, &bytes);
    char *line = line_with(format, e, (struct lh_str){NULL, 0});
    char *again = line_with(format, e, (struct lh_str){ends, bytes});

    assert_string_equal(line, again);
    lh_free(ends);
    free(again);
    return line;
}

static void test_numbers(void **state)
{
    static const uint64_t numbers[] = {0,   9,   10,   99,   100,
                                       101, 999, 1000, 10001};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        lhttpd_access_t e = entry();
        char expected[40];
        e.received_bytes = numbers[i];
        snprintf(expected, sizeof(expected), "\"received_bytes\":%llu,",
                 (unsigned long long)numbers[i]);
        char *line = line_of(LH_ACCESS_JSON, &e);
        assert_non_null(strstr(line, expected));
        free(line);
    }
}

static void expect(enum lh_access_format format, const lhttpd_access_t *e,
                   const char *expected)
{
    char *line = line_of(format, e);

    assert_string_equal(line, expected);
    free(line);
}

static void test_common(void **state)
{
    lhttpd_access_t e = entry();

    (void)state;
    expect(LH_ACCESS_COMMON, &e,
           "192.0.2.1 - - [28/Nov/2026:10:31:26 +0000] \"GET /a?b HTTP/1.1\" "
           "200 6");
    e.status = 0;
    e.sent_bytes = 0;
    expect(LH_ACCESS_COMMON, &e,
           "192.0.2.1 - - [28/Nov/2026:10:31:26 +0000] \"GET /a?b HTTP/1.1\" "
           "499 0");
    e.target.p = NULL;
    e.target.bytes = 0;
    expect(LH_ACCESS_COMMON, &e,
           "192.0.2.1 - - [28/Nov/2026:10:31:26 +0000] \"GET - HTTP/1.1\" "
           "499 0");
    e.method.p = NULL;
    e.method.bytes = 0;
    expect(LH_ACCESS_COMMON, &e,
           "192.0.2.1 - - [28/Nov/2026:10:31:26 +0000] \"-\" 499 0");
}

static void test_combined(void **state)
{
    lhttpd_access_t e = entry();

    (void)state;
    expect(LH_ACCESS_COMBINED, &e,
           "192.0.2.1 - - [28/Nov/2026:10:31:26 +0000] \"GET /a?b HTTP/1.1\" "
           "200 6 \"-\" \"-\"");
    e.referrer = text("http://x/\"y\"");
    e.user_agent = text("a long and plain agent\n\\\x7f\xc3\xa4~ plain again");
    expect(LH_ACCESS_COMBINED, &e,
           "192.0.2.1 - - [28/Nov/2026:10:31:26 +0000] \"GET /a?b HTTP/1.1\" "
           "200 6 \"http://x/\\x22y\\x22\" "
           "\"a long and plain agent\\x0a\\x5c\\x7f\\xc3\\xa4~ plain again\"");
}

static void test_json(void **state)
{
    lhttpd_access_t e = entry();

    (void)state;
    expect(LH_ACCESS_JSON, &e,
           "{\"begun\":\"2026-11-28T10:31:26.000042Z\","
           "\"client\":\"192.0.2.1\",\"client_port\":49152,"
           "\"server\":\"192.0.2.80\",\"server_port\":80,"
           "\"protocol\":\"HTTP/1.1\",\"method\":\"GET\","
           "\"authority\":\"example.com\",\"target\":\"/a?b\","
           "\"prefix\":\"/\",\"status\":200,\"ending\":\"complete\","
           "\"sent_bytes\":6,\"received_bytes\":0,\"header_us\":1500,"
           "\"total_us\":18446744073709551615}");
    e = (lhttpd_access_t){
        .begun_unix_us = TIME_US,
        .ending = LHTTPD_ENDED_CUT,
        .protocol = "HTTP/2.0",
        .client = "unix",
        .server = "unix",
        .tls_protocol = "TLSv1.2",
        .tls_cipher = "C",
        .tls_server_name = "",
        .user_agent = {"\0\x1f\"\\\xc3\xa4\xff\xe2\x82", 9},
    };
    expect(LH_ACCESS_JSON, &e,
           "{\"begun\":\"2026-11-28T10:31:26.000042Z\",\"client\":\"unix\","
           "\"server\":\"unix\",\"tls_protocol\":\"TLSv1.2\","
           "\"tls_cipher\":\"C\",\"tls_server_name\":\"\","
           "\"protocol\":\"HTTP/2.0\",\"status\":0,\"ending\":\"cut\","
           "\"sent_bytes\":0,\"received_bytes\":0,\"header_us\":0,"
           "\"total_us\":0,\"user_agent\":"
           "\"\\u0000\\u001f\\\"\\\\\xc3\xa4\\ufffd\\ufffd\\ufffd\"}");
}

/* An octet at each place of texts of each length up to two words and a bit:
 * what is not plain is never let through. */
static void check_octet(uint8_t c, size_t at, size_t n)
{
    bool stays = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    char agent[18];

    memset(agent, 'x', sizeof(agent));
    agent[at] = (char)c;
    lhttpd_access_t e = entry();
    e.user_agent = (lhttpd_text_t){agent, n};
    for (int f = LH_ACCESS_COMBINED; f <= LH_ACCESS_JSON; f++) {
        char *line = line_of((enum lh_access_format)f, &e);
        for (const char *p = line; *p; p++)
            assert_true((uint8_t)*p >= 0x20 && (uint8_t)*p < 0x7f);
        assert_int_equal(!strstr(line, "\\"), stays);
        free(line);
    }
}

static void test_each_octet(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++)
        for (size_t n = 1; n <= 18; n++)
            for (size_t at = 0; at < n; at++)
                check_octet((uint8_t)c, at, n);
}

/* All that a client can send, of the kind that becomes longest. */
static void test_long_texts(void **state)
{
    static char bytes[100000];
    lhttpd_access_t e = entry();

    (void)state;
    memset(bytes, '\x01', sizeof(bytes) - 1);
    e.prefix = e.tls_protocol = e.tls_cipher = e.tls_server_name = bytes;
    e.request_id = e.traceparent = e.method =
        (lhttpd_text_t){bytes, sizeof(bytes)};
    e.target = e.authority = e.referrer = e.user_agent =
        (lhttpd_text_t){bytes, sizeof(bytes)};
    for (int f = LH_ACCESS_COMMON; f <= LH_ACCESS_JSON; f++)
        free(line_of((enum lh_access_format)f, &e));
}

static void test_names(void **state)
{
    enum lh_access_format format;

    (void)state;
    assert_true(lh_access_format_of("json", &format));
    assert_int_equal(format, LH_ACCESS_JSON);
    assert_true(lh_access_format_of("common", &format));
    assert_int_equal(format, LH_ACCESS_COMMON);
    assert_false(lh_access_format_of("xml", &format));
    assert_false(lh_access_format_of("", &format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_common),     cmocka_unit_test(test_combined),
        cmocka_unit_test(test_json),       cmocka_unit_test(test_each_octet),
        cmocka_unit_test(test_long_texts), cmocka_unit_test(test_names),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
