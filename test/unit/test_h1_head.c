/* Lines, field lines and whole heads.  The vectors of test_h1_conn cover the
 * rules; here are the pieces and what they leave behind. */
#include "h1/h1_head.h"

#include "lib/context.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* --- lines ---------------------------------------------------------------- */

struct line_case {
    const char *in;
    size_t n; /* 0: strlen */
    enum lh_h1_line_result result;
    const char *line;
    size_t used; /* when it is WHOLE */
};

static const struct line_case lines[] = {
    {"\r\n", 0, LH_H1_LINE_WHOLE, "", 2},
    {"abc\r\nd", 0, LH_H1_LINE_WHOLE, "abc", 5},
    {"a\tb \xff\r\n", 0, LH_H1_LINE_WHOLE, "a\tb \xff", 7},
    {"abcdefghij\r\n", 0, LH_H1_LINE_WHOLE, "abcdefghij", 12},
    {"abcdefghijk\r\n", 0, LH_H1_LINE_LONG, NULL, 0},
    {"abcdefghijk", 0, LH_H1_LINE_LONG, NULL, 0},
    {"abcdefghijkl\x01", 0, LH_H1_LINE_LONG, NULL, 0},
    {"abcdefghi\x01jkl", 0, LH_H1_LINE_BAD, NULL, 0},
    {"abcdefghijkl\n", 0, LH_H1_LINE_LONG, NULL, 0},
    {"abcdefghij\n", 0, LH_H1_LINE_BAD, NULL, 0},
    {"abcdefghij\r", 0, LH_H1_LINE_MORE, NULL, 0},
    {"abcdefghij\rk", 0, LH_H1_LINE_BAD, NULL, 0},
    {"\n", 0, LH_H1_LINE_BAD, NULL, 0},
    {"a\rb\r\n", 0, LH_H1_LINE_BAD, NULL, 0},
    {"a\r\r\n", 0, LH_H1_LINE_BAD, NULL, 0},
    {"a\0b\r\n", 5, LH_H1_LINE_BAD, NULL, 0},
    {"a\x7f\r\n", 0, LH_H1_LINE_BAD, NULL, 0},
    {"abc", 0, LH_H1_LINE_MORE, NULL, 0},
};

static void check_line(const struct line_case *c, size_t step)
{
    struct lh_arena a;
    struct lh_h1_line line = {.n = 0};
    enum lh_h1_line_result r = LH_H1_LINE_MORE;
    size_t n = c->n ? c->n : strlen(c->in), at = 0;

    lh_arena_init(&a, NULL, NULL, 0);
    while (at < n && r == LH_H1_LINE_MORE) {
        size_t k = n - at < step ? n - at : step, used;
        r = lh_h1_line_feed(&line, &a, 10, (const uint8_t *)c->in + at, k,
                            &used);
        at += used;
    }
    if (r != c->result)
        fail_msg("%s (step %zu): result %d", c->in, step, (int)r);
    if (c->line) {
        struct lh_str got = {line.p, line.n};
        assert_true(lh_str_equal(got, lh_str_of(c->line)));
        assert_int_equal(at, c->used);
    }
    lh_arena_reset(&a);
}

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        for (size_t step = 1; step < 16; step++)
            check_line(&lines[i], step);
    }
}

/* Each octet at each place of what is scanned eight at a time. */
static void test_control_characters(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        for (int at = 0; at < 20; at++) {
            uint8_t text[22];
            struct lh_h1_line line = {.n = 0};
            size_t used;
            memset(text, 'x', 20);
            memcpy(text + 20, "\r\n", 2);
            text[at] = (uint8_t)c;
            bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
            enum lh_h1_line_result r =
                lh_h1_line_feed(&line, NULL, 100, text, 22, &used);
            if ((r == LH_H1_LINE_WHOLE) != good && !(c == '\r' && at == 19))
                fail_msg("octet %02x at %d: %d", (unsigned)c, at, (int)r);
        }
    }
}

/* --- field lines ---------------------------------------------------------- */

static void test_field_lines(void **state)
{
    static const char *const good[][3] = {
        {"A:b", "a", "b"},
        {"A-Z:", "a-z", ""},
        {"a: \t b c\t ", "a", "b c"},
        {"a::", "a", ":"},
        {"a: ", "a", ""},
        {"!#$%&'*+-.^_`|~09:x", "!#$%&'*+-.^_`|~09", "x"},
    };
    static const char *const bad[] = {"",     "a",    ":",    ":a",  " a:b",
                                      "a b:", "a :b", "a\t:", "(:b", "\xe4:b"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct lh_str name, value;
        char *line = strdup(good[i][0]);
        assert_true(lh_h1_field_parse(line, strlen(line), &name, &value));
        assert_true(lh_str_equal(name, lh_str_of(good[i][1])));
        assert_true(lh_str_equal(value, lh_str_of(good[i][2])));
        free(line);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct lh_str name, value;
        char *line = strdup(bad[i]);
        if (lh_h1_field_parse(line, strlen(line), &name, &value))
            fail_msg("taken: %s", bad[i]);
        free(line);
    }
}

/* --- heads ---------------------------------------------------------------- */

struct head_case {
    const char *in;
    unsigned result;
    bool close, keep_alive, expects, chunked;
    uint64_t length;
    bool half_close;
};

#define NO     false
#define NO_LEN LH_LENGTH_UNKNOWN

