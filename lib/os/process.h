/*
 * Process matters: privileges, background, the number of CPUs and descriptors.
 */
#ifndef LH_OS_PROCESS_H
#define LH_OS_PROCESS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* As the public functions of the same names. */
int lh_process_prepare(struct lh_err *err);
int lh_process_supervise(struct lh_err *err);
int lh_process_confine(const char *user, const char *root, struct lh_err *err);
int lh_process_daemonize(lhttpd_daemon_t *daemon, struct lh_err *err);
int lh_process_ready(lhttpd_daemon_t *daemon, struct lh_err *err);

/* The numbers of a user, given as for lhttpd_process_confine(), and of a group,
 * by name or number.  LHTTPD_EUSER with words, LHTTPD_ENOMEM. */
int lh_process_find_user(const char *user, uint32_t *uid, uint32_t *gid,
                         struct lh_err *err);
int lh_process_find_group(const char *group, uint32_t *gid, struct lh_err *err);

long lh_process_id(void);       /* async-signal-safe */
unsigned lh_process_cpus(void); /* online and allowed to us; at least 1 */

/* A stack for a thread that runs scripts: as large as the main thread's
 * (RLIMIT_STACK), but from 2 to 64 MiB. */
size_t lh_process_stack_bytes(void);

/* The soft limit of descriptors (RLIMIT_NOFILE).  It is only read: raising it
 * is the program's decision. */
uint64_t lh_process_descriptors(void);

#endif
