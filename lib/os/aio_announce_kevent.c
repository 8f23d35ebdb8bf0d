/* Ends of operations as events of a kqueue: see aio_announce.h. */
#include "os/aio_announce.h"

#include "os/fd.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 64

int lh_announcer_init(struct lh_announcer *a, int also)
{
    struct kevent change;

    a->pipe[0] = a->pipe[1] = -1;
    a->fd = lh_fd_above(kqueue());
    if (a->fd < 0)
        return a->fd;
    EV_SET(&change, (uintptr_t)also, EVFILT_READ, EV_ADD, 0, 0, NULL);
    if (kevent(a->fd, &change, 1, NULL, 0, NULL) == 0)
        return 0;
    int error = -errno;
    close(a->fd);
    return error;
}

void lh_announcer_deinit(struct lh_announcer *a)
{
    close(a->fd);
}

void lh_announce_end(const struct lh_announcer *a, struct sigevent *event,
                     struct lh_announcement *operation)
{
    memset(event, 0, sizeof(*event));
    event->sigev_notify = SIGEV_KEVENT;
    event->sigev_notify_kqueue = a->fd;
    event->sigev_notify_kevent_flags = EV_ONESHOT;
    event->sigev_value.sival_ptr = operation;
}

/* The other descriptor reports too; its owner looks by itself. */
unsigned lh_announced(struct lh_announcer *a, struct lh_announcement **ended,
                      unsigned max)
{
    static const struct timespec now = {0, 0};
    struct kevent got[AT_ONCE];
    unsigned n = 0;
    int most = max < AT_ONCE ? (int)max : AT_ONCE;

    most = kevent(a->fd, NULL, 0, got, most, &now);
    for (int i = 0; i < most; i++)
        if (got[i].filter == EVFILT_AIO)
            ended[n++] = got[i].udata;
    return n;
}