static const struct head_case heads[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest", 1, NO, NO, NO, NO, NO_LEN, NO},
    {"GET / HTTP/1.0\r\n\r\n", 1, true, NO, NO, NO, NO_LEN, true},
    {"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", 1, NO, true, NO, NO,
     NO_LEN, true},
    {"GET / HTTP/1.1\r\nhost: a\r\nconnection: a, close\r\n\r\n", 1, true, NO,
     NO, NO, NO_LEN, true},
    {"GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
     "content-length: 18446744073709551614\r\n\r\n",
     1, NO, NO, true, NO, UINT64_MAX - 1, NO},
    {"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400, NO, NO, NO, NO,
     NO_LEN, NO},
    {"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \tChunked \r\n\r\n", 1,
     NO, NO, NO, true, NO_LEN, NO},
    {"GET / HTTP/1.1\r\nhost: a\r\nexpect: ,100-Continue ,, \r\n\r\n", 1, NO,
     NO, true, NO, NO_LEN, NO},
    {"GET / HTTP/1.1\r\nhost: a\r\nexpect: ,\r\n\r\n", 1, NO, NO, NO, NO,
     NO_LEN, NO},
    {"GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue, x\r\n\r\n", 417, NO,
     NO, NO, NO, NO_LEN, NO},
    {"GET /", 0, NO, NO, NO, NO, NO_LEN, NO},
    {"\x80", 2, NO, NO, NO, NO, NO_LEN, NO},
};

static void check_head(const struct head_case *c, size_t step)
{
    struct test_context t;
    struct lh_h1_head head;
    size_t n = strlen(c->in), at = 0;
    unsigned result = LH_H1_HEAD_MORE;

    test_context_init(&t);
    struct lh_exchange *ex = lh_exchange_new(&t.ctx, t.peer);
    lh_h1_head_init(&head, true);
    while (at < n && result == LH_H1_HEAD_MORE) {
        size_t k = n - at < step ? n - at : step, used;
        result =
            lh_h1_head_feed(&head, ex, (const uint8_t *)c->in + at, k, &used);
        at += used;
    }
    if (result != c->result)
        fail_msg("%s: %u", c->in, result);
    if (result == LH_H1_HEAD_WHOLE) {
        assert_int_equal(head.close, c->close);
        assert_int_equal(head.keep_alive, c->keep_alive);
        assert_int_equal(head.expects_continue, c->expects);
        assert_int_equal(head.codings == 1 && head.chunked, c->chunked);
        assert_int_equal(ex->request.content_length, c->length);
        assert_int_equal(ex->request.half_close_allowed, c->half_close);
        assert_memory_equal(c->in + at - 4, "\r\n\r\n", 4);
    }
    lh_exchange_let_go_handler(ex);
    lh_exchange_let_go_protocol(ex);
    test_context_deinit(&t);
}

static void test_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        for (size_t step = 1; step < 200; step += 3)
            check_head(&heads[i], step);
    }
}

/* TLS shows in the scheme; a limit that is none does not overflow. */
static void test_scheme_and_no_limits(void **state)
{
    static const char in[] = "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n\r\n";
    struct test_context t;
    struct lh_h1_head head;
    size_t used;

    (void)state;
    test_context_init(&t);
    t.peer->secure = true;
    t.limits.header_bytes = t.limits.header_fields = LHTTPD_UNLIMITED;
    t.limits.request_line_bytes = LHTTPD_UNLIMITED;
    struct lh_exchange *ex = lh_exchange_new(&t.ctx, t.peer);
    lh_h1_head_init(&head, true);
    assert_int_equal(
        lh_h1_head_feed(&head, ex, (const uint8_t *)in, sizeof(in) - 1, &used),
        LH_H1_HEAD_WHOLE);
    assert_true(lh_str_equal(ex->request.scheme, LH_STR("https")));
    lh_exchange_let_go_handler(ex);
    lh_exchange_let_go_protocol(ex);
    test_context_deinit(&t);
}

/* Feeds one octet for `n` times; what the last one came to. */
static unsigned feed_octets(struct lh_h1_head *head, struct lh_exchange *ex,
                            char octet, size_t n)
{
    unsigned r = LH_H1_HEAD_MORE;
    size_t used;

    for (size_t i = 0; i < n && r == LH_H1_HEAD_MORE; i++)
        r = lh_h1_head_feed(head, ex, (const uint8_t *)&octet, 1, &used);
    return r;
}

/* A limit that is lowered in the middle of a line holds for the rest of it. */
static void test_lowered_limits(void **state)
{
    static const char begin[] = "GET /", field[] = " HTTP/1.1\r\na: ";
    struct test_context t;
    struct lh_h1_head head;
    size_t used;

    (void)state;
    for (int fields = 0; fields < 2; fields++) {
        test_context_init(&t);
        struct lh_exchange *ex = lh_exchange_new(&t.ctx, t.peer);
        lh_h1_head_init(&head, true);
        assert_int_equal(lh_h1_head_feed(&head, ex, (const uint8_t *)begin,
                                         sizeof(begin) - 1, &used),
                         LH_H1_HEAD_MORE);
        if (fields)
            assert_int_equal(lh_h1_head_feed(&head, ex, (const uint8_t *)field,
                                             sizeof(field) - 1, &used),
                             LH_H1_HEAD_MORE);
        assert_int_equal(feed_octets(&head, ex, 'a', 1000), LH_H1_HEAD_MORE);
        t.limits.request_line_bytes = t.limits.header_bytes = 500;
        assert_int_equal(feed_octets(&head, ex, 'a', 1000), fields ? 431 : 414);
        lh_exchange_let_go_handler(ex);
        lh_exchange_let_go_protocol(ex);
        test_context_deinit(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_field_lines),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_scheme_and_no_limits),
        cmocka_unit_test(test_lowered_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
