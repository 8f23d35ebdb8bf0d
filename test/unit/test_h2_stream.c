/* A stream's states (RFC 9113, 5.1), and the tables of streams. */
#include "h2/h2_stream.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STATES 6

/* Figure 2 of RFC 9113, without what a server cannot meet. */
static const char legal[STATES][STATES + 1] = {
    [LH_H2_IDLE] = ".RO...",        [LH_H2_RESERVED] = "....HC",
    [LH_H2_OPEN] = "...LHC",        [LH_H2_HALF_LOCAL] = ".....C",
    [LH_H2_HALF_REMOTE] = ".....C", [LH_H2_CLOSED] = "......",
};

static void test_moves(void **state)
{
    (void)state;
    for (unsigned from = 0; from < STATES; from++) {
        for (unsigned to = 0; to < STATES; to++) {
            assert_int_equal(
                lh_h2_stream_may((enum lh_h2_state)from, (enum lh_h2_state)to),
                legal[from][to] != '.');
        }
    }
}

static void test_sides(void **state)
{
    struct lh_h2_stream s;

    (void)state;
    lh_h2_stream_init(&s, 1);
    assert_int_equal(s.state, LH_H2_IDLE);
    assert_int_equal(lh_h2_stream_due(&s), LH_NEVER);
    lh_h2_stream_set(&s, LH_H2_OPEN);
    assert_true(lh_h2_stream_sends(&s) && lh_h2_stream_receives(&s));
    lh_h2_stream_set(&s, LH_H2_HALF_LOCAL);
    assert_true(!lh_h2_stream_sends(&s) && lh_h2_stream_receives(&s));
    lh_h2_stream_set(&s, LH_H2_CLOSED);
    assert_true(!lh_h2_stream_sends(&s) && !lh_h2_stream_receives(&s));

    lh_h2_stream_init(&s, 2);
    lh_h2_stream_set(&s, LH_H2_RESERVED);
    assert_true(lh_h2_stream_sends(&s) && !lh_h2_stream_receives(&s));
    lh_h2_stream_set(&s, LH_H2_HALF_REMOTE);
    assert_true(lh_h2_stream_sends(&s) && !lh_h2_stream_receives(&s));
    s.shut_due = 70;
    s.body_due = 50;
    s.discard_due = 60;
    assert_int_equal(lh_h2_stream_due(&s), 50);
}

static void test_table(void **state)
{
    struct lh_h2_streams t = {.past_next = 0};
    struct lh_h2_stream s[100];

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        lh_h2_stream_init(&s[i], 2 * i + 1);
        lh_h2_streams_add(&t, &s[i]);
    }
    for (uint32_t i = 0; i < 100; i++)
        assert_ptr_equal(lh_h2_streams_find(&t, 2 * i + 1), &s[i]);
    assert_null(lh_h2_streams_find(&t, 2));
    assert_null(lh_h2_streams_find(&t, 201));
    for (uint32_t i = 0; i < 100; i += 3)
        lh_h2_streams_remove(&t, &s[i]);
    for (uint32_t i = 0; i < 100; i++)
        assert_ptr_equal(lh_h2_streams_find(&t, 2 * i + 1),
                         i % 3 ? &s[i] : NULL);
}

static void test_past(void **state)
{
    struct lh_h2_streams t = {.past_next = 0};

    (void)state;
    assert_int_equal(lh_h2_streams_past(&t, 1), LH_H2_PAST_UNKNOWN);
    lh_h2_streams_remember(&t, 1, LH_H2_PAST_CANCELLED);
    lh_h2_streams_remember(&t, 3, LH_H2_PAST_ENDED);
    assert_int_equal(lh_h2_streams_past(&t, 1), LH_H2_PAST_CANCELLED);
    lh_h2_streams_remember(&t, 1, LH_H2_PAST_RESET);
    assert_int_equal(lh_h2_streams_past(&t, 1), LH_H2_PAST_RESET);
    assert_int_equal(lh_h2_streams_past(&t, 3), LH_H2_PAST_ENDED);
    for (uint32_t i = 0; i < LH_H2_PASTS; i++)
        lh_h2_streams_remember(&t, 101 + 2 * i, LH_H2_PAST_ENDED);
    assert_int_equal(lh_h2_streams_past(&t, 1), LH_H2_PAST_UNKNOWN);
    assert_int_equal(lh_h2_streams_past(&t, 101), LH_H2_PAST_ENDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_sides),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_past),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
