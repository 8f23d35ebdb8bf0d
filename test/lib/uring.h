/* An io_uring that is refused, or that the kernel has no memory for. */
#ifndef TEST_LIB_URING_H
#define TEST_LIB_URING_H

#include <stdbool.h>

/* Does the system allow to make one? */
bool test_uring_is_there(void);

/* The next n submissions of this process are refused with EAGAIN. */
void test_uring_refuse(unsigned n);

/* The next one takes only the first n entries of the ring, as a kernel does
 * that runs out of memory. */
void test_uring_take(unsigned n);

/* Reads and writes that may be done without waiting fail with EAGAIN, as
 * kernels do it with files of O_NONBLOCK on a device that always waits. */
void test_uring_waits(bool yes);

#endif
