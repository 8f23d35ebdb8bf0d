/* The timer wheel against a model: a plain array that is searched. */
#include "base/timer.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static unsigned fired;

static void count(struct lh_timer *timer)
{
    (void)timer;
    fired++;
}

static void test_fires_once_and_never_early(void **state)
{
    static const uint64_t delays[] = {1,
                                      63,
                                      64,
                                      65,
                                      4095,
                                      4096,
                                      4097,
                                      59999,
                                      60000,
                                      262143,
                                      262144,
                                      16777215,
                                      1 << 24,
                                      (1 << 24) + 1,
                                      (1 << 30) - 1,
                                      1 << 30,
                                      UINT64_C(5) << 30,
                                      UINT64_C(1) << 62};
    static const uint64_t starts[] = {
        0, 1, 63, 64, 4095, 1000003, (1 << 30) - 1, UINT64_C(1) << 40};
    struct lh_timers timers;
    struct lh_timer timer;

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (size_t k = 0; k < sizeof(delays) / sizeof(delays[0]); k++) {
            uint64_t deadline = starts[i] + delays[k];
            lh_timers_init(&timers, starts[i]);
            lh_timer_init(&timer, count);
            fired = 0;
            lh_timer_arm(&timers, &timer, deadline);
            assert_true(lh_timer_armed(&timer));
            lh_timers_fire(&timers, starts[i]);
            lh_timers_fire(&timers, starts[i] + delays[k] / 2);
            lh_timers_fire(&timers, deadline - 1);
            assert_int_equal(fired, 0);
            lh_timers_fire(&timers, deadline);
            assert_int_equal(fired, 1);
            assert_false(lh_timer_armed(&timer));
            lh_timers_fire(&timers, deadline + 100000);
            assert_int_equal(fired, 1);
        }
    }
}

static void test_past_and_never(void **state)
{
    struct lh_timers timers;
    struct lh_timer timer;

    (void)state;
    fired = 0;
    lh_timers_init(&timers, 1000);
    lh_timer_init(&timer, count);
    lh_timer_disarm(&timer);
    assert_int_equal(lh_timers_wait_ms(&timers, 1000), -1);
    lh_timer_arm(&timers, &timer, 999);
    assert_int_equal(lh_timers_wait_ms(&timers, 1000), 0);
    lh_timers_fire(&timers, 1000);
    assert_int_equal(fired, 1);
    lh_timer_arm(&timers, &timer, 1010);
    lh_timer_arm(&timers, &timer, LH_NEVER);
    assert_false(lh_timer_armed(&timer));
    assert_int_equal(lh_timers_wait_ms(&timers, 1000), -1);
    lh_timers_fire(&timers, UINT64_MAX);
    assert_int_equal(fired, 1);
}

static void test_time_does_not_go_back(void **state)
{
    struct lh_timers timers;
    struct lh_timer timer;

    (void)state;
    fired = 0;
    lh_timers_init(&timers, 1000);
    lh_timer_init(&timer, count);
    lh_timer_arm(&timers, &timer, 1100);
    lh_timers_fire(&timers, 500);
    lh_timers_fire(&timers, 1099);
    assert_int_equal(fired, 0);
    lh_timers_fire(&timers, 500);
    assert_true(timers.now_ms == 1099);
    lh_timers_fire(&timers, 1100);
    assert_int_equal(fired, 1);
}

static void test_wait_is_exact_when_near(void **state)
{
    struct lh_timers timers;
    struct lh_timer near, far;

    (void)state;
    lh_timers_init(&timers, 640);
    lh_timer_init(&near, count);
    lh_timer_init(&far, count);
    lh_timer_arm(&timers, &far, 640 + 3600000);
    lh_timer_arm(&timers, &near, 660);
    assert_int_equal(lh_timers_wait_ms(&timers, 640), 20);
    assert_int_equal(lh_timers_wait_ms(&timers, 655), 5);
    assert_int_equal(lh_timers_wait_ms(&timers, 700), 0);
    /* A disarmed timer does not end a wait. */
    lh_timer_disarm(&near);
    assert_true(lh_timers_wait_ms(&timers, 640) > 20);
    lh_timer_arm(&timers, &far, UINT64_C(1) << 50);
    assert_true(lh_timers_wait_ms(&timers, 640) > 1000000);
    assert_true(lh_timers_wait_ms(&timers, 640) <= INT_MAX);
}

/* Callbacks that arm and disarm. */
static struct lh_timers wheel;
static struct lh_timer other;
static uint64_t again_ms;

static void arm_again(struct lh_timer *timer)
{
    fired++;
    lh_timer_arm(&wheel, timer, again_ms);
}

static void disarm_other(struct lh_timer *timer)
{
    (void)timer;
    fired++;
    lh_timer_disarm(&other);
}

static void test_callbacks(void **state)
{
    struct lh_timer timer;

    (void)state;
    fired = 0;
    again_ms = 50;
    lh_timers_init(&wheel, 0);
    lh_timer_init(&timer, arm_again);
    lh_timer_arm(&wheel, &timer, 100);
    lh_timers_fire(&wheel, 200);
    assert_int_equal(fired, 1); /* a past deadline waits for the next call */
    assert_int_equal(lh_timers_wait_ms(&wheel, 200), 0);
    again_ms = 300;
    lh_timers_fire(&wheel, 200);
    assert_int_equal(fired, 2);
    lh_timers_fire(&wheel, 299);
    assert_int_equal(fired, 2);
    lh_timer_disarm(&timer);

    lh_timer_init(&timer, disarm_other);
    lh_timer_init(&other, count);
    lh_timer_arm(&wheel, &timer, 400);
    lh_timer_arm(&wheel, &other, 400);
    lh_timers_fire(&wheel, 400);
    assert_int_equal(fired, 3);
    assert_int_equal(lh_timers_wait_ms(&wheel, 400), -1);
}

