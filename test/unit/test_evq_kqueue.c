/*
 * The event queue by kqueue on a model of FreeBSD's kernel: what it says of a
 * filter that is there already, as libkqueue does not.  Readiness is asked of
 * this system's poll(), and nothing waits.
 */
#include "os/evq_kqueue.c"

#include "os/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

/* --- the model ------------------------------------------------------------ */

#define NOTES 64

struct note {
    struct kevent of; /* flags: what it was added with, for good */
    bool used, disabled, triggered;
    int told; /* EV_CLEAR: what was reported last */
};

static struct note notes[NOTES];
static struct kevent last_timer;

static bool is_of_descriptor(const struct kevent *k)
{
    return k->filter == EVFILT_READ || k->filter == EVFILT_WRITE;
}

static struct note *find_note(const struct kevent *k)
{
    for (int i = 0; i < NOTES; i++)
        if (notes[i].used && notes[i].of.ident == k->ident &&
            notes[i].of.filter == k->filter)
            return &notes[i];
    return NULL;
}

static int state_of(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = (short)(events | POLLRDHUP)};

    return poll(&p, 1, 0) < 0 ? 0 : p.revents;
}

/* A pipe's other end has gone: no filter is attached for writing to it. */
static int attach_error(const struct kevent *k)
{
    if (!is_of_descriptor(k))
        return 0;
    if (fcntl((int)k->ident, F_GETFD) < 0)
        return EBADF;
    return k->filter == EVFILT_WRITE && state_of((int)k->ident, 0) & POLLERR
               ? EPIPE
               : 0;
}

static int add_note(const struct kevent *k)
{
    int error = k->flags & EV_ADD ? attach_error(k) : ENOENT;

    for (int i = 0; i < NOTES && error == 0; i++) {
        if (notes[i].used)
            continue;
        notes[i] = (struct note){.of = *k, .used = true};
        notes[i].disabled = (k->flags & EV_DISABLE) != 0;
        return 0;
    }
    return error ? error : ENOMEM;
}

/* One that is there keeps its flags, and only EV_ENABLE enables it. */
static int apply(const struct kevent *k)
{
    struct note *note = find_note(k);

    if (k->filter == EVFILT_TIMER)
        last_timer = *k;
    if (!note)
        return add_note(k);
    if (k->flags & EV_DELETE) {
        note->used = false;
        return 0;
    }
    if (k->flags & EV_ENABLE)
        note->disabled = false;
    else if (k->flags & EV_DISABLE)
        note->disabled = true;
    note->triggered |= (k->fflags & NOTE_TRIGGER) != 0;
    note->of.fflags = k->fflags;
    note->of.data = k->data;
    note->of.udata = k->udata;
    return 0;
}

/* What there is to tell; 0: nothing. */
static int news_of(const struct note *note, unsigned short *flags)
{
    int fd = (int)note->of.ident, has, room = 0;

    *flags = 0;
    if (!is_of_descriptor(&note->of))
        return note->triggered;
    bool reads = note->of.filter == EVFILT_READ;
    has = state_of(fd, reads ? POLLIN : POLLOUT);
    if (has & (reads ? POLLRDHUP | POLLHUP : POLLERR | POLLHUP))
        *flags = EV_EOF;
    else if (note->of.fflags & NOTE_LOWAT)
        return 0;
    if (reads && ioctl(fd, FIONREAD, &room) < 0)
        room = 0;
    return has ? has + (room << 8) : 0;
}

static bool report(struct note *note, struct kevent *to)
{
    unsigned short flags;
    int news = news_of(note, &flags);

    if (note->disabled || news == 0 ||
        (note->of.flags & EV_CLEAR && news == note->told))
        return false;
    note->told = news;
    *to = note->of;
    to->flags |= flags;
    to->fflags = 0;
    if (note->of.flags & EV_DISPATCH)
        note->disabled = true;
    if (note->of.flags & EV_CLEAR)
        note->triggered = false;
    return true;
}

int kqueue(void)
{
    return eventfd(0, 0);
}

/* Where there is no room for an error the call ends with it. */
int kevent(int queue, const struct kevent *changes, int changes_n,
           struct kevent *events, int events_n, const struct timespec *time)
{
    int n = 0;

    (void)queue;
    (void)time;
    for (int i = 0; i < changes_n; i++) {
        int error = apply(&changes[i]);
        if (error == 0 && !(changes[i].flags & EV_RECEIPT))
            continue;
        if (n == events_n) {
            errno = error;
            return error ? -1 : n;
        }
        events[n] = changes[i];
        events[n].flags = EV_ERROR;
        events[n++].data = error;
    }
    for (int i = 0, errors = n; i < NOTES && errors == 0 && n < events_n; i++)
        n += notes[i].used && report(&notes[i], &events[n]);
    return n;
}

/* --- the tests ------------------------------------------------------------ */

