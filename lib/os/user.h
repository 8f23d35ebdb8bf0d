/* Users and groups, and becoming one of them. */
#ifndef LH_OS_USER_H
#define LH_OS_USER_H

#include "base/err.h"

#include <stdint.h>

/* The numbers of a user, given as for lhttpd_process_confine(), and of a group,
 * by name or number.  LHTTPD_EUSER with words, LHTTPD_ENOMEM. */
int lh_user_find(const char *user, uint32_t *uid, uint32_t *gid,
                 struct lh_err *err);
int lh_user_find_group(const char *group, uint32_t *gid, struct lh_err *err);

/* As lhttpd_process_confine(). */
int lh_user_confine(const char *user, const char *root, struct lh_err *err);

#endif
