/* Signals to threads, with the sender's address: see interrupt_thread.h. */
#include "os/interrupt_thread.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int lh_interrupt_self(void)
{
    return (int)syscall(SYS_gettid);
}

void lh_interrupt_signal(int thread, int number, void *from)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = from;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, number, &info);
}

bool lh_interrupt_is_from(const siginfo_t *info, const void *from)
{
    return info->si_code == SI_QUEUE && info->si_value.sival_ptr == from;
}
