/* Threads. */
#ifndef LH_OS_THREAD_H
#define LH_OS_THREAD_H

#include <pthread.h>
#include <stddef.h>

struct lh_thread {
    pthread_t handle;
};

/* Its stack has so many octets; 0: as many as the system gives.  0 or a
 * negative errno.  Its signals are those of os/signals.h. */
int lh_thread_start(struct lh_thread *thread, size_t stack_bytes,
                    void *(*run)(void *argument), void *argument);

/* The calling thread, for who joins it. */
struct lh_thread lh_thread_self(void);

void lh_thread_sleep_ms(unsigned ms);

/* One of these, once. */
void lh_thread_join(struct lh_thread *thread);
void lh_thread_detach(struct lh_thread *thread);

#endif
