/*
 * The system's errors.  A function of os/ that fails gives one as a negative
 * number (errno's, negated) in the place of its result or count, and leaves
 * nothing in errno.  Those that take a struct lh_err are called while a server
 * is set up; they put what failed into words and return a code of lhttpd.h.
 *
 * Code above os/ knows no errno (test/layers.sh): what it tells apart has a
 * name here.
 */
#ifndef LH_OS_ERROR_H
#define LH_OS_ERROR_H

#include <errno.h>
#include <stdbool.h>

enum {
    LH_SYS_EACCES = -EACCES,
    LH_SYS_EAGAIN =
        -EAGAIN, /* would have to wait; EWOULDBLOCK is never given */
    LH_SYS_EBADF = -EBADF,
    LH_SYS_ECHILD = -ECHILD,
    LH_SYS_EINPROGRESS = -EINPROGRESS,
    LH_SYS_EINVAL = -EINVAL,
    LH_SYS_EIO = -EIO,
    LH_SYS_ELOOP = -ELOOP,
    LH_SYS_EMFILE = -EMFILE,
    LH_SYS_ENAMETOOLONG = -ENAMETOOLONG,
    LH_SYS_ENFILE = -ENFILE,
    LH_SYS_ENODEV = -ENODEV,
    LH_SYS_ENOENT = -ENOENT,
    LH_SYS_ENOMEM = -ENOMEM,
    LH_SYS_ENOTDIR = -ENOTDIR,
    LH_SYS_ENOTSUP = -ENOTSUP,
    LH_SYS_ENXIO = -ENXIO,
    LH_SYS_EOPNOTSUPP = -EOPNOTSUPP,
    LH_SYS_EPERM = -EPERM,
    LH_SYS_EPIPE = -EPIPE,
    LH_SYS_ESPIPE = -ESPIPE,
    LH_SYS_EXDEV = -EXDEV,
};

/* "No such file or directory" for LH_SYS_ENOENT.  Of the thread's own, or
 * constant: valid until its next call. */
const char *lh_sys_text(int error);

/* Out of descriptors or of the kernel's memory: it may work again once
 * something was closed. */
bool lh_sys_is_no_room(int error);

/* Of what a system call has returned: -1 becomes the negative errno. */
static inline long lh_sys_result(long r)
{
    return r < 0 ? -errno : r;
}

#endif
