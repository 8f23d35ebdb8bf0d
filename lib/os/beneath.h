/*
 * Opening what is to be read, beneath a directory: no path leads out of it,
 * whatever is renamed meanwhile.  Links are followed as long as they stay
 * inside; one to an absolute path is one that leads out.
 */
#ifndef LH_OS_BENEATH_H
#define LH_OS_BENEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the place of the directory: the path is one of the system's. */
#define LH_BENEATH_NOTHING (-1)

enum lh_beneath_what {
    LH_BENEATH_READ,      /* a file or directory, to be read */
    LH_BENEATH_DIRECTORY, /* a directory to open beneath, which need not be
                             readable */
};

/* The descriptor, or a negative errno: EXDEV where the path leads out, ENOTDIR,
 * ELOOP and ENAMETOOLONG as usual, EAGAIN where something was renamed while it
 * was looked for: again.  A FIFO or device is opened without waiting.  It may
 * wait for a disk. */
int lh_beneath_open(int dir, const char *path, enum lh_beneath_what what);

/* The same without waiting, as far as the kernel can tell: EAGAIN where it
 * would have to, or cannot. */
int lh_beneath_open_now(int dir, const char *path, enum lh_beneath_what what);

/* The same without help from the kernel. */
int lh_beneath_by_hand(int dir, const char *path, enum lh_beneath_what what);

/* Is the path on a file system that waits for others, as NFS does?  Then
 * open_now waits too. */
bool lh_beneath_is_remote(const char *path);

/* What is open. */
enum lh_found_kind {
    LH_FOUND_FILE,
    LH_FOUND_DIRECTORY,
    LH_FOUND_LINK, /* of a name alone (os/folder.h) */
    LH_FOUND_OTHER,
};

struct lh_found {
    enum lh_found_kind kind;
    uint64_t size, inode;
    uint64_t links;                /* names that it has */
    int64_t modified_s, changed_s; /* since 1970; changed: its names, too */
    uint32_t modified_ns, changed_ns;
};

/* 0 or a negative errno. */
int lh_beneath_stat(int fd, struct lh_found *found);

/* Inside: what the system says of it. */
struct stat;
void lh_beneath_tell(const struct stat *st, struct lh_found *found);

/* Inside: the flags of open(2), and what one system call can do; -ENOSYS: this
 * system has none. */
int lh_beneath_flags(enum lh_beneath_what what);
int lh_beneath_call(int dir, const char *path, enum lh_beneath_what what,
                    bool now);

#endif
