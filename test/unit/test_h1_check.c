/* The checkers of an HTTP/1 connection and of an exchange find faults. */
#include "h1/h1_check.h"

#include "h1/h1_conn.h"
#include "lib/driver.h"
#include "lib/faults.h"

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

TEST_FAULT(h1_idle_with_exchange, struct lh_h1, c->state = LH_H1_IDLE)
TEST_FAULT(h1_reset_while_open, struct lh_h1, c->reset = true)
TEST_FAULT(h1_body_not_awaited, struct lh_h1, c->pace.waiting = true)
TEST_FAULT(h1_both_framings, struct lh_h1,
           c->is_chunked = c->until_close = true)
TEST_FAULT(ex_no_owner, struct lh_h1, c->ex->owners = 0)
TEST_FAULT(ex_lent_nothing, struct lh_h1, c->ex->response.lent_n = 1)
TEST_FAULT(ex_lent_and_drawn, struct lh_h1, static struct lh_body_source source;
           c->ex->response.written = c->ex->response.lent_n = 1;
           c->ex->response.source = &source;
           c->ex->response.lent = (const uint8_t *)"x")
TEST_FAULT(ex_more_than_written, struct lh_h1, c->ex->response.lent_n = 1;
           c->ex->response.lent = (const uint8_t *)"x")
TEST_FAULT(ex_gone_with_body, struct lh_h1, c->ex->gone = true)
TEST_FAULT(ex_head_left_early, struct lh_h1, c->ex->response.head_left = true)

static void (*const h1_faults[])(void *c) = {
    h1_idle_with_exchange, h1_reset_while_open,  h1_body_not_awaited,
    h1_both_framings,      ex_no_owner,          ex_lent_nothing,
    ex_lent_and_drawn,     ex_more_than_written, ex_gone_with_body,
    ex_head_left_early,
};

static void check_h1(const void *c)
{
    lh_h1_check(c);
}

static void test_h1(void **state)
{
    struct test_context t;
    struct test_driver d;

    (void)state;
    test_context_init(&t);
    test_driver_init(&d, &t, &lh_h1_protocol, lh_h1_new, hold);
    test_driver_feed_str(&d, "POST / HTTP/1.1\r\nhost: a\r\n"
                             "content-length: 9\r\n\r\nhalf");
    assert_false(test_fault_is_found(test_no_fault, check_h1, d.c));
    for (size_t i = 0; i < sizeof(h1_faults) / sizeof(h1_faults[0]); i++) {
        if (!test_fault_is_found(h1_faults[i], check_h1, d.c))
            fail_msg("fault %zu is not found", i);
    }
    test_driver_deinit(&d);
    test_context_deinit(&t);
}

#endif

int main(void)
{
#if LHTTPD_CHECKS
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_h1)};

    return cmocka_run_group_tests(tests, NULL, NULL);
#else
    return 0; /* there are no checks in this build */
#endif
}
