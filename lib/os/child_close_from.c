/*
 * Closing descriptors in a child by glibc's closefrom: see child_close.h.  It
 * closes what another thread opens meanwhile, too.
 */
#include "os/child_close.h"

#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

int lh_child_close_others(posix_spawn_file_actions_t *actions)
{
    /* Of no descriptor: is there such a call (Linux 5.9)? */
    bool can = syscall(SYS_close_range, ~0u, ~0u, 0) == 0;

    if (can || access("/proc/self/fd", R_OK | X_OK) == 0)
        return posix_spawn_file_actions_addclosefrom_np(actions,
                                                        STDERR_FILENO + 1);
    return lh_child_close_each(actions);
}
