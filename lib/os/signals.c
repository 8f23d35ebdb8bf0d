/* The signals of threads that run scripts, and of a daemon: see signals.h. */
#include "os/signals.h"

#include "os/interrupt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

static _Thread_local bool runs_scripts;

/* In the child of every fork() of the process. */
static void open_mask(void)
{
    sigset_t none;

    if (!runs_scripts)
        return;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* The hook is registered once for the process; it does nothing in a child of
 * another thread. */
void lh_signals_of_forked(bool scripts)
{
    static atomic_flag registered = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&registered))
        pthread_atfork(NULL, NULL, open_mask);
    runs_scripts = scripts;
}

/* A program that catches it wants to see it, also where a script causes it. */
static int is_caught(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 &&
           action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

/* Those that come to who writes, unless the program catches or blocks them. */
static void of_writers(sigset_t *set, const sigset_t *blocked)
{
    static const int numbers[] = {SIGPIPE, SIGXFSZ};

    sigemptyset(set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (!is_caught(numbers[i]) && sigismember(blocked, numbers[i]) == 0)
            sigaddset(set, numbers[i]);
}

void lh_signals_for_scripts(sigset_t *before)
{
    sigset_t set;

    pthread_sigmask(SIG_SETMASK, NULL, before);
    of_writers(&set, before);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (!lh_interrupt_is_taken())
        return;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Nobody expects a handler to run in a thread of ours. */
void lh_signals_for_helpers(sigset_t *before)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

/* What came meanwhile is pending on this thread and would be delivered as
 * soon as it is not blocked. */
void lh_signals_restore(const sigset_t *before)
{
    static const struct timespec at_once = {0, 0};
    sigset_t set;

    of_writers(&set, before);
    while (sigtimedwait(&set, NULL, &at_once) > 0)
        continue;
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void (*wish_fn)(enum lh_wish wish);

static void on_number(int number)
{
    enum lh_wish wish = LH_WISH_NONE;

    if (number == SIGTERM || number == SIGINT)
        wish = LH_WISH_STOP;
    else if (number == SIGHUP)
        wish = LH_WISH_RELOAD;
    else if (number == SIGUSR1)
        wish = LH_WISH_REOPEN;
    wish_fn(wish);
}

void lh_signals_catch(void (*on_wish)(enum lh_wish wish))
{
    static const int numbers[] = {SIGTERM, SIGINT,  SIGHUP,
                                  SIGUSR1, SIGPIPE, SIGXFSZ};
    struct sigaction action = {.sa_handler = on_number, .sa_flags = SA_RESTART};

    wish_fn = on_wish;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}
