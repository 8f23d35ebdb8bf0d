/* Reading directories: see folder.h. */
#include "os/folder.h"

#include "os/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Opened anew, since a duplicate would share the place that others read at. */
int lh_folder_open(struct lh_folder **folder, int fd)
{
    int own = lh_fd_above(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

    if (own < 0)
        return own;
    DIR *dir = fdopendir(own);
    if (!dir) {
        int error = -errno;
        lh_fd_close(own);
        return error;
    }
    *folder = (struct lh_folder *)dir;
    return 0;
}

void lh_folder_close(struct lh_folder *folder)
{
    closedir((DIR *)folder);
}

/* Its end and an error differ by errno alone. */
int lh_folder_next(struct lh_folder *folder, const char **name)
{
    const struct dirent *entry;

    do {
        errno = 0;
        entry = readdir((DIR *)folder);
    } while (entry && entry->d_name[0] == '.');
    if (!entry)
        return -errno;
    *name = entry->d_name;
    return 1;
}

int lh_folder_look(int fd, const char *name, struct lh_found *found)
{
    struct stat st;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    lh_beneath_tell(&st, found);
    return 0;
}
