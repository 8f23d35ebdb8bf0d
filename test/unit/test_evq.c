/* The event queue on pipes and socket pairs. */
#include "os/evq.h"

#include "os/error.h"

#include "lhttpd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

/* Long enough that a test which needs it to run out would be noticed. */
#define LONG_MS 60000

static struct lh_evq q;
static struct lh_event events[LH_EVENTS_MAX];
static int ends[2];

static int set_up(void **state)
{
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    return lh_evq_init(&q);
}

static int tear_down(void **state)
{
    (void)state;
    lh_evq_deinit(&q);
    if (ends[0] >= 0)
        close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    return 0;
}

/* What is ready now, of one descriptor with this tag; 0: nothing. */
static unsigned ready(uint64_t tag)
{
    unsigned n = lh_evq_wait(&q, events, LH_EVENTS_MAX, 0);

    if (n == 0)
        return 0;
    assert_int_equal(n, 1);
    assert_true(events[0].tag == tag);
    return events[0].ready;
}

static void close_end(int i)
{
    close(ends[i]);
    ends[i] = -1;
}

static void test_level_triggered(void **state)
{
    const uint64_t tag = UINT64_MAX - 2;

    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_READ, tag), 0);
    assert_int_equal(ready(tag), 0);
    assert_int_equal(write(ends[1], "ab", 2), 2);
    assert_int_equal(ready(tag), LH_EV_READ);
    assert_int_equal(ready(tag), LH_EV_READ);
    char two[2];
    assert_int_equal(read(ends[0], two, 2), 2);
    assert_int_equal(ready(tag), 0);
    assert_int_equal(lh_evq_change(&q, ends[0], LH_EV_READ | LH_EV_WRITE, 5),
                     0);
    assert_int_equal(ready(5), LH_EV_WRITE);
    lh_evq_forget(&q, ends[0]);
    assert_int_equal(ready(5), 0);
}

static void test_errors(void **state)
{
    (void)state;
    assert_int_equal(lh_evq_add(&q, -1, LH_EV_READ, 1), LH_SYS_EBADF);
    assert_true(lh_evq_change(&q, ends[0], LH_EV_READ, 1) < 0);
    assert_int_equal(lh_evq_add(&q, ends[0], 0, 1), 0);
    assert_int_equal(lh_evq_add(&q, ends[0], 0, 1), -EEXIST);
    lh_evq_forget(&q, ends[1]); /* never added: nothing happens */
}

static void test_fin(void **state)
{
    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_FIN, 1), 0);
    assert_int_equal(ready(1), 0);
    shutdown(ends[1], SHUT_WR);
    assert_int_equal(ready(1), LH_EV_FIN);
    assert_int_equal(lh_evq_change(&q, ends[0], LH_EV_READ | LH_EV_FIN, 1), 0);
    assert_int_equal(ready(1), LH_EV_READ | LH_EV_FIN);
    /* Paused: a FIN that is known must not report over and over. */
    assert_int_equal(lh_evq_change(&q, ends[0], 0, 1), 0);
    assert_int_equal(ready(1), 0);
}

static void test_lost_without_interest(void **state)
{
    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], 0, 1), 0);
    assert_int_equal(write(ends[0], "a", 1), 1);
    assert_int_equal(ready(1), 0);
    close_end(1); /* and never read what we sent, which Linux alone tells */
    assert_int_equal(ready(1) | LH_EV_LOST, LH_EV_LOST | LH_EV_HANGUP);
}

static void test_hangup_without_interest(void **state)
{
    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], 0, 1), 0);
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(ready(1), 0);
    close_end(1);
    assert_int_equal(ready(1), LH_EV_HANGUP);
}

static void test_pipe(void **state)
{
    int p[2];

    (void)state;
    assert_int_equal(pipe2(p, O_NONBLOCK), 0);
    assert_int_equal(lh_evq_add(&q, p[0], LH_EV_READ, 1), 0);
    assert_int_equal(write(p[1], "a", 1), 1);
    assert_int_equal(ready(1), LH_EV_READ);
    close(p[1]);
    assert_int_equal(ready(1), LH_EV_READ | LH_EV_HANGUP);
    close(p[0]);
}

static void test_one_shot(void **state)
{
    const unsigned interest = LH_EV_READ | LH_EV_ONESHOT;

    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], interest, 1), 0);
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(ready(1), LH_EV_READ);
    assert_int_equal(ready(1), 0);
    assert_int_equal(lh_evq_change(&q, ends[0], interest, 2), 0);
    assert_int_equal(ready(2), LH_EV_READ);
    assert_int_equal(ready(2), 0);
}

/* As between workers: armed in the other's queue, which waits already. */
static void *arm(void *arg)
{
    (void)arg;
    lh_evq_arm(&q, ends[0], 1);
    return NULL;
}

