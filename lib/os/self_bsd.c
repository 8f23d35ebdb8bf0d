/* What FreeBSD knows of threads: see self_thread.h. */
#include "os/self_thread.h"

#include <pthread.h>
#include <pthread_np.h>

bool lh_self_stack(void **low, size_t *size)
{
    pthread_attr_t attributes;
    bool known;

    if (pthread_attr_init(&attributes) != 0)
        return false;
    known = pthread_attr_get_np(pthread_self(), &attributes) == 0 &&
            pthread_attr_getstack(&attributes, low, size) == 0;
    pthread_attr_destroy(&attributes);
    return known;
}
