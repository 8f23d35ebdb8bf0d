/*
 * The hand-over of listeners between workers.  The workers have no threads
 * here: what another one does meanwhile happens where a listener is armed,
 * which is between the decision to give it away and the second look.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/handover.h"

#include <stdlib.h>
#include <string.h>

#define WORKERS 3

static struct lhttpd_server_t *s;
static struct lh_worker *w; /* all */
static unsigned armed[WORKERS];
static void (*meanwhile)(unsigned worker); /* once */

/* The library's is not linked: this file has it. */
int lh_evq_arm(struct lh_evq *q, int fd, uint64_t tag)
{
    void (*call)(unsigned) = meanwhile;
    unsigned worker = 0;

    (void)fd;
    (void)tag;
    while (q != &w[worker].evq)
        worker++;
    armed[worker]++;
    meanwhile = NULL;
    if (call)
        call(worker);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    s = calloc(1, sizeof(*s));
    w = calloc(WORKERS, sizeof(*w));
    assert_non_null(s);
    assert_non_null(w);
    s->workers = w;
    s->workers_n = WORKERS;
    s->listeners.n = 1;
    for (int i = 0; i < WORKERS; i++) {
        w[i].server = s;
        w[i].number = i;
        w[i].acceptors[0].listener = &s->listeners.v[0];
    }
    memset(armed, 0, sizeof(armed));
    meanwhile = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(w);
    free(s);
    return 0;
}

static int owner(void)
{
    return atomic_load(&s->listeners.v[0].owner);
}

/* An event that has nothing to do with the listener ends the wait, and a long
 * handler begins; worker 0's exchange came too late for this look. */
static void leaves_for_a_handler(unsigned worker)
{
    w[worker].waiting = false;
}

static void leaves_while_another_comes(unsigned worker)
{
    w[worker].waiting = false;
    w[2].waiting = true;
    lh_handover_take(&w[2]); /* still owned: nothing to take */
}

static void leaves_and_hands_on(unsigned worker)
{
    w[worker].waiting = false;
    lh_handover(&w[worker], 0);
}

static void goes_out_of_use(unsigned worker)
{
    w[worker].waiting = false;
    s->listeners.v[0].owner = LH_OWNER_GONE;
}

static void to_a_waiting_worker(void **state)
{
    (void)state;
    w[1].waiting = w[2].waiting = true;
    w[1].load = 5;
    lh_handover(&w[0], 0);
    assert_int_equal(owner(), 2); /* it has less to do */
    assert_int_equal(armed[2], 1);
    lh_handover(&w[0], 0); /* not ours any more */
    assert_int_equal(armed[1] + armed[2], 1);
}

static void to_nobody(void **state)
{
    (void)state;
    lh_handover(&w[0], 0);
    assert_int_equal(owner(), LH_OWNER_NONE);
    w[1].waiting = true;
    lh_handover_take(&w[1]);
    assert_int_equal(owner(), 1);
    assert_int_equal(armed[1], 1);
    lh_handover_take(&w[1]); /* it is armed already */
    assert_int_equal(armed[1], 1);
}

static void not_to_one_that_is_leaving(void **state)
{
    (void)state;
    w[1].waiting = true;
    meanwhile = leaves_for_a_handler;
    lh_handover(&w[0], 0);
    assert_int_equal(owner(), LH_OWNER_NONE);
    w[0].waiting = true;
    lh_handover_take(&w[0]);
    assert_int_equal(owner(), 0);
    assert_int_equal(armed[0], 1);
}

static void to_the_next_one_instead(void **state)
{
    (void)state;
    w[1].waiting = w[2].waiting = true;
    w[2].load = 5;
    meanwhile = leaves_for_a_handler;
    lh_handover(&w[0], 0);
    assert_int_equal(armed[1], 1);
    assert_int_equal(owner(), 2);
    assert_int_equal(armed[2], 1);
}

/* It looked while the listener had an owner, and sleeps by now. */
static void to_one_that_comes_meanwhile(void **state)
{
    (void)state;
    w[1].waiting = true;
    meanwhile = leaves_while_another_comes;
    lh_handover(&w[0], 0);
    assert_int_equal(owner(), 2);
    assert_int_equal(armed[2], 1);
}

static void what_the_other_did_stays(void **state)
{
    (void)state;
    w[1].waiting = w[2].waiting = true;
    w[2].load = 5;
    meanwhile = leaves_and_hands_on;
    lh_handover(&w[0], 0);
    assert_int_equal(owner(), 2);
    assert_int_equal(armed[2], 1);
}

static void out_of_use_stays_so(void **state)
{
    (void)state;
    w[1].waiting = w[2].waiting = true;
    w[2].load = 5;
    meanwhile = goes_out_of_use;
    lh_handover(&w[0], 0);
    assert_int_equal(owner(), LH_OWNER_GONE);
    lh_handover_take(&w[2]);
    assert_int_equal(owner(), LH_OWNER_GONE);
    assert_int_equal(armed[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(to_a_waiting_worker, set_up, tear_down),
        cmocka_unit_test_setup_teardown(to_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_to_one_that_is_leaving, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(to_the_next_one_instead, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(to_one_that_comes_meanwhile, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_the_other_did_stays, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(out_of_use_stays_so, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
