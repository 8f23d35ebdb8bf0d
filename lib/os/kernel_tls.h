/*
 * TLS in the kernel: a TLS library that has agreed on keys hands them to it,
 * and what is sent by the socket afterwards leaves in records.  One file for
 * each system, which CMake chooses: kernel_tls_linux.c, or kernel_tls_none.c.
 */
#ifndef LH_OS_KERNEL_TLS_H
#define LH_OS_KERNEL_TLS_H

#include <stdbool.h>

/* Does the kernel have it?  Linux loads its module `tls` for that, if the
 * process may (CAP_NET_ADMIN). */
bool lh_kernel_tls_is_there(void);

#endif
