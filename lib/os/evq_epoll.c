/* The event queue by epoll, woken by an eventfd: see evq.h. */
#include "os/evq.h"

#include "os/fd.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The wake descriptor's tag; no slot and generation make this number. */
#define WAKE_TAG UINT64_MAX

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
    q->wake_fd = -1;
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
    if (q->fd >= 0)
        close(q->fd);
    q->fd = q->wake_fd = -1;
}

int lh_evq_add(struct lh_evq *q, int fd, unsigned interest, uint64_t tag)
{
    assert(tag != WAKE_TAG);
    return control(q, EPOLL_CTL_ADD, fd, to_epoll(interest), tag);
}

int lh_evq_change(struct lh_evq *q, int fd, unsigned interest, uint64_t tag)
{
    assert(tag != WAKE_TAG);
    return control(q, EPOLL_CTL_MOD, fd, to_epoll(interest), tag);
}

/* A descriptor that is closed without it would still report if a forked child
 * has it. */
void lh_evq_forget(struct lh_evq *q, int fd)
{
    control(q, EPOLL_CTL_DEL, fd, 0, 0);
}

static void drain_wakes(struct lh_evq *q)
{
    uint64_t wakes;

    /* One read takes them all.  None is there when a signal handler's wake was
     * already taken; nothing is to be done then either. */
    if (read(q->wake_fd, &wakes, sizeof(wakes)) < 0)
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
        if (found[i].data.u64 == WAKE_TAG) {
            drain_wakes(q);
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
