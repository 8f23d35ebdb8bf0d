/* Interrupting threads: see interrupt.h. */
#include "os/interrupt.h"

#include "os/interrupt_thread.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static _Atomic unsigned takers;
static struct sigaction before; /* the program's */

/* The handler runs on the thread that has set them. */
static _Thread_local void (*volatile own_act)(void *data);
static _Thread_local void *volatile own_data;

static void pass_to_program(int number, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        before.sa_handler(number);
}

static void on_interrupt(int number, siginfo_t *info, void *context)
{
    int error = errno;

    if (!lh_interrupt_is_from(info, &takers))
        pass_to_program(number, info, context);
    else if (own_act)
        own_act(own_data);
    errno = error;
}

int lh_interrupt_take(void)
{
    struct sigaction action;

    if (atomic_fetch_add(&takers, 1) > 0)
        return 0;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_interrupt;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGURG, &action, &before) < 0 ? -errno : 0;
}

/* Where the program has set another handler meanwhile, that one stays. */
void lh_interrupt_give_back(void)
{
    struct sigaction now;

    if (atomic_fetch_sub(&takers, 1) == 1 &&
        sigaction(SIGURG, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == on_interrupt)
        sigaction(SIGURG, &before, NULL);
}

bool lh_interrupt_is_taken(void)
{
    return atomic_load(&takers) > 0;
}

int lh_interrupt_enter(void (*act)(void *data), void *data)
{
    own_act = NULL;
    own_data = data;
    own_act = act;
    return lh_interrupt_self();
}

void lh_interrupt_send(int thread)
{
    lh_interrupt_signal(thread, SIGURG, &takers);
}
