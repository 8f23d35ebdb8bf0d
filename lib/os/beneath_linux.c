/*
 * openat2 (Linux 5.6), which resolves a path beneath a directory in one call,
 * and since 5.12 without waiting for a disk.  By its number, since C libraries
 * do not have it.
 */
#include "os/beneath.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FROM_CACHE 0x20 /* RESOLVE_CACHED, which older headers lack */

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
    struct open_how how = {
        .flags = (unsigned)lh_beneath_flags(what),
        .resolve = (now ? FROM_CACHE : 0) |
                   (dir == LH_BENEATH_NOTHING
                        ? 0
                        : RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS),
    };

    if (dir == LH_BENEATH_NOTHING)
        dir = AT_FDCWD;
    return lh_fd_above((int)syscall(SYS_openat2, dir, path, &how, sizeof(how)));
}

/* By the numbers of linux/magic.h, where it has them. */
bool lh_beneath_is_remote(const char *path)
{
    static const uint32_t remote[] = {
        0x6969,     /* NFS */
        0xFF534D42, /* CIFS */
        0xFE534D42, /* SMB 2 */
        0x517B,     /* SMB */
        0x65735546, /* FUSE */
        0x01021997, /* 9P */
        0x00C36400, /* Ceph */
        0x5346414F, /* AFS */
        0x6B414653, /* AFS of the kernel */
        0x73757245, /* Coda */
        0x01161970, /* GFS2 */
        0x7461636F, /* OCFS2 */
        0x0BD00BD0, /* Lustre */
    };
    struct statfs fs;

    if (statfs(path, &fs) < 0)
        return false;
    for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++) {
        if ((uint32_t)fs.f_type == remote[i])
            return true;
    }
    return false;
}
