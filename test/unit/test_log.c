/* The log: one clean line, whatever is in it. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static lhttpd_log_entry_t seen;
static char message[5000], script[2000], client[2000], request[2000];
static unsigned calls;

static const char *keep(char *to, const char *s)
{
    if (s)
        memcpy(to, s, strlen(s) + 1);
    return s ? to : NULL;
}

static void remember(void *context, const lhttpd_log_entry_t *entry)
{
    calls++;
    assert_ptr_equal(context, &calls);
    seen = *entry;
    seen.message = keep(message, entry->message);
    seen.script = keep(script, entry->script);
    seen.client = keep(client, entry->client);
    seen.request = keep(request, entry->request);
}

static const struct lh_log log_notice = {remember, &calls, LHTTPD_LOG_NOTICE};

static void test_levels(void **state)
{
    (void)state;
    calls = 0;
    lh_log(&log_notice, LHTTPD_LOG_INFO, NULL, "no");
    lh_log(&log_notice, LHTTPD_LOG_DEBUG, NULL, "no");
    assert_int_equal(calls, 0);
    assert_false(lh_log_wants(&log_notice, LHTTPD_LOG_INFO));
    lh_log(&log_notice, LHTTPD_LOG_NOTICE, NULL, "%d of %s", 3, "four");
    assert_int_equal(calls, 1);
    assert_string_equal(seen.message, "3 of four");
    assert_int_equal(seen.level, LHTTPD_LOG_NOTICE);
    assert_int_equal(seen.size, sizeof(seen));
    assert_null(seen.script);
    assert_null(seen.client);
    assert_null(seen.request);
    lh_log(&log_notice, LHTTPD_LOG_ERROR, NULL, "%s", "");
    assert_int_equal(calls, 2);
    assert_string_equal(seen.message, "");
}

static void test_escapes(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain ~ text", "plain ~ text"},
        {"one\ntwo\r\nthree\n", "one; two; three"},
        {"\n\n", ""},
        {"a\rb\tc\x1b[2Jd\x7f", "a\\x0db\\x09c\\x1b[2Jd\\x7f"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x9b[2J", "\\xc2\\x9b[2J"}, /* a control: CSI */
        {"\xc2\x9f", "\\xc2\\x9f"},
        {"\xc2\xa0", "\xc2\xa0"},            /* the first that is none */
        {"\xc0\x8a", "\\xc0\\x8a"},          /* overlong newline */
        {"\xe0\x80\x8a", "\\xe0\\x80\\x8a"}, /* the same, longer */
        {"\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* U+110000 */
        {"\xff\xe2\x82", "\\xff\\xe2\\x82"},          /* cut off */
        {"\xe2\x82 \xac", "\\xe2\\x82 \\xac"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lh_log(&log_notice, LHTTPD_LOG_ERROR, NULL, "%s", cases[i].in);
        assert_string_equal(seen.message, cases[i].out);
    }
}

static void test_about_is_cleaned_too(void **state)
{
    const struct lh_log_about about = {"a.lua\n", "::1\x01",
                                       "GET /\r\nforged: line HTTP/1.1"};
    (void)state;
    lh_log(&log_notice, LHTTPD_LOG_WARNING, &about, "m");
    assert_string_equal(seen.script, "a.lua");
    assert_string_equal(seen.client, "::1\\x01");
    assert_string_equal(seen.request, "GET /; forged: line HTTP/1.1");
}

/* All lengths round the limit; what is cut ends in dots, never in the middle
 * of an escape or a character. */
