/*
 * The event queue by kqueue, woken by a user event: see evq.h.
 *
 * What is asked for is noted for each descriptor.  Where that differs from what
 * the kernel was told last, the descriptor is in `dirty`, and the next wait's
 * one call carries the difference.  So what was changed and changed back in a
 * turn costs nothing, and of a descriptor that is closed nothing is pending.
 *
 * The table is the owner's.  Another thread arms a filter that is in the kernel
 * already, and triggers the wake; both are one call that changes nothing here.
 */
#include "os/evq.h"

#include "base/mem.h"
#include "os/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of the wake and the timer, among their kinds. */
#define WAKE_IDENT  0
#define TIMER_IDENT 0

/* Changes that one call carries, four of a descriptor at most. */
#define CHANGES    LH_EVENTS_MAX
#define CHANGES_OF 4

/* What one of the two filters of a descriptor is in the kernel. */
enum mode {
    OFF,   /* not there */
    LEVEL, /* reports while it is ready */
    END,   /* reports the end of its direction, once */
    ARMED, /* reports once */
    SPENT, /* that has been, or it was not armed yet */
};

enum { READING, WRITING, FILTERS };

static const short filter_of[FILTERS] = {EVFILT_READ, EVFILT_WRITE};
static const unsigned ready_of[FILTERS] = {LH_EV_READ, LH_EV_WRITE};

struct lh_evq_watch {
    uint64_t tag;
    uint8_t interest;
    uint8_t mode[FILTERS];
    bool used;
    bool is_dirty;
    bool fin;    /* the peer has ended its direction */
    unsigned at; /* its event of this wait, counted from 1; 0: none yet */
};

/* What the data of an event of a waker is. */
static char waker_mark;

/* --- the table ------------------------------------------------------------ */

static struct lh_evq_watch *watch_of(const struct lh_evq *q, int fd)
{
    if (fd < 0 || (unsigned)fd >= q->watches_n || !q->watches[fd].used)
        return NULL;
    return &q->watches[fd];
}

/* Both have room for the same number, so that marking never fails. */
static int grow_table(struct lh_evq *q, int fd)
{
    unsigned old = q->watches_n, n = old ? old : 16;

    if ((unsigned)fd < old)
        return 0;
    while (n <= (unsigned)fd)
        n *= 2;
    struct lh_evq_watch *watches = lh_realloc(q->watches, n * sizeof(*watches));
    if (!watches)
        return -ENOMEM;
    q->watches = watches;
    int *dirty = lh_realloc(q->dirty, n * sizeof(*dirty));
    if (!dirty)
        return -ENOMEM;
    q->dirty = dirty;
    memset(watches + old, 0, (n - old) * sizeof(*watches));
    q->watches_n = n;
    return 0;
}

static void mark(struct lh_evq *q, int fd)
{
    struct lh_evq_watch *watch = &q->watches[fd];

    if (watch->is_dirty)
        return;
    watch->is_dirty = true;
    q->dirty[q->dirty_n++] = fd;
}

/* --- changes -------------------------------------------------------------- */

/* The end of the other's direction shows in reading.  Once that has come and
 * nobody asks for more, the end of ours shows in writing: both are a hang-up.
 * Never both filters look for an end, as libkqueue mixes their flags up. */
static enum mode wanted_mode(const struct lh_evq_watch *watch, int filter)
{
    unsigned interest = watch->interest;
    bool asked = (interest & ready_of[filter]) != 0;

    if (!watch->used)
        return OFF;
    if (interest & LH_EV_ONESHOT)
        return asked ? ARMED : watch->mode[filter] ? SPENT : OFF;
    if (asked)
        return LEVEL;
    bool reads = !watch->fin || (interest & (LH_EV_READ | LH_EV_FIN));
    return reads == (filter == READING) ? END : OFF;
}

/* Flags cannot be changed later.  No socket has so much room or so many octets:
 * it reports its end alone; where the system does not go by that (pipes, and
 * the library on Linux, which would set an option of the socket) EV_CLEAR keeps
 * it from reporting over and over. */
static void put_filter(struct kevent *to, int fd, int filter, enum mode mode)
{
    unsigned short flags = EV_ADD;
    unsigned fflags = 0;
    intptr_t most = 0;

    if (mode == ARMED)
        flags |= EV_DISPATCH;
    if (mode == END)
        flags |= EV_CLEAR;
    if (mode == END && !LHTTPD_LIBKQUEUE) {
        fflags = NOTE_LOWAT;
        most = INT_MAX;
    }
    EV_SET(to, (uintptr_t)fd, filter_of[filter], flags, fflags, most, NULL);
}

