/*
 * A signal to one thread that says whom it is from.  One file for each system,
 * which CMake chooses: interrupt_linux.c or interrupt_bsd.c.
 */
#ifndef LH_OS_INTERRUPT_THREAD_H
#define LH_OS_INTERRUPT_THREAD_H

#include <signal.h>
#include <stdbool.h>

/* The calling thread's number. */
int lh_interrupt_self(void);

/* `from` is an address that nobody else knows.  Nothing happens to a thread
 * that has ended. */
void lh_interrupt_signal(int thread, int number, void *from);
bool lh_interrupt_is_from(const siginfo_t *info, const void *from);

#endif
