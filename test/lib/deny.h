/*
 * Makes system calls fail in this process, for errors that are hard to come
 * by.  It cannot be undone: fork first.  Only Linux can: elsewhere all of it
 * fails, and the tests are skipped (none.c).
 */
#ifndef TEST_LIB_DENY_H
#define TEST_LIB_DENY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

/* Calls that other systems do not have. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open        1000001
#define SYS_pidfd_send_signal 1000002
#define SYS_preadv2           1000003
#define SYS_pwritev2          1000004
#define SYS_memfd_create      1000005
#define SYS_io_uring_setup    1000006
#define SYS_io_uring_enter    1000007
#define SYS_io_uring_register 1000008
#define SYS_epoll_ctl         1000009
#endif

#define TEST_ANY_ARGUMENT (-1)

/* From now on `call` (SYS_...), with this first argument, fails with `error`.
 * False: the kernel or a sandbox does not allow it, or the C library makes it
 * by another. */
bool test_deny(long call, int argument, int error);

/* Likewise where all of `bits` are set in the argument with this index. */
bool test_deny_bits(long call, unsigned index, uint32_t bits, int error);

/* No memory that was written can be executed from now on. */
bool test_deny_code(void);

/* /dev and /proc are empty from now on. */
bool test_jail(void);

/* A file system of memory there, of so many KiB. */
bool test_mount(const char *path, unsigned kib);
void test_unmount(const char *path);

#endif
