/* Body decoding: known lengths, chunks, trailers.  Fed in pieces of every
 * size. */
#include "h1/h1_body.h"

#include "lib/context.h"
#include "lib/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct body_case {
    uint64_t length;
    const char *in;
    enum lh_h1_body_result result;
    const char *data;  /* found until then */
    unsigned trailers; /* kept */
    const char *left_over;
};

#define CHUNKS LH_LENGTH_UNKNOWN

static const struct body_case cases[] = {
    {5, "hello", LH_H1_BODY_ENDS, "hello", 0, ""},
    {5, "hello, next", LH_H1_BODY_ENDS, "hello", 0, ", next"},
    {5, "hell", LH_H1_BODY_MORE, "hell", 0, ""},
    /* Wikipedia's example of chunked transfer coding, RFC 9112, 7.1. */
    {CHUNKS, "4\r\nWiki\r\n7\r\npedia i\r\nB\r\nn \r\nchunks.\r\n0\r\n\r\n",
     LH_H1_BODY_ENDS, "Wikipedia in \r\nchunks.", 0, ""},
    {CHUNKS, "0000000000000001\r\nx\r\n0\r\n\r\nGET", LH_H1_BODY_ENDS, "x", 0,
     "GET"},
    {CHUNKS, "00000000000000001\r\nx", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "ffffffffffffffff\r\nabc", LH_H1_BODY_MORE, "abc", 0, ""},
    {CHUNKS, "1;a=\"b\tc\"\r\nx\r\n0;\xff\r\n\r\n", LH_H1_BODY_ENDS, "x", 0,
     ""},
    {CHUNKS, "1;\x01\r\nx", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, ";a\r\n", LH_H1_BODY_BAD, "", 0, NULL},
    /* White space may stand around `;` and `=`, not elsewhere (7.1.1). */
    {CHUNKS, "1 ;a=b\r\nx\r\n0\t ;c\r\n\r\n", LH_H1_BODY_ENDS, "x", 0, ""},
    {CHUNKS, "1 \t ; a = b ; c\r\nx\r\n0\r\n\r\n", LH_H1_BODY_ENDS, "x", 0, ""},
    {CHUNKS, "1 \r\nx", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "1\t\r\nx", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "1 0\r\nx", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "1 a=b\r\nx", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "1 \n;\r\nx", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, " ;a\r\n", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "1                ;", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "g\r\n", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, " 1\r\n", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "1\r\nxy", LH_H1_BODY_BAD, "x", 0, NULL},
    {CHUNKS, "1\r\nx\n", LH_H1_BODY_BAD, "x", 0, NULL},
    {CHUNKS, "1\r\nx\rz", LH_H1_BODY_BAD, "x", 0, NULL},
    {CHUNKS, "1\r\nx\r\n\r\n", LH_H1_BODY_BAD, "x", 0, NULL},
    {CHUNKS, "0\r\na: b\r\nC: d\r\n\r\nrest", LH_H1_BODY_ENDS, "", 2, "rest"},
    {CHUNKS, "0\r\nTransfer-Encoding: x\r\nConnection: y\r\nHost: z\r\n\r\n",
     LH_H1_BODY_ENDS, "", 0, ""},
    {CHUNKS, "0\r\nno colon\r\n\r\n", LH_H1_BODY_BAD, "", 0, NULL},
    {CHUNKS, "0\r\na: b\r\n", LH_H1_BODY_MORE, "", 1, ""},
    {CHUNKS, "0\r\n123456: 8901234567890\r\n\r\n", LH_H1_BODY_ENDS, "", 1, ""},
    {CHUNKS, "0\r\n123456: 89012345678901\r\n\r\n", LH_H1_BODY_BAD, "", 0,
     NULL},
    {CHUNKS, "0\r\na:1\r\nb:2\r\nc:3\r\n\r\n", LH_H1_BODY_ENDS, "", 3, ""},
    {CHUNKS, "0\r\na:1\r\nb:2\r\nc:3\r\nd:4\r\n\r\n", LH_H1_BODY_BAD, "", 3,
     NULL},
    {CHUNKS, "1;567890\r\nx", LH_H1_BODY_MORE, "x", 0, ""},
    {CHUNKS, "1;5678901\r\nx", LH_H1_BODY_BAD, "", 0, NULL},
};

static void check(const struct body_case *c, size_t step, bool keep)
{
    struct test_context t;
    struct lh_h1_body body;
    struct test_bytes data = {NULL, 0};
    size_t n = strlen(c->in), at = 0;
    enum lh_h1_body_result r = LH_H1_BODY_MORE;

    test_context_init(&t);
    t.limits.chunk_line_bytes = 17;
    if (c->in[0] == '1' && c->in[1] == ';' && c->in[2] == '5')
        t.limits.chunk_line_bytes = 8;
    t.limits.trailer_bytes = 21;
    if (strstr(c->in, "Transfer"))
        t.limits.trailer_bytes = 100;
    t.limits.header_fields = 5;
    struct lh_exchange *ex = lh_exchange_new(&t.ctx, t.peer);
    test_bytes_add(&data, "", 0);
    lh_h1_body_init(&body, c->length, 2);
    while (at < n && r == LH_H1_BODY_MORE) {
        struct lh_str slice;
        size_t k = n - at < step ? n - at : step, used;
        r = lh_h1_body_feed(&body, &t.limits, keep ? ex : NULL,
                            (const uint8_t *)c->in + at, k, &used, &slice);
        assert_true(used <= k && (used || r != LH_H1_BODY_MORE));
        test_bytes_add(&data, slice.p, slice.n);
        at += used;
    }
    /* What is skipped is not looked at for a colon. */
    if (r != c->result && !(strstr(c->in, "no colon") && !keep))
        fail_msg("%s (step %zu): result %d", c->in, step, (int)r);
    assert_string_equal(data.p, c->data);
    if (c->left_over)
        assert_string_equal(c->in + at, c->left_over);
    assert_int_equal(ex->request.trailers.n, keep ? c->trailers : 0);
    free(data.p);
    lh_exchange_let_go_handler(ex);
    lh_exchange_let_go_protocol(ex);
    test_context_deinit(&t);
}

static void test_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 64; step++) {
            check(&cases[i], step, true);
            check(&cases[i], step, false);
        }
    }
}

static void test_left(void **state)
{
    struct lh_h1_body body;
    struct lh_str data;
    lhttpd_limits_t limits = {.size = sizeof(limits), .chunk_line_bytes = 9};
    size_t used;

    (void)state;
    lh_h1_body_init(&body, 0, 0);
    assert_int_equal(lh_h1_body_left(&body), 0);
    lh_h1_body_init(&body, 7, 0);
    assert_int_equal(lh_h1_body_left(&body), 7);
    lh_h1_body_feed(&body, &limits, NULL, (const uint8_t *)"abc", 3, &used,
                    &data);
    assert_int_equal(lh_h1_body_left(&body), 4);
    lh_h1_body_init(&body, LH_LENGTH_UNKNOWN, 0);
    lh_h1_body_feed(&body, &limits, NULL, (const uint8_t *)"5\r\n", 3, &used,
                    &data);
    assert_true(lh_h1_body_left(&body) == LH_LENGTH_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
