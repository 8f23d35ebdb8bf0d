/*
 * FreeBSD's O_RESOLVE_BENEATH (13.0), by which the kernel resolves a path
 * beneath a directory: see beneath.h.  It cannot tell whether it would wait.
 */
#include "os/beneath.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/param.h>
#include <sys/mount.h>

/* A terminal must not become ours, and nothing is waited for. */
int lh_beneath_flags(enum lh_beneath_what what)
{
    return O_CLOEXEC |
           (what == LH_BENEATH_DIRECTORY ? O_PATH | O_DIRECTORY
                                         : O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

int lh_beneath_call(int dir, const char *path, enum lh_beneath_what what,
                    bool now)
{
    int flags = lh_beneath_flags(what) | O_RESOLVE_BENEATH;

    if (now || dir == LH_BENEATH_NOTHING)
        return -ENOSYS;
    int fd = lh_fd_above(openat(dir, path, flags));
    return fd == -ENOTCAPABLE ? -EXDEV : fd;
}

bool lh_beneath_is_remote(const char *path)
{
    struct statfs fs;

    return statfs(path, &fs) == 0 && !(fs.f_flags & MNT_LOCAL);
}
