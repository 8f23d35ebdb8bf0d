/*
 * Is this a processor that an emulator plays?  qemu-user makes system calls of
 * its own, and some of them do not what the kernel does.
 */
#ifndef TEST_LIB_EMULATED_H
#define TEST_LIB_EMULATED_H

#include <stdbool.h>

/* The build for such a processor has told it by LHTTPD_EMULATED. */
bool test_is_emulated(void);

/* Skips the test there, and says why. */
void test_not_emulated(const char *why);

/* Skips it, too, where a loader or an emulator is what /proc/self/exe names. */
void test_is_executable(void);

/* Skips it where a socket's SO_RCVTIMEO is not what it was set to: qemu 7.2
 * does not know the option with times of 64 bits, which 32-bit processors take.
 */
void test_keeps_socket_times(void);

/* How many milliseconds a test waits before it gives up, where that is so many
 * on the processor itself. */
int test_patience_ms(int ms);

#endif
