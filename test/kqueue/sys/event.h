/*
 * What a test of the event queue by kqueue needs of this header where the
 * system has none: see unit/test_evq_kqueue.c.  The names are the manual
 * page's, the numbers do not matter.
 */
#ifndef LH_TEST_SYS_EVENT_H
#define LH_TEST_SYS_EVENT_H

#include <stddef.h>
#include <stdint.h>

struct timespec;

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned fflags;
    intptr_t data;
    void *udata;
};

enum {
    EVFILT_READ = -1,
    EVFILT_WRITE = -2,
    EVFILT_USER = -3,
    EVFILT_TIMER = -4
};

#define EV_ADD      0x0001
#define EV_DELETE   0x0002
#define EV_ENABLE   0x0004
#define EV_DISABLE  0x0008
#define EV_ONESHOT  0x0010
#define EV_CLEAR    0x0020
#define EV_RECEIPT  0x0040
#define EV_DISPATCH 0x0080
#define EV_ERROR    0x4000
#define EV_EOF      0x8000

#define NOTE_LOWAT    0x01u
#define NOTE_TRIGGER  0x02u
#define NOTE_USECONDS 0x08u

#define EV_SET(event, a, b, c, d, e, f)                                        \
    (*(event) = (struct kevent){.ident = (uintptr_t)(a),                       \
                                .filter = (short)(b),                          \
                                .flags = (unsigned short)(c),                  \
                                .fflags = (d),                                 \
                                .data = (e),                                   \
                                .udata = (f)})

int kqueue(void);
int kevent(int queue, const struct kevent *changes, int changes_n,
           struct kevent *events, int events_n, const struct timespec *time);

#endif
