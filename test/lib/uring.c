/* Stands in for liburing's io_uring_submit(), by the linker's --wrap: see
 * uring.h. */
#include "lib/uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALL 0U

static atomic_uint refusals, taken = ALL;

void test_uring_refuse(unsigned n)
{
    atomic_store(&refusals, n);
}

void test_uring_take(unsigned n)
{
    atomic_store(&taken, n);
}

static int silent[2] = {-1, -1};

void test_uring_waits(bool yes)
{
    for (int i = 0; i < 2 && !yes; i++)
        close(silent[i]);
    if (!yes || socketpair(AF_UNIX, SOCK_STREAM, 0, silent) < 0)
        silent[0] = silent[1] = -1;
}

/* The answer is that of a socket on which nothing comes. */
static void make_wait(struct io_uring_sqe *sqe)
{
    if ((sqe->opcode != IORING_OP_READ && sqe->opcode != IORING_OP_WRITE) ||
        (sqe->flags & IOSQE_ASYNC))
        return;
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = silent[0];
    sqe->off = 0;
    sqe->msg_flags = MSG_DONTWAIT;
}

static void make_all_wait(struct io_uring *ring)
{
    unsigned mask = *ring->sq.kring_mask;

    for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++)
        make_wait(&ring->sq.sqes[i & mask]);
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

/* What is behind the first n entries is out of sight meanwhile. */
static int submit_part(struct io_uring *ring, unsigned n)
{
    unsigned ready = io_uring_sq_ready(ring);
    unsigned hidden = ready > n ? ready - n : 0;

    ring->sq.sqe_tail -= hidden;
    int r = __real_io_uring_submit(ring);
    ring->sq.sqe_tail += hidden;
    return r;
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
    if (atomic_load(&refusals)) {
        atomic_fetch_sub(&refusals, 1);
        return -EAGAIN;
    }
    if (silent[0] >= 0)
        make_all_wait(ring);
    unsigned n = atomic_exchange(&taken, ALL);
    return n == ALL ? __real_io_uring_submit(ring) : submit_part(ring, n);
}
