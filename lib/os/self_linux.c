/* What the C libraries of Linux know of threads: see self_thread.h. */
#include "os/self_thread.h"

#include <pthread.h>

bool lh_self_stack(void **low, size_t *size)
{
    pthread_attr_t attributes;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return false;
    pthread_attr_getstack(&attributes, low, size);
    pthread_attr_destroy(&attributes);
    return true;
}