static void test_armed_by_another_thread(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_READ | LH_EV_ONESHOT, 1), 0);
    assert_int_equal(ready(1), LH_EV_READ);
    assert_int_equal(pthread_create(&thread, NULL, arm, NULL), 0);
    assert_int_equal(lh_evq_wait(&q, events, LH_EVENTS_MAX, LONG_MS), 1);
    assert_true(events[0].tag == 1);
    pthread_join(thread, NULL);
}

static void test_more_than_asked_for(void **state)
{
    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_WRITE, 1), 0);
    assert_int_equal(lh_evq_add(&q, ends[1], LH_EV_WRITE, 2), 0);
    assert_int_equal(lh_evq_wait(&q, events, 1, 0), 1);
    uint64_t first = events[0].tag;
    assert_int_equal(lh_evq_wait(&q, events, 1, 0), 1);
    assert_true(events[0].tag == 3 - first); /* the other has its turn */
    assert_int_equal(lh_evq_wait(&q, events, 100000, 0), 2);
}

static void test_wake_before(void **state)
{
    (void)state;
    lh_evq_wake(&q);
    lh_evq_wake(&q);
    assert_int_equal(lh_evq_wait(&q, events, LH_EVENTS_MAX, LONG_MS), 0);
    /* All wakes are taken by one wait. */
    struct pollfd more = {.fd = q.fd, .events = POLLIN};
    assert_int_equal(poll(&more, 1, 0), 0);
    lh_evq_add(&q, ends[0], LH_EV_WRITE, 1);
    lh_evq_wake(&q);
    assert_int_equal(ready(1), LH_EV_WRITE);
}

static void *wake(void *arg)
{
    (void)arg;
    usleep(20000); /* usually the wait has begun by then; either is right */
    lh_evq_wake(&q);
    return NULL;
}

static void test_wake_during(void **state)
{
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, wake, NULL), 0);
    assert_int_equal(lh_evq_wait(&q, events, LH_EVENTS_MAX, -1), 0);
    pthread_join(thread, NULL);
}

static void wake_on_signal(int number)
{
    (void)number;
    lh_evq_wake(&q);
}

/* The handler's wake ends the wait, whether the signal comes before it or
 * interrupts it. */
static void test_signal(void **state)
{
    struct sigaction action = {.sa_handler = wake_on_signal}, old;
    struct itimerval soon = {.it_value = {.tv_usec = 20000}};

    (void)state;
    assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    assert_int_equal(lh_evq_wait(&q, events, LH_EVENTS_MAX, -1), 0);
    assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
}

static void test_descriptors(void **state)
{
    (void)state;
    assert_true(fcntl(q.fd, F_GETFD) & FD_CLOEXEC);
    if (q.wake_fd >= 0)
        assert_true(fcntl(q.wake_fd, F_GETFD) & FD_CLOEXEC);
}

static void test_no_descriptors(void **state)
{
    struct rlimit old, few;
    struct lh_evq other;

    (void)state;
    int next = dup(0); /* the lowest free number */
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    for (int more = 0; more < (q.wake_fd < 0 ? 1 : 2); more++) {
        few.rlim_cur = (rlim_t)(next + more);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_int_equal(lh_evq_init(&other), LH_SYS_EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(fcntl(next, F_GETFD), -1); /* nothing left open */
    }
    lh_evq_deinit(&other); /* allowed after a failure */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* What watches the queue's descriptor is told of the time. */
static void test_timer(void **state)
{
    struct lh_event event;
    struct lh_evq timed;

    (void)state;
    assert_int_equal(lh_evq_init(&timed), 0);
    assert_int_equal(lh_evq_add_timer(&timed), 0);
    struct pollfd p = {timed.fd, POLLIN, 0};
    assert_int_equal(poll(&p, 1, 0), 0);
    lh_evq_wake(&timed);
    if (poll(&p, 1, 0) == 0) {
        lh_evq_deinit(&timed);
        skip(); /* libkqueue on Linux: its descriptor tells nothing */
    }
    assert_int_equal(lh_evq_wait(&timed, &event, 1, 0), 0);
    for (int ms = 0; ms < 2; ms++) {
        lh_evq_set_timer(&timed, ms);
        assert_true(timed.timer_set);
        assert_int_equal(poll(&p, 1, 20000), 1);
        assert_int_equal(lh_evq_wait(&timed, &event, 1, 0), 0);
        assert_false(timed.timer_set);
        assert_int_equal(poll(&p, 1, 0), 0);
    }
    lh_evq_set_timer(&timed, 0);
    lh_evq_set_timer(&timed, -1);
    assert_int_equal(poll(&p, 1, 0), 0);
    lh_evq_deinit(&timed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer),
        TEST(test_level_triggered),
        TEST(test_errors),
        TEST(test_fin),
        TEST(test_lost_without_interest),
        TEST(test_hangup_without_interest),
        TEST(test_pipe),
        TEST(test_one_shot),
        TEST(test_armed_by_another_thread),
        TEST(test_more_than_asked_for),
        TEST(test_wake_before),
        TEST(test_wake_during),
        TEST(test_signal),
        TEST(test_descriptors),
        TEST(test_no_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
