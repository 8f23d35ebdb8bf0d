/*
 * Ends of operations by SIGEV_THREAD and a pipe: see aio_announce.h.  It is
 * what the unit tests use; a thread for each end would be too slow to serve
 * with.
 */
#include "os/aio_announce.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What the pipe carries for each operation that has ended. */
#define ADDRESS sizeof(void *)

static int watch_both(int queue, int one, int other)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(queue, EPOLL_CTL_ADD, one, &event) < 0 ||
                   epoll_ctl(queue, EPOLL_CTL_ADD, other, &event) < 0
               ? -errno
               : 0;
}

int lh_announcer_init(struct lh_announcer *a, int also)
{
    int r = lh_fd_pipe(a->pipe, O_NONBLOCK);

    if (r < 0)
        return r;
    a->fd = lh_fd_above(epoll_create1(EPOLL_CLOEXEC));
    r = a->fd < 0 ? a->fd : watch_both(a->fd, a->pipe[0], also);
    if (r < 0)
        lh_announcer_deinit(a);
    return r;
}

void lh_announcer_deinit(struct lh_announcer *a)
{
    close(a->pipe[0]);
    close(a->pipe[1]);
    if (a->fd >= 0)
        close(a->fd);
}

/* The pipe has room for all that may be under way. */
static void announce(union sigval value)
{
    struct lh_announcement *operation = value.sival_ptr;

    while (write(operation->to, &operation, ADDRESS) < 0 && errno == EINTR)
        continue;
}

void lh_announce_end(const struct lh_announcer *a, struct sigevent *event,
                     struct lh_announcement *operation)
{
    operation->to = a->pipe[1];
    memset(event, 0, sizeof(*event));
    event->sigev_notify = SIGEV_THREAD;
    event->sigev_notify_function = announce;
    event->sigev_value.sival_ptr = operation;
}

unsigned lh_announced(struct lh_announcer *a, struct lh_announcement **ended,
                      unsigned max)
{
    ssize_t n = read(a->pipe[0], ended, max * ADDRESS);

    return n < 0 ? 0 : (unsigned)((size_t)n / ADDRESS);
}
