/* The checker of an HTTP/2 connection finds faults. */
#include "h2/h2_check.h"

#include "h2/h2_conn.h"
#include "lib/faults.h"
#include "lib/h2client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#if LHTTPD_CHECKS

static void hold(struct test_driver *d, struct lh_exchange *ex)
{
    (void)d;
    if (ex->gone)
        test_done(ex);
}

static struct lh_h2_stream *first(struct lh_h2 *c)
{
    return LH_OF(c->all.next, struct lh_h2_stream, all);
}

TEST_FAULT(h2_requests, struct lh_h2, c->requests_now++)
TEST_FAULT(h2_pushes, struct lh_h2, c->pushes_now++)
TEST_FAULT(h2_held, struct lh_h2, c->held++)
TEST_FAULT(h2_growth, struct lh_h2, c->growth++)
TEST_FAULT(h2_queued, struct lh_h2, c->queued++)
TEST_FAULT(h2_header_bytes, struct lh_h2, c->header_bytes++)
TEST_FAULT(h2_forgotten, struct lh_h2,
           lh_h2_streams_remove(&c->table, first(c)))
TEST_FAULT(h2_open_after_end, struct lh_h2, c->life = LH_H2_ENDED)
TEST_FAULT(h2_late_clock, struct lh_h2, first(c)->body_due = 1)
TEST_FAULT(h2_wrong_list, struct lh_h2,
           lh_list_append(&c->unsent, &first(c)->turn))
TEST_FAULT(h2_unlisted, struct lh_h2, struct lh_list other;
           lh_list_init(&other); lh_list_append(&other, &first(c)->turn))
TEST_FAULT(h2_level_bit, struct lh_h2, c->send.waiting = 1)
TEST_FAULT(h2_idle_clock, struct lh_h2, c->idle_due = 1)

static void (*const h2_faults[])(void *c) = {
    h2_requests,   h2_pushes,       h2_held,      h2_growth,
    h2_queued,     h2_header_bytes, h2_forgotten, h2_open_after_end,
    h2_late_clock, h2_wrong_list,   h2_unlisted,  h2_level_bit,
    h2_idle_clock,
};

static void check_h2(const void *c)
{
    lh_h2_check(c);
}

static void test_h2(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, hold, 0);
    test_h2_hello(&h);
    test_h2_say(&h, "HEADERS h 1 POST/hold\nDATA - 1 *100");
    assert_false(test_fault_is_found(test_no_fault, check_h2, h.d.c));
    for (size_t i = 0; i < sizeof(h2_faults) / sizeof(h2_faults[0]); i++) {
        if (!test_fault_is_found(h2_faults[i], check_h2, h.d.c))
            fail_msg("fault %zu is not found", i);
    }
    test_h2_deinit(&h);
}

#endif

int main(void)
{
#if LHTTPD_CHECKS
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_h2)};

    return cmocka_run_group_tests(tests, NULL, NULL);
#else
    return 0; /* there are no checks in this build */
#endif
}
