/* Threads: see thread.h. */
#include "os/thread.h"

#include <time.h>

/* A stack that the system does not allow is an error: scripts that need it
 * would crash later. */
int lh_thread_start(struct lh_thread *thread, size_t stack_bytes,
                    void *(*run)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);

    if (r != 0)
        return -r;
    if (stack_bytes)
        r = pthread_attr_setstacksize(&attributes, stack_bytes);
    if (r == 0)
        r = pthread_create(&thread->handle, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    return -r;
}

struct lh_thread lh_thread_self(void)
{
    return (struct lh_thread){pthread_self()};
}

void lh_thread_sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000),
                            .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

void lh_thread_join(struct lh_thread *thread)
{
    pthread_join(thread->handle, NULL);
}

void lh_thread_detach(struct lh_thread *thread)
{
    pthread_detach(thread->handle);
}
