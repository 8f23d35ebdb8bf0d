/* Ports: each message is delivered once, also after the worker's end. */
#include "os/port.h"

#include "base/list.h"
#include "lib/heap.h"
#include "os/evq.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct counted {
    struct lh_port_message message;
    _Atomic int times;
};

static void count(struct lh_port_message *message)
{
    atomic_fetch_add(&LH_OF(message, struct counted, message)->times, 1);
}

static void test_wakes(void **state)
{
    struct counted a = {.message.deliver = count};
    struct counted b = {.message.deliver = count};
    struct lh_event event;
    struct lh_evq evq;

    (void)state;
    assert_int_equal(lh_evq_init(&evq), 0);
    struct lh_port *port = lh_port_new(&evq);
    assert_non_null(port);
    assert_true(lh_port_is_ours(port));
    lh_port_post(port, &a.message);
    lh_port_post(port, &b.message);
    assert_int_equal(lh_evq_wait(&evq, &event, 1, 10000), 0);
    assert_int_equal(a.times, 0);
    lh_port_deliver(port);
    assert_int_equal(a.times + b.times, 2);
    lh_port_close(port);
    lh_evq_deinit(&evq);
}

static void test_after_the_end(void **state)
{
    struct counted a = {.message.deliver = count};
    struct counted b = {.message.deliver = count};

    (void)state;
    test_heap_install();
    struct lh_port *port = lh_port_new(NULL);
    assert_non_null(port);
    lh_port_hold(port);
    lh_port_post(port, &a.message);
    lh_port_close(port);
    assert_int_equal(a.times, 1);
    lh_port_post(port, &b.message);
    assert_int_equal(b.times, 1);
    lh_port_drop(port);
    lh_port_close(NULL);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

/* --- a race with the end -------------------------------------------------- */

#define ROUNDS 300
#define POSTS  50

static struct counted all[POSTS];

static void *post_all(void *arg)
{
    struct lh_port *port = arg;

    for (int i = 0; i < POSTS; i++)
        lh_port_post(port, &all[i].message);
    lh_port_drop(port);
    return NULL;
}

static void test_race(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct lh_port *port = lh_port_new(NULL);
        pthread_t thread;
        for (int i = 0; i < POSTS; i++)
            all[i] = (struct counted){.message.deliver = count};
        lh_port_hold(port);
        pthread_create(&thread, NULL, post_all, port);
        for (int i = 0; i < round % 10; i++)
            lh_port_deliver(port);
        lh_port_close(port);
        pthread_join(thread, NULL);
        for (int i = 0; i < POSTS; i++)
            assert_int_equal(all[i].times, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wakes),
        cmocka_unit_test(test_after_the_end),
        cmocka_unit_test(test_race),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
