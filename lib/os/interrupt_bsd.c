/*
 * Signals to threads, by thr_kill(): see interrupt_thread.h.  They carry no
 * address: each that a thread of this process has sent to this one counts as
 * ours.  To take a program's own for ours does no harm, since it only makes the
 * thread look up.
 */
#include "os/interrupt_thread.h"

#include <sys/types.h>
#include <sys/thr.h>
#include <unistd.h>

int lh_interrupt_self(void)
{
    long number = 0;

    thr_self(&number);
    return (int)number;
}

void lh_interrupt_signal(int thread, int number, void *from)
{
    (void)from;
    thr_kill(thread, number);
}

bool lh_interrupt_is_from(const siginfo_t *info, const void *from)
{
    (void)from;
    return info->si_code == SI_LWP && info->si_pid == getpid();
}