static void test_cut(void **state)
{
    static const char *const units[] = {"a", "\xc3\xa4", "\xf0\x9f\x98\x80",
                                        "\x01", "\nx"};
    static char in[3 * 4096 + 10];
    struct lh_log_about about = {.request = in};

    (void)state;
    for (size_t u = 0; u < 5; u++) {
        size_t n = strlen(units[u]);
        for (size_t length = 4000; length < 4200; length++) {
            size_t at = 0;
            for (; at + n <= length; at += n)
                memcpy(in + at, units[u], n);
            memcpy(in + at, "!", 2);
            lh_log(&log_notice, LHTTPD_LOG_ERROR, &about, "%s", in);
            size_t got = strlen(seen.message);
            assert_true(got <= 4096);
            assert_true(strlen(seen.request) < 1024);
            if (seen.message[got - 1] == '!')
                continue;
            assert_string_equal(seen.message + got - 3, "...");
            if (u == 1 || u == 2)
                assert_int_equal((got - 3) % n, 0);
            else if (u == 3)
                assert_int_equal((got - 3) % 4, 0);
        }
    }
    memset(in, 'b', 3 * 4096);
    in[3 * 4096] = '\0';
    lh_log(&log_notice, LHTTPD_LOG_ERROR, NULL, "%s", in);
    assert_true(strlen(seen.message) > 4080);
}

/* Runs lh_log_stderr() with a pipe as standard error. */
static size_t on_stderr(lhttpd_log_level_t level,
                        const struct lh_log_about *about, const char *text,
                        char *out, size_t room)
{
    const struct lh_log log = {lh_log_stderr, NULL, LHTTPD_LOG_DEBUG};
    int ends[2], old = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    lh_log(&log, level, about, "%s", text);
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    close(old);
    close(ends[1]);
    ssize_t n = read(ends[0], out, room - 1);
    close(ends[0]);
    assert_true(n > 0);
    out[n] = '\0';
    return (size_t)n;
}

static void test_stderr(void **state)
{
    struct lh_log_about about = {"a.lua", "127.0.0.1", "GET / HTTP/1.1"};
    static char out[20000], longest[5000];
    const size_t date = strlen("2026-11-23T20:39:39Z");

    (void)state;
    on_stderr(LHTTPD_LOG_WARNING, &about, "it rains", out, sizeof(out));
    assert_string_equal(
        out + date,
        " warning: it rains [a.lua] [127.0.0.1] [GET / HTTP/1.1]\n");
    assert_int_equal(out[4], '-');
    assert_int_equal(out[10], 'T');
    assert_int_equal(out[date - 1], 'Z');
    about.client = NULL;
    on_stderr(LHTTPD_LOG_WARNING, &about, "it rains", out, sizeof(out));
    assert_string_equal(out + date,
                        " warning: it rains [a.lua] [GET / HTTP/1.1]\n");
    on_stderr(LHTTPD_LOG_WARNING, NULL, "", out, sizeof(out));
    assert_string_equal(out + date, " warning: \n");
    memset(longest, 'x', sizeof(longest) - 1);
    about = (struct lh_log_about){longest, longest, longest};
    size_t n = on_stderr(LHTTPD_LOG_WARNING, &about, longest, out, sizeof(out));
    assert_true(n > 4096 + 3 * 1000);
    assert_int_equal(out[n - 1], '\n');
    assert_null(memchr(out, '\n', n - 1));
}

static void test_stderr_levels(void **state)
{
    static const char *const names[] = {"notice", "error", "warning",
                                        "notice", "info",  "debug"};
    char out[100], expected[20];

    (void)state;
    for (unsigned i = LHTTPD_LOG_DEFAULT; i <= LHTTPD_LOG_DEBUG; i++) {
        on_stderr((lhttpd_log_level_t)i, NULL, "m", out, sizeof(out));
        snprintf(expected, sizeof(expected), " %s: m\n", names[i]);
        assert_string_equal(out + strlen("2026-11-23T20:39:39Z"), expected);
    }
}

/* Logging when nobody listens any more is no error and keeps errno. */
static void test_stderr_closed(void **state)
{
    const lhttpd_log_entry_t entry = {
        .size = sizeof(entry), .level = LHTTPD_LOG_ERROR, .message = "m"};
    int old = dup(STDERR_FILENO);

    (void)state;
    close(STDERR_FILENO);
    errno = ERANGE;
    lh_log_stderr(NULL, &entry);
    int after = errno;
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    close(old);
    assert_int_equal(after, ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_about_is_cleaned_too),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_stderr),
        cmocka_unit_test(test_stderr_levels),
        cmocka_unit_test(test_stderr_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
