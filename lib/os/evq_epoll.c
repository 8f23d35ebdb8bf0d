/*
 * The event queue by epoll, woken by an eventfd: see evq.h.
 *
 * What always holds: all that there is to know of a descriptor is in the
 * kernel, which is told of each change at once; and events that are not
 * one-shot are level-triggered: what is left in one turn is reported in the
 * next.
 */
#include "os/evq.h"

#include "os/fd.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* The tags of the wake descriptor and of the timer; no slot and generation make
 * these numbers. */
#define WAKE_TAG  UINT64_MAX
#define TIMER_TAG (UINT64_MAX - 1)

/* Errors and hang-ups are reported whether asked for or not. */
static uint32_t to_epoll(unsigned interest)
{
    uint32_t events = 0;

    if (interest & LH_EV_READ)
        events |= EPOLLIN;
    if (interest & LH_EV_WRITE)
        events |= EPOLLOUT;
    if (interest & LH_EV_FIN)
        events |= EPOLLRDHUP;
    if (interest & LH_EV_ONESHOT)
        events |= EPOLLONESHOT;
    return events;
}

static unsigned from_epoll(uint32_t events)
{
    unsigned ready = 0;

    if (events & EPOLLIN)
        ready |= LH_EV_READ;
    if (events & EPOLLOUT)
        ready |= LH_EV_WRITE;
    if (events & EPOLLRDHUP)
        ready |= LH_EV_FIN;
    if (events & EPOLLERR)
        ready |= LH_EV_LOST;
    if (events & EPOLLHUP)
        ready |= LH_EV_HANGUP;
    return ready;
}

/* The tag travels in the event's user data, all of its 64 bits. */
static int control(struct lh_evq *q, int op, int fd, uint32_t events,
                   uint64_t tag)
{
    struct epoll_event event = {.events = events, .data.u64 = tag};

    return epoll_ctl(q->fd, op, fd, &event) == 0 ? 0 : -errno;
}

int lh_evq_init(struct lh_evq *q)
{
    *q = (struct lh_evq){.wake_fd = -1, .timer_fd = -1};
    q->fd = lh_fd_above(epoll_create1(EPOLL_CLOEXEC));
    if (q->fd < 0)
        return q->fd;
    q->wake_fd = lh_fd_above(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int r = q->wake_fd < 0
                ? q->wake_fd
                : control(q, EPOLL_CTL_ADD, q->wake_fd, EPOLLIN, WAKE_TAG);
    if (r < 0)
        lh_evq_deinit(q);
    return r;
}

/* Also for one that could not be made: what is open of it is closed. */
void lh_evq_deinit(struct lh_evq *q)
{
    if (q->wake_fd >= 0)
        close(q->wake_fd);
    if (q->timer_fd >= 0)
        close(q->timer_fd);
    if (q->fd >= 0)
        close(q->fd);
    q->fd = q->wake_fd = q->timer_fd = -1;
}

int lh_evq_add(struct lh_evq *q, int fd, unsigned interest, uint64_t tag)
{
    assert(tag < TIMER_TAG);
    return control(q, EPOLL_CTL_ADD, fd, to_epoll(interest), tag);
}

int lh_evq_change(struct lh_evq *q, int fd, unsigned interest, uint64_t tag)
{
    assert(tag < TIMER_TAG);
    return control(q, EPOLL_CTL_MOD, fd, to_epoll(interest), tag);
}

int lh_evq_arm(struct lh_evq *q, int fd, uint64_t tag)
{
    return lh_evq_change(q, fd, LH_EV_READ | LH_EV_ONESHOT, tag);
}

/* The kernel is always told at once. */
void lh_evq_flush(struct lh_evq *q)
{
    (void)q;
}

/* A descriptor that is closed without it would still report if a forked child
 * has it. */
void lh_evq_forget(struct lh_evq *q, int fd)
{
    control(q, EPOLL_CTL_DEL, fd, 0, 0);
}

int lh_evq_add_timer(struct lh_evq *q)
{
    int flags = TFD_CLOEXEC | TFD_NONBLOCK;

    q->timer_fd = lh_fd_above(timerfd_create(CLOCK_MONOTONIC, flags));
    if (q->timer_fd < 0)
        return q->timer_fd;
    return control(q, EPOLL_CTL_ADD, q->timer_fd, EPOLLIN, TIMER_TAG);
}

/* A time of zero would be none at all. */
void lh_evq_set_timer(struct lh_evq *q, int timeout_ms)
{
    struct itimerspec at = {.it_value.tv_nsec = 0};
    int old_errno = errno;

    if (timeout_ms >= 0) {
        at.it_value.tv_sec = timeout_ms / 1000;
        at.it_value.tv_nsec = timeout_ms % 1000 * 1000000L + (timeout_ms == 0);
    }
    timerfd_settime(q->timer_fd, 0, &at, NULL);
    q->timer_set = timeout_ms >= 0;
    errno = old_errno;
}

static void drain_own(struct lh_evq *q, uint64_t tag)
{
    int fd = tag == WAKE_TAG ? q->wake_fd : q->timer_fd;
    uint64_t count;

    q->timer_set &= tag != TIMER_TAG;

    /* One read takes it all.  Nothing is there when a signal handler's wake was
     * already taken; nothing is to be done then either. */
    if (read(fd, &count, sizeof(count)) < 0)
        return;
}

/* One call fetches what has happened.  A signal ends the wait with nothing,
 * so that the caller looks at what the handler has set. */
unsigned lh_evq_wait(struct lh_evq *q, struct lh_event *events, unsigned max,
                     int timeout_ms)
{
    struct epoll_event found[LH_EVENTS_MAX];
    unsigned n = 0;

    if (max > LH_EVENTS_MAX)
        max = LH_EVENTS_MAX;
    int got = epoll_wait(q->fd, found, (int)max, timeout_ms);
    for (int i = 0; i < got; i++) {
        if (found[i].data.u64 >= TIMER_TAG) {
            drain_own(q, found[i].data.u64);
            continue;
        }
        events[n].tag = found[i].data.u64;
        events[n++].ready = from_epoll(found[i].events);
    }
    return n;
}

void lh_evq_waker_wake(int waker)
{
    uint64_t one = 1;
    int old_errno = errno;

    /* It fails only when 2^64 - 2 wakes wait, and these are enough. */
    if (waker >= 0 && write(waker, &one, sizeof(one)) < 0)
        errno = old_errno;
}

void lh_evq_wake(struct lh_evq *q)
{
    lh_evq_waker_wake(q->wake_fd);
}

int lh_evq_waker(const struct lh_evq *q)
{
    return lh_fd_duplicate(q->wake_fd);
}

void lh_evq_waker_close(int waker)
{
    if (waker >= 0)
        close(waker);
}
