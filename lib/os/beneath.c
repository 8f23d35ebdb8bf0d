/*
 * Opening beneath a directory: see beneath.h.
 *
 * By hand each directory on the way is opened from the one above, which stays
 * open: ".." goes back to that, wherever it may have been moved to, and never
 * above the first.  No component is opened through a link, so a link is always
 * seen as one, and what it says is walked like the path.
 */
#include "os/beneath.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel's own limit */
#define DEPTH_MAX 128

/* No errno: it was a link, and was none any more when that was read. */
#define REPLACED (-100000)

struct walk {
    int dirs[DEPTH_MAX];
    unsigned n; /* dirs[0] is the caller's, the others are ours */
    unsigned links;
    enum lh_beneath_what what;
    size_t at; /* in `path`: what was not walked yet */
    char path[PATH_MAX];
    char name[NAME_MAX + 1];
};

/* Takes the next component; false: there is none. */
static int take_name(struct walk *w)
{
    size_t n;

    while (w->path[w->at] == '/')
        w->at++;
    n = strcspn(w->path + w->at, "/");
    if (n > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(w->name, w->path + w->at, n);
    w->name[n] = '\0';
    w->at += n;
    return n > 0;
}

/* The component is a link: what it says comes in front of the rest. */
static int follow(struct walk *w, int otherwise)
{
    char text[PATH_MAX];
    ssize_t n = readlinkat(w->dirs[w->n], w->name, text, sizeof(text));
    size_t rest = strlen(w->path + w->at);

    if (n < 0)
        return errno == EINVAL ? otherwise : -errno;
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    if (n == 0 || text[0] == '/')
        return n == 0 ? -ENOENT : -EXDEV;
    if ((size_t)n + rest >= sizeof(w->path))
        return -ENAMETOOLONG;
    memmove(w->path + n, w->path + w->at, rest + 1);
    memcpy(w->path, text, (size_t)n);
    w->at = 0;
    return 0;
}

static int go_up(struct walk *w)
{
    if (w->n == 0)
        return -EXDEV;
    lh_fd_close(w->dirs[w->n--]);
    return 0;
}

/* A component with more behind it. */
static int go_down(struct walk *w)
{
    int flags = lh_beneath_flags(LH_BENEATH_DIRECTORY) | O_NOFOLLOW;
    int fd = lh_fd_above(openat(w->dirs[w->n], w->name, flags));

    /* Some systems say EMLINK of a link. */
    if (fd == -ELOOP || fd == -EMLINK || fd == -ENOTDIR)
        return follow(w, -ENOTDIR);
    if (fd < 0)
        return fd;
    if (w->n + 1 == DEPTH_MAX) {
        lh_fd_close(fd);
        return -ENAMETOOLONG;
    }
    w->dirs[++w->n] = fd;
    return 0;
}

static int arrive_once(struct walk *w, const char *name, int *fd)
{
    int flags = lh_beneath_flags(w->what) | O_NOFOLLOW;

    *fd = lh_fd_above(openat(w->dirs[w->n], name, flags));
    if (*fd == -ELOOP || *fd == -EMLINK ||
        (*fd == -ENOTDIR && w->what == LH_BENEATH_DIRECTORY)) {
        int error = *fd;
        *fd = -1;
        return follow(w, error == -ENOTDIR ? -ENOTDIR : REPLACED);
    }
    return *fd < 0 ? *fd : 0;
}

/* The last component: *fd is what was looked for, if it was no link. */
static int arrive(struct walk *w, const char *name, int *fd)
{
    int error;

    do {
        error = arrive_once(w, name, fd);
    } while (error == REPLACED && ++w->links <= LINKS_MAX);
    return error == REPLACED ? -EAGAIN : error;
}

static int walk_on(struct walk *w, int *fd)
{
    int more = take_name(w);

    if (more < 0)
        return more;
    if (!more)
        return arrive(w, ".", fd);
    if (strcmp(w->name, ".") == 0)
        return 0;
    if (strcmp(w->name, "..") == 0)
        return go_up(w);
    return w->path[w->at] ? go_down(w) : arrive(w, w->name, fd);
}

int lh_beneath_by_hand(int dir, const char *path, enum lh_beneath_what what)
{
    struct walk w = {.dirs = {dir}, .what = what};
    size_t n = strlen(path);
    int fd = -1, error = 0;

    if (n >= sizeof(w.path))
        return -ENAMETOOLONG;
    if (n == 0 || path[0] == '/')
        return n ? -EXDEV : -ENOENT;
    memcpy(w.path, path, n + 1);
    while (fd < 0 && error == 0)
        error = walk_on(&w, &fd);
    while (w.n)
        go_up(&w);
    return error < 0 ? error : fd;
}

int lh_beneath_open(int dir, const char *path, enum lh_beneath_what what)
{
    if (dir == LH_BENEATH_NOTHING)
        return lh_fd_above(open(path, lh_beneath_flags(what)));
    int fd = lh_beneath_call(dir, path, what, false);
    /* A filter of system calls that does not know this one says EPERM.  While
     * anything is renamed anywhere the kernel cannot tell where ".." leads. */
    if (fd == -ENOSYS || fd == -EPERM || fd == -EAGAIN)
        return lh_beneath_by_hand(dir, path, what);
    return fd;
}

/* ENOENT and the like are known without waiting, too. */
int lh_beneath_open_now(int dir, const char *path, enum lh_beneath_what what)
{
    int fd = lh_beneath_call(dir, path, what, true);

    return fd == -ENOSYS || fd == -EPERM || fd == -EINVAL ? -EAGAIN : fd;
}

void lh_beneath_tell(const struct stat *st, struct lh_found *found)
{
    found->kind = S_ISREG(st->st_mode)   ? LH_FOUND_FILE
                  : S_ISDIR(st->st_mode) ? LH_FOUND_DIRECTORY
                  : S_ISLNK(st->st_mode) ? LH_FOUND_LINK
                                         : LH_FOUND_OTHER;
    found->size = (uint64_t)st->st_size;
    found->inode = (uint64_t)st->st_ino;
    found->links = (uint64_t)st->st_nlink;
    found->changed_s = (int64_t)st->st_ctim.tv_sec;
    found->changed_ns = (uint32_t)st->st_ctim.tv_nsec;
    found->modified_s = (int64_t)st->st_mtim.tv_sec;
    found->modified_ns = (uint32_t)st->st_mtim.tv_nsec;
}

int lh_beneath_stat(int fd, struct lh_found *found)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    lh_beneath_tell(&st, found);
    return 0;
}