static struct lh_timer *order[8];

static void note(struct lh_timer *timer)
{
    order[fired++] = timer;
}

/* The rest goes before what is armed meanwhile, and a wait ends at once. */
static void test_some(void **state)
{
    struct lh_timer timers[5];

    (void)state;
    fired = 0;
    lh_timers_init(&wheel, 0);
    for (int i = 0; i < 5; i++)
        lh_timer_init(&timers[i], note);
    for (int i = 0; i < 4; i++)
        lh_timer_arm(&wheel, &timers[i], 100);
    assert_true(lh_timers_fire_some(&wheel, 100, 2));
    assert_int_equal(fired, 2);
    assert_int_equal(lh_timers_wait_ms(&wheel, 100), 0);
    lh_timer_arm(&wheel, &timers[4], 50);
    lh_timer_disarm(&timers[2]);
    assert_false(lh_timers_fire_some(&wheel, 100, 2));
    assert_int_equal(fired, 4);
    assert_ptr_equal(order[2], &timers[3]);
    assert_ptr_equal(order[3], &timers[4]);
    assert_false(lh_timers_fire_some(&wheel, 100, 2));
    assert_int_equal(lh_timers_wait_ms(&wheel, 100), -1);
}

/* ---- the model ---- */

#define TIMERS 200

static struct lh_timer random_timers[TIMERS];
static uint64_t model[TIMERS]; /* deadlines; LH_NEVER: not armed */
static uint64_t model_now;

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u; /* xorshift64: the same each run */

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void check_fired(struct lh_timer *timer)
{
    size_t i = (size_t)(timer - random_timers);

    assert_true(model[i] <= model_now);
    model[i] = LH_NEVER;
}

static uint64_t model_next(void)
{
    uint64_t next = LH_NEVER;

    for (size_t i = 0; i < TIMERS; i++)
        next = model[i] < next ? model[i] : next;
    return next;
}

static void check_model(void)
{
    uint64_t next = model_next();
    int wait = lh_timers_wait_ms(&wheel, model_now);

    for (size_t i = 0; i < TIMERS; i++)
        assert_int_equal(lh_timer_armed(&random_timers[i]),
                         model[i] != LH_NEVER);
    if (next == LH_NEVER)
        assert_int_equal(wait, -1);
    else if (next <= model_now)
        assert_int_equal(wait, 0);
    else
        assert_true(wait > 0 && (uint64_t)wait <= next - model_now);
}

static void step_time(void)
{
    /* Mostly small steps, some up to months. */
    uint64_t step = next_random() >> (40 + next_random() % 24);
    int wait = lh_timers_wait_ms(&wheel, model_now);

    if (next_random() % 2 && wait > 0)
        step = (uint64_t)wait;
    model_now += step;
    lh_timers_fire(&wheel, model_now);
    assert_true(model_next() > model_now); /* nothing due was left out */
}

static void test_random_against_model(void **state)
{
    (void)state;
    model_now = 123456789;
    lh_timers_init(&wheel, model_now);
    for (size_t i = 0; i < TIMERS; i++) {
        lh_timer_init(&random_timers[i], check_fired);
        model[i] = LH_NEVER;
    }
    for (int round = 0; round < 30000; round++) {
        size_t i = (size_t)(next_random() % TIMERS);
        uint64_t delay = next_random() >> (20 + next_random() % 44);
        switch (next_random() % 4) {
        case 0:
        case 1:
            model[i] = model_now + delay;
            lh_timer_arm(&wheel, &random_timers[i], model[i]);
            break;
        case 2:
            model[i] = LH_NEVER;
            lh_timer_disarm(&random_timers[i]);
            break;
        default:
            step_time();
        }
        check_model();
    }
}

/* Following the waits alone reaches each deadline, in few steps. */
static void test_waits_lead_there(void **state)
{
    (void)state;
    for (int round = 0; round < 1000; round++) {
        uint64_t now = next_random() >> 24;
        uint64_t deadline = now + 1 + (next_random() >> (28 + round % 36));
        struct lh_timers timers;
        struct lh_timer timer;
        int steps = 0;

        fired = 0;
        lh_timers_init(&timers, now);
        lh_timer_init(&timer, count);
        lh_timer_arm(&timers, &timer, deadline);
        for (; !fired && steps < 100; steps++) {
            int wait = lh_timers_wait_ms(&timers, now);
            assert_true(wait > 0);
            now += (uint64_t)wait;
            lh_timers_fire(&timers, now);
        }
        assert_int_equal(fired, 1);
        assert_true(now == deadline);
        assert_true(steps <= LH_WHEEL_LEVELS + 64);
    }
}

static void test_deadline_adds_up(void **state)
{
    (void)state;
    assert_true(lh_deadline(5, 10) == 15);
    assert_true(lh_deadline(5, LH_NEVER) == LH_NEVER);
    assert_true(lh_deadline(LH_NEVER - 1, 2) == LH_NEVER);
    assert_true(lh_deadline(0, 0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fires_once_and_never_early),
        cmocka_unit_test(test_past_and_never),
        cmocka_unit_test(test_time_does_not_go_back),
        cmocka_unit_test(test_wait_is_exact_when_near),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_some),
        cmocka_unit_test(test_random_against_model),
        cmocka_unit_test(test_waits_lead_there),
        cmocka_unit_test(test_deadline_adds_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
