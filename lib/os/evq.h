/*
 * The event queue: epoll or kqueue behind one interface, level-triggered.  A
 * tag says whose an event is: a number (slot and generation), never a pointer,
 * since a descriptor that was closed here but lives on in a forked child still
 * reports.  One thread owns it: it adds, changes and waits.  lh_evq_arm() and
 * lh_evq_wake() may come from other threads.
 */
#ifndef LH_OS_EVQ_H
#define LH_OS_EVQ_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LH_EV_READ = 1,
    LH_EV_WRITE = 2,
    LH_EV_FIN = 4,      /* the peer shut down its sending side; asked for
                           without LH_EV_READ it may be told only once */
    LH_EV_LOST = 8,     /* an error; reported whether asked or not */
    LH_EV_HANGUP = 16,  /* both directions have ended, likewise; what the peer
                           sent before can still be read */
    LH_EV_ONESHOT = 32, /* interest only: off after one report */
};

struct lh_event {
    uint64_t tag;
    unsigned ready;
};

struct lh_evq_watch;

struct lh_evq {
    int fd;
    bool timer_set; /* and has not fired since */

    /* By epoll; negative: none. */
    int wake_fd;
    int timer_fd;

    /* By kqueue: the descriptors by their numbers, and those of which the
     * kernel is to be told something. */
    struct lh_evq_watch *watches;
    int *dirty;
    unsigned watches_n, dirty_n;
};

#define LH_EVENTS_MAX 256

/* 0 or a negative errno. */
int lh_evq_init(struct lh_evq *q);
void lh_evq_deinit(struct lh_evq *q);

/* Adds a descriptor.  Interest 0 reports only LH_EV_LOST and LH_EV_HANGUP.
 * Here and below 0 or a negative errno.  LH_SYS_EPERM: it is of a kind that is
 * always ready and cannot be watched, such as a file; so ask one-shot for what
 * may be one.  The kernel may be told of any of these not before the next wait;
 * what it refuses then is told as LH_EV_LOST. */
int lh_evq_add(struct lh_evq *q, int fd, unsigned interest, uint64_t tag);
/* Changes the interest, or re-arms a one-shot one. */
int lh_evq_change(struct lh_evq *q, int fd, unsigned interest, uint64_t tag);
/* Re-arms one that was added one-shot, with this tag, for reading; at once and
 * from any thread. */
int lh_evq_arm(struct lh_evq *q, int fd, uint64_t tag);
/* Removes it; before it is closed. */
void lh_evq_forget(struct lh_evq *q, int fd);
/* Tells the kernel now, for who watches the queue's descriptor meanwhile. */
void lh_evq_flush(struct lh_evq *q);

/* Waits for at most timeout_ms (-1: for ever, 0: not) and returns how many
 * events were put there, 0 after a time-out, a wake or a signal. */
unsigned lh_evq_wait(struct lh_evq *q, struct lh_event *events, unsigned max,
                     int timeout_ms);

/* From now on its descriptor can be watched by others for the time too: it is
 * readable from so many milliseconds on (0: at once; -1: never) after the last
 * call of the second function.  That is async-signal-safe. */
int lh_evq_add_timer(struct lh_evq *q);
void lh_evq_set_timer(struct lh_evq *q, int timeout_ms);

/* Ends a wait that goes on, or the next one.  Async-signal-safe. */
void lh_evq_wake(struct lh_evq *q);

/* What wakes it, for those who may come after its end: a descriptor of its own,
 * or a negative errno.  Negative ones are allowed below. */
int lh_evq_waker(const struct lh_evq *q);
void lh_evq_waker_wake(int waker);
void lh_evq_waker_close(int waker);

#endif