static void put_flags(struct kevent *to, int fd, int filter,
                      unsigned short flags)
{
    EV_SET(to, (uintptr_t)fd, filter_of[filter], flags, 0, 0, NULL);
}

/* Returns how many changes it has put there. */
static unsigned put_change(struct kevent *to, int fd, int filter, enum mode is,
                           enum mode wanted)
{
    unsigned n = 0;

    if (is == wanted)
        return 0;
    if (is == SPENT && wanted == ARMED) {
        put_flags(to, fd, filter, EV_ENABLE);
        return 1;
    }
    if (is == ARMED && wanted == SPENT) {
        put_flags(to, fd, filter, EV_DISABLE);
        return 1;
    }
    if (is != OFF)
        put_flags(&to[n++], fd, filter, EV_DELETE);
    if (wanted != OFF)
        put_filter(&to[n++], fd, filter, wanted);
    return n;
}

/* As many as one call carries; the rest stays. */
static unsigned take_changes(struct lh_evq *q, struct kevent *changes)
{
    unsigned n = 0;

    while (q->dirty_n > 0 && n + CHANGES_OF <= CHANGES) {
        int fd = q->dirty[--q->dirty_n];
        struct lh_evq_watch *watch = &q->watches[fd];
        watch->is_dirty = false;
        for (int i = 0; i < FILTERS; i++) {
            enum mode wanted = wanted_mode(watch, i);
            n += put_change(&changes[n], fd, i, watch->mode[i], wanted);
            watch->mode[i] = (uint8_t)wanted;
        }
    }
    return n;
}

/* At once; none of them may fail in a way that matters. */
static int tell(const struct lh_evq *q, const struct kevent *change)
{
    return kevent(q->fd, change, 1, NULL, 0, NULL) < 0 ? -errno : 0;
}

/* --- events --------------------------------------------------------------- */

struct found {
    struct lh_event *events;
    unsigned n;
};

/* Both filters of a descriptor report in one event. */
static void add_event(struct found *found, struct lh_evq_watch *watch,
                      unsigned ready)
{
    if (watch->at == 0) {
        watch->at = ++found->n;
        found->events[watch->at - 1] = (struct lh_event){.tag = watch->tag};
    }
    found->events[watch->at - 1].ready |= ready;
}

/* Have both directions ended?  The kernel's poll knows. */
static unsigned look_at_end(int fd)
{
    struct pollfd p = {.fd = fd};
    unsigned ready = 0;

    if (poll(&p, 1, 0) <= 0)
        return 0;
    if (p.revents & POLLHUP)
        ready |= LH_EV_HANGUP;
    if (p.revents & POLLERR)
        ready |= LH_EV_LOST;
    return ready;
}

/* A FIN shows as the end of reading, an error with its number. */
static unsigned ready_at_end(struct lh_evq *q, struct lh_evq_watch *watch,
                             const struct kevent *event, int filter)
{
    unsigned ready = event->fflags ? LH_EV_LOST : 0;
    int fd = (int)event->ident;

    if (filter == READING) {
        ready |= watch->interest & LH_EV_FIN;
        watch->fin = true;
        mark(q, fd);
    }
    return ready | look_at_end(fd);
}

/* One report, and neither filter gives another one. */
static void spend(struct lh_evq *q, struct lh_evq_watch *watch, int fd,
                  int filter)
{
    watch->mode[filter] = SPENT;
    watch->interest = LH_EV_ONESHOT;
    if (watch->mode[!filter] == ARMED)
        mark(q, fd);
}

static void on_descriptor(struct lh_evq *q, struct found *found,
                          const struct kevent *event)
{
    int filter = event->filter == EVFILT_READ ? READING : WRITING;
    int fd = (int)event->ident;
    struct lh_evq_watch *watch = watch_of(q, fd);

    if (event->udata == &waker_mark || !watch)
        return;
    unsigned ready = watch->interest & ready_of[filter];
    if (watch->interest & LH_EV_ONESHOT) {
        ready = ready_of[filter];
        spend(q, watch, fd, filter);
    }
    if (event->flags & EV_EOF)
        ready |= ready_at_end(q, watch, event, filter);
    if (ready)
        add_event(found, watch, ready);
}

/* Whose change the kernel has refused, or NULL.  That it did not have what was
 * to be taken out is no harm: closing does that as well. */
static struct lh_evq_watch *refused(const struct lh_evq *q,
                                    const struct kevent *answer)
{
    struct lh_evq_watch *watch = watch_of(q, (int)answer->ident);
    int filter = answer->filter == EVFILT_READ ? READING : WRITING;

    if (!watch || answer->data == 0)
        return NULL;
    if (answer->data == ENOENT && !(watch->interest & LH_EV_ONESHOT))
        return NULL;
    watch->mode[filter] = OFF;
    return watch;
}

