/*
 * Closing descriptors in a child one by one: see child_close.h.  Only those
 * count that a program would inherit.
 */
#include "os/child_close.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static int add_if_inherited(posix_spawn_file_actions_t *actions, int fd)
{
    int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;

    if (flags < 0 || (flags & FD_CLOEXEC))
        return 0;
    return posix_spawn_file_actions_addclose(actions, fd);
}

/* All numbers that may be open: slow where many are allowed. */
static int add_up_to_limit(posix_spawn_file_actions_t *actions)
{
    struct rlimit limit;
    int r = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? errno : 0;

    for (int fd = STDERR_FILENO + 1; r == 0 && (rlim_t)fd < limit.rlim_cur;
         fd++)
        r = add_if_inherited(actions, fd);
    return r;
}

int lh_child_close_each(posix_spawn_file_actions_t *actions)
{
    DIR *open_ones = opendir("/proc/self/fd");
    struct dirent *entry;
    int r = 0;

    if (!open_ones)
        return add_up_to_limit(actions);
    while (r == 0 && (entry = readdir(open_ones)) != NULL)
        r = add_if_inherited(actions, (int)strtol(entry->d_name, NULL, 10));
    closedir(open_ones);
    return r;
}
