/* Stands in for liburing's io_uring_submit(): see uring.h. */
#include "lib/uring.h"

#include <dlfcn.h>
#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>

static atomic_uint refusals;

void test_uring_refuse(unsigned n)
{
    atomic_store(&refusals, n);
}

int io_uring_submit(struct io_uring *ring)
{
    union {
        void *p;
        int (*call)(struct io_uring *);
    } submit = {.p = dlsym(RTLD_NEXT, "io_uring_submit")};

    if (atomic_load(&refusals) == 0)
        return submit.call(ring);
    atomic_fetch_sub(&refusals, 1);
    return -EAGAIN;
}
