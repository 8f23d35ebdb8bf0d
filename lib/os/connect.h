/*
 * Connecting to somebody else's socket: addresses, and the attempt itself,
 * which never waits.
 */
#ifndef LH_OS_CONNECT_H
#define LH_OS_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

/* An address of TCP or of a unix socket, as the system has it. */
#define LH_ADDRESS_BYTES 128
struct lh_address {
    _Alignas(8) uint8_t octets[LH_ADDRESS_BYTES];
    unsigned n;
};

/* The path of a unix socket; false: it is empty, or too long for one. */
bool lh_address_of_path(const char *path, struct lh_address *to);

bool lh_address_is_ipv6(const struct lh_address *to);

/* Both as connect() has it: 0, LH_SYS_EINPROGRESS (the event queue tells when
 * there is an outcome, by LH_EV_WRITE), or another negative errno.  *fd is then
 * a descriptor, non-blocking and close-on-exec, or -1 where it has failed.
 * LH_SYS_EAGAIN: a unix socket has many clients that wait; try again later. */
int lh_connect_begin(const struct lh_address *to, int *fd);

/* How it came out: 0, or LH_SYS_EINPROGRESS: not yet, or why it has failed. */
int lh_connect_result(int fd);

/* Does an error say something of the way to an address alone, such as that
 * there is no IPv6 here?  Then that of another address says more. */
bool lh_connect_error_is_vague(int error);

#endif