static struct lh_evq q;
static struct lh_event events[LH_EVENTS_MAX];
static int ends[2];

static int set_up(void **state)
{
    (void)state;
    memset(notes, 0, sizeof(notes));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    return lh_evq_init(&q);
}

static int tear_down(void **state)
{
    (void)state;
    lh_evq_deinit(&q);
    close(ends[0]);
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

static unsigned notes_used(void)
{
    unsigned n = 0;

    for (int i = 0; i < NOTES; i++)
        n += notes[i].used && is_of_descriptor(&notes[i].of);
    return n;
}

/* As a socket that was dialled and is then a script's. */
static void test_added_again(void **state)
{
    const unsigned writing = LH_EV_WRITE | LH_EV_ONESHOT;

    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], writing, 1), 0);
    assert_int_equal(ready(1), LH_EV_WRITE);
    lh_evq_forget(&q, ends[0]);
    assert_int_equal(notes_used(), 0);
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_ONESHOT, 2), 0);
    assert_int_equal(ready(2), 0);
    assert_int_equal(lh_evq_change(&q, ends[0], writing, 2), 0);
    assert_int_equal(ready(2), LH_EV_WRITE);
    assert_int_equal(ready(2), 0);
}

/* What somebody else waited for is not told to who has it now. */
static void test_added_for_something_else(void **state)
{
    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_READ | LH_EV_ONESHOT, 1), 0);
    assert_int_equal(ready(1), 0);
    lh_evq_forget(&q, ends[0]);
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_WRITE | LH_EV_ONESHOT, 2),
                     0);
    assert_int_equal(ready(2), LH_EV_WRITE);
}

static void test_one_shot_becomes_level(void **state)
{
    (void)state;
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_READ | LH_EV_ONESHOT, 1), 0);
    assert_int_equal(ready(1), LH_EV_READ);
    lh_evq_forget(&q, ends[0]);
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_READ, 2), 0);
    assert_int_equal(ready(2), LH_EV_READ);
    assert_int_equal(ready(2), LH_EV_READ);
    assert_int_equal(lh_evq_change(&q, ends[0], LH_EV_READ | LH_EV_ONESHOT, 3),
                     0);
    assert_int_equal(ready(3), LH_EV_READ);
    assert_int_equal(ready(3), 0);
}

static void test_end_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_FIN, 1), 0);
    assert_int_equal(write(ends[1], "a", 1), 1);
    assert_int_equal(ready(1), 0);
    shutdown(ends[1], SHUT_WR);
    assert_int_equal(ready(1), LH_EV_FIN);
    assert_int_equal(ready(1), 0);
    assert_int_equal(lh_evq_change(&q, ends[0], LH_EV_READ, 1), 0);
    assert_int_equal(ready(1), LH_EV_READ);
    assert_int_equal(ready(1), LH_EV_READ);
}

/* As by epoll it counts as ready, and writing says why. */
static void test_pipe_without_reader(void **state)
{
    int p[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    close(p[0]);
    assert_int_equal(lh_evq_add(&q, p[1], LH_EV_WRITE | LH_EV_ONESHOT, 1),
                     LH_SYS_EPERM);
    assert_int_equal(notes_used(), 0);
    close(p[1]);
}

static void test_reader_goes_later(void **state)
{
    int p[2];

    (void)state;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(lh_evq_add(&q, p[1], LH_EV_ONESHOT, 1), 0);
    close(p[0]);
    assert_int_equal(lh_evq_change(&q, p[1], LH_EV_WRITE | LH_EV_ONESHOT, 1),
                     0);
    assert_int_equal(ready(1), LH_EV_LOST);
    lh_evq_forget(&q, p[1]);
    close(p[1]);
}

/* The number has 32 bits on some processors. */
static void test_long_time(void **state)
{
    (void)state;
    lh_evq_set_timer(&q, INT_MAX);
    assert_true(last_timer.fflags == 0); /* milliseconds */
    assert_true(last_timer.data == INT_MAX);
    lh_evq_set_timer(&q, 0);
    assert_true(last_timer.data > 0);
    lh_evq_set_timer(&q, -1);
    assert_true(last_timer.flags & EV_DELETE);
}

static void test_wake(void **state)
{
    (void)state;
    lh_evq_wake(&q);
    assert_int_equal(lh_evq_wait(&q, events, LH_EVENTS_MAX, 0), 0);
    assert_int_equal(lh_evq_add(&q, ends[0], LH_EV_WRITE, 1), 0);
    lh_evq_wake(&q);
    assert_int_equal(ready(1), LH_EV_WRITE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_added_again),
        TEST(test_added_for_something_else),
        TEST(test_one_shot_becomes_level),
        TEST(test_end_is_told_once),
        TEST(test_pipe_without_reader),
        TEST(test_reader_goes_later),
        TEST(test_long_time),
        TEST(test_wake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
