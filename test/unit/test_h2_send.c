/* Who sends next (RFC 9218). */
#include "h2/h2_send.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FRAME 16384

static void join(struct lh_h2_send *q, struct lh_h2_stream *s, uint32_t id,
                 uint8_t urgency, bool incremental)
{
    lh_h2_stream_init(s, id);
    s->urgency = urgency;
    s->incremental = incremental;
    lh_h2_send_join(q, s);
}

/* Who sends n frames of a usual size, one digit each. */
static void schedule(struct lh_h2_send *q, char *out, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct lh_h2_stream *s = lh_h2_send_next(q);
        assert_non_null(s);
        *out++ = (char)('0' + s->id);
        lh_h2_send_served(q, s, FRAME);
    }
    *out = '\0';
}

static void test_urgency(void **state)
{
    struct lh_h2_send q;
    struct lh_h2_stream a, b, c;
    char got[32];

    (void)state;
    lh_h2_send_init(&q);
    assert_true(lh_h2_send_empty(&q));
    assert_null(lh_h2_send_next(&q));
    join(&q, &a, 1, 7, false);
    join(&q, &b, 2, 0, false);
    join(&q, &c, 3, 3, false);
    schedule(&q, got, 5);
    assert_string_equal(got, "22222");
    lh_h2_send_leave(&q, &b);
    schedule(&q, got, 5);
    assert_string_equal(got, "33333");
    lh_h2_send_leave(&q, &c);
    schedule(&q, got, 2);
    assert_string_equal(got, "11");
    lh_h2_send_leave(&q, &a);
    assert_true(lh_h2_send_empty(&q));
}

static void test_incremental_takes_turns(void **state)
{
    struct lh_h2_send q;
    struct lh_h2_stream a, b, c;
    char got[32];

    (void)state;
    lh_h2_send_init(&q);
    join(&q, &a, 1, 3, true);
    join(&q, &b, 2, 3, true);
    join(&q, &c, 3, 3, true);
    lh_h2_send_join(&q, &a); /* keeps its place */
    schedule(&q, got, 7);
    assert_string_equal(got, "1231231");
}

static void test_others_keep_their_turn(void **state)
{
    struct lh_h2_send q;
    struct lh_h2_stream a, b;
    char got[200];
    unsigned most = LH_H2_TURN_BYTES / FRAME;

    (void)state;
    lh_h2_send_init(&q);
    join(&q, &a, 1, 3, false);
    join(&q, &b, 2, 3, false);
    schedule(&q, got, most + 1);
    assert_int_equal(got[0], '1');
    assert_int_equal(got[most - 1], '1');
    assert_int_equal(got[most], '2');
}

/* The least urgent one gets its turn, sometimes. */
static void test_nobody_starves(void **state)
{
    struct lh_h2_send q;
    struct lh_h2_stream a, b, c;
    char got[321];
    unsigned turns[4] = {0};

    (void)state;
    lh_h2_send_init(&q);
    join(&q, &a, 1, 0, true);
    join(&q, &b, 2, 0, true);
    join(&q, &c, 3, 7, false);
    schedule(&q, got, 320);
    for (unsigned i = 0; i < 320; i++)
        turns[got[i] - '0']++;
    assert_int_equal(turns[1], 150);
    assert_int_equal(turns[2], 150);
    assert_int_equal(turns[3], 20);
}

struct priority {
    const char *value;
    unsigned urgency;
    bool incremental;
};

static void test_priority(void **state)
{
    static const struct priority all[] = {
        {"", 3, false},
        {"u=0", 0, false},
        {"u=7, i", 7, true},
        {"i,u=5", 5, true},
        {" u=1 ,\ti=?1 ", 1, true},
        {"i=?0", 3, false},
        {"i, i=?0", 3, false},
        {"u=8", 3, false},
        {"u=-1", 3, false},
        {"u", 3, false},
        {"u=10", 3, false},
        {"u=2, u=4", 4, false}, /* the last one counts (RFC 8941, 3.2) */
        {"u=2;x=1, i;y", 2, true},
        {"U=2, I", 3, false},
        {"x=\"y\", u=6", 6, false},
        {",,,", 3, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        uint8_t urgency;
        bool incremental;
        lh_h2_priority_parse(lh_str_of(all[i].value), &urgency, &incremental);
        if (urgency != all[i].urgency || incremental != all[i].incremental)
            fail_msg("'%s': %u, %d", all[i].value, urgency, incremental);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urgency),
        cmocka_unit_test(test_incremental_takes_turns),
        cmocka_unit_test(test_others_keep_their_turn),
        cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_priority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