static void note_answer(const struct lh_evq *q, struct found *found,
                        const struct kevent *answer)
{
    struct lh_evq_watch *watch = refused(q, answer);

    if (watch)
        add_event(found, watch, LH_EV_LOST);
}

static void on_kevent(struct lh_evq *q, struct found *found,
                      const struct kevent *event)
{
    if (event->filter == EVFILT_TIMER) {
        q->timer_set = false;
    } else if (event->filter == EVFILT_READ || event->filter == EVFILT_WRITE) {
        if (event->flags & EV_ERROR)
            note_answer(q, found, event);
        else
            on_descriptor(q, found, event);
    }
}

static void sort_events(struct lh_evq *q, struct found *found,
                        const struct kevent *events, int n)
{
    for (int i = 0; i < n; i++)
        on_kevent(q, found, &events[i]);
    for (int i = 0; i < n; i++) {
        struct lh_evq_watch *watch = watch_of(q, (int)events[i].ident);
        if (watch)
            watch->at = 0;
    }
}

/* --- the interface -------------------------------------------------------- */

int lh_evq_init(struct lh_evq *q)
{
    struct kevent change;

    *q = (struct lh_evq){.wake_fd = -1, .timer_fd = -1};
    q->fd = lh_fd_above(kqueue());
    if (q->fd < 0)
        return q->fd;
    EV_SET(&change, WAKE_IDENT, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, NULL);
    int r = fcntl(q->fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : tell(q, &change);
    if (r < 0)
        lh_evq_deinit(q);
    return r;
}

void lh_evq_deinit(struct lh_evq *q)
{
    if (q->fd >= 0)
        close(q->fd);
    q->fd = -1;
    lh_free(q->watches);
    lh_free(q->dirty);
    q->watches = NULL;
    q->dirty = NULL;
    q->watches_n = q->dirty_n = 0;
}

/* What may be of any kind is tried at once, so that the answer is known: its
 * first filter, which another thread may arm from here on.  To a pipe that
 * nobody reads writing fails, and so never waits. */
static int try_one_shot(struct lh_evq *q, int fd, struct lh_evq_watch *watch)
{
    int filter = watch->interest & LH_EV_WRITE ? WRITING : READING;
    struct kevent changes[2];
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return -EPERM;
    put_filter(&changes[0], fd, filter, ARMED);
    put_flags(&changes[1], fd, filter, EV_DISABLE);
    int r = kevent(q->fd, changes, 2, NULL, 0, NULL) < 0 ? -errno : 0;
    if (r == -EINVAL || r == -ENODEV || r == -EOPNOTSUPP || r == -EPIPE)
        return -EPERM; /* devices that cannot be watched, and such a pipe */
    watch->mode[filter] = SPENT;
    return r;
}

/* What was known of a descriptor of the same number holds no longer. */
int lh_evq_add(struct lh_evq *q, int fd, unsigned interest, uint64_t tag)
{
    if (fd < 0)
        return -EBADF;
    if (watch_of(q, fd))
        return -EEXIST;
    int r = grow_table(q, fd);
    if (r < 0)
        return r;
    struct lh_evq_watch *watch = &q->watches[fd];
    bool is_dirty = watch->is_dirty;
    *watch = (struct lh_evq_watch){.tag = tag,
                                   .interest = (uint8_t)interest,
                                   .used = true,
                                   .is_dirty = is_dirty};
    if (interest & LH_EV_ONESHOT)
        r = try_one_shot(q, fd, watch);
    if (r < 0)
        watch->used = false;
    else
        mark(q, fd);
    return r;
}

int lh_evq_change(struct lh_evq *q, int fd, unsigned interest, uint64_t tag)
{
    struct lh_evq_watch *watch = watch_of(q, fd);

    if (!watch)
        return -ENOENT;
    watch->interest = (uint8_t)interest;
    watch->tag = tag;
    mark(q, fd);
    return 0;
}

int lh_evq_arm(struct lh_evq *q, int fd, uint64_t tag)
{
    struct kevent change;

    (void)tag;
    put_flags(&change, fd, READING, EV_ENABLE);
    return tell(q, &change);
}

/* The kernel takes out what is closed, but one that stays open may be added
 * again, and would be what it was: adding changes no flags of a filter that is
 * there, and does not enable it. */
void lh_evq_forget(struct lh_evq *q, int fd)
{
    struct lh_evq_watch *watch = watch_of(q, fd);
    struct kevent change;

    if (!watch)
        return;
    for (int i = 0; i < FILTERS; i++) {
        put_flags(&change, fd, i, EV_DELETE);
        if (watch->mode[i] != OFF)
            tell(q, &change);
    }
    *watch = (struct lh_evq_watch){.is_dirty = watch->is_dirty};
}

/* Each change is answered, so that no event is taken.  What is refused is tried
 * again by the next wait, which tells it. */
static void submit(struct lh_evq *q, struct kevent *changes, unsigned n)
{
    struct kevent answers[CHANGES];

    for (unsigned i = 0; i < n; i++)
        changes[i].flags |= EV_RECEIPT;
    int got = n ? kevent(q->fd, changes, (int)n, answers, (int)n, NULL) : 0;
    for (int i = 0; i < got; i++)
        if (refused(q, &answers[i]))
            mark(q, (int)answers[i].ident);
}

void lh_evq_flush(struct lh_evq *q)
{
    struct kevent changes[CHANGES];
    unsigned rounds = q->dirty_n / (CHANGES / CHANGES_OF) + 1;

    for (; rounds > 0 && q->dirty_n > 0; rounds--)
        submit(q, changes, take_changes(q, changes));
}

/* What the one call of a wait cannot carry goes ahead, and such that it might
 * not have room to answer. */
static unsigned take_last_changes(struct lh_evq *q, struct kevent *changes,
                                  unsigned max)
{
    if (q->dirty_n > CHANGES / CHANGES_OF)
        lh_evq_flush(q);
    unsigned n = take_changes(q, changes);
    if (n <= max)
        return n;
    submit(q, changes, n);
    return 0;
}

/* One call tells what has changed and fetches what has happened.  A signal ends
 * it with nothing, once the changes are made. */
unsigned lh_evq_wait(struct lh_evq *q, struct lh_event *events, unsigned max,
                     int timeout_ms)
{
    struct kevent changes[CHANGES], got[LH_EVENTS_MAX];
    struct found found = {.events = events};
    struct timespec time = {.tv_sec = timeout_ms / 1000,
                            .tv_nsec = timeout_ms % 1000 * 1000000L};

    if (max > LH_EVENTS_MAX)
        max = LH_EVENTS_MAX;
    unsigned changes_n = take_last_changes(q, changes, max);
    int n = kevent(q->fd, changes, (int)changes_n, got, (int)max,
                   timeout_ms < 0 ? NULL : &time);
    if (n > 0)
        sort_events(q, &found, got, n);
    return found.n;
}

/* --- time and wakes ------------------------------------------------------- */

/* It is made when it is set. */
int lh_evq_add_timer(struct lh_evq *q)
{
    (void)q;
    return 0;
}

/* A time of zero would be refused by some versions; and microseconds of an hour
 * are more than the number holds where it has 32 bits.  Without a unit it is
 * milliseconds, which libkqueue has no name for. */
void lh_evq_set_timer(struct lh_evq *q, int timeout_ms)
{
    struct kevent change;
    int old_errno = errno;
    unsigned unit = timeout_ms > 0 ? 0 : NOTE_USECONDS;

    if (timeout_ms < 0)
        EV_SET(&change, TIMER_IDENT, EVFILT_TIMER, EV_DELETE, 0, 0, NULL);
    else
        EV_SET(&change, TIMER_IDENT, EVFILT_TIMER, EV_ADD | EV_ONESHOT, unit,
               timeout_ms > 0 ? timeout_ms : 1, NULL);
    tell(q, &change);
    q->timer_set = timeout_ms >= 0;
    errno = old_errno;
}

void lh_evq_wake(struct lh_evq *q)
{
    struct kevent change;
    int old_errno = errno;

    EV_SET(&change, WAKE_IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
    tell(q, &change);
    errno = old_errno;
}

/* A kqueue has one descriptor, so this is another thing that it watches. */
int lh_evq_waker(const struct lh_evq *q)
{
    struct kevent change;
    int fd = lh_fd_above(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

    if (fd < 0)
        return fd;
    if (LHTTPD_LIBKQUEUE) { /* it has not seen one of this number closed */
        EV_SET(&change, (uintptr_t)fd, EVFILT_READ, EV_DELETE, 0, 0, NULL);
        tell(q, &change);
    }
    EV_SET(&change, (uintptr_t)fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0,
           &waker_mark);
    int r = tell(q, &change);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

/* It fails only when 2^64 - 2 wakes wait, and these are enough. */
void lh_evq_waker_wake(int waker)
{
    uint64_t one = 1;
    int old_errno = errno;

    if (waker >= 0 && write(waker, &one, sizeof(one)) < 0)
        errno = old_errno;
}

void lh_evq_waker_close(int waker)
{
    if (waker >= 0)
        close(waker);
}
