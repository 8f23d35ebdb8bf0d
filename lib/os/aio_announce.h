/*
 * How the end of one of POSIX's file operations is told.  One file for each
 * way, which CMake chooses: aio_announce_kevent.c for FreeBSD, where a kqueue
 * is told, and aio_announce_thread.c, by which the unit tests run the rest of
 * it on Linux.
 */
#ifndef LH_OS_AIO_ANNOUNCE_H
#define LH_OS_AIO_ANNOUNCE_H

#include <signal.h>

/* What an operation has for it; inside. */
struct lh_announcement {
    int to;
};

struct lh_announcer {
    int fd; /* readable while announcements wait, or what was given has
               something */
    int pipe[2];
};

/* `also`: another descriptor that makes its own readable.  0 or a negative
 * errno. */
int lh_announcer_init(struct lh_announcer *a, int also);
void lh_announcer_deinit(struct lh_announcer *a);

/* Fills in what tells the system to announce the operation's end. */
void lh_announce_end(const struct lh_announcer *a, struct sigevent *event,
                     struct lh_announcement *operation);

/* Those whose end was announced, at most so many; returns how many. */
unsigned lh_announced(struct lh_announcer *a, struct lh_announcement **ended,
                      unsigned max);

#endif
