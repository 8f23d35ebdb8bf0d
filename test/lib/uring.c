/* Stands in for liburing's io_uring_submit(), by the linker's --wrap: see
 * uring.h. */
#include "lib/uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>

static atomic_uint refusals;

void test_uring_refuse(unsigned n)
{
    atomic_store(&refusals, n);
}

bool test_uring_is_there(void)
{
    struct io_uring ring;

    if (io_uring_queue_init(1, &ring, 0) < 0)
        return false;
    io_uring_queue_exit(&ring);
    return true;
}

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

int __wrap_io_uring_submit(struct io_uring *ring)
{
    if (atomic_load(&refusals) == 0)
        return __real_io_uring_submit(ring);
    atomic_fetch_sub(&refusals, 1);
    return -EAGAIN;
}
