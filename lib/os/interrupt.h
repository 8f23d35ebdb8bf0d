/*
 * One thread makes another of ours look up from what it is in, by a signal.
 *
 * It is SIGURG, taken only by who asks for it: by default it does nothing, so
 * one that comes late or to a wrong thread is harmless, and system calls are
 * restarted.  Those that are not ours go on to the handler that the program
 * had.
 */
#ifndef LH_OS_INTERRUPT_H
#define LH_OS_INTERRUPT_H

#include <stdbool.h>

/* From the first taker on, until each has given it back.  A negative errno. */
int lh_interrupt_take(void);
void lh_interrupt_give_back(void);
bool lh_interrupt_is_taken(void);

/* From now on the calling thread, when it is interrupted, does act(data), in a
 * signal handler; NULL: nothing any more.  Returns its number for
 * lh_interrupt_send(). */
int lh_interrupt_enter(void (*act)(void *data), void *data);

/* Any thread; nothing happens to a thread that has ended. */
void lh_interrupt_send(int thread);

#endif
