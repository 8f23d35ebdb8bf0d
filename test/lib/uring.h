/* An io_uring that the kernel has no memory for. */
#ifndef TEST_LIB_URING_H
#define TEST_LIB_URING_H

/* The next n submissions of this process are refused with EAGAIN. */
void test_uring_refuse(unsigned n);

#endif
