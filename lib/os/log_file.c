/* Files that lines are added to: see log_file.h. */
#include "os/log_file.h"

#include "base/mem.h"
#include "os/error.h"
#include "os/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who reads logs is in the file's group. */
#define FILE_MODE 0640

/* A FIFO that nobody reads must not hold us, and what we write there later must
 * not either. */
#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static bool is_path(const char *where)
{
    return strcmp(where, "-") != 0 && strcmp(where, "syslog") != 0;
}

/* A file that is not appended to has one position for all who write there,
 * which only writes of the usual kind share without mixing. */
static int way_of(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flags >= 0 &&
                   (flags & O_APPEND)
               ? LH_LOG_WAY_FILE
               : LH_LOG_WAY_NOW;
}

static int open_path(const char *path, struct lh_log_opened *opened,
                     struct lh_err *err)
{
    int fd = lh_fd_above(open(path, OPEN_FLAGS | O_CREAT, FILE_MODE));

    if (fd == -ENXIO)
        return lh_err_set(err, LHTTPD_ESYSTEM,
                          "%s: a pipe that nobody reads, or a socket", path);
    if (fd < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM, "%s: %s", path, lh_sys_text(fd));
    *opened = (struct lh_log_opened){fd, way_of(fd)};
    return 0;
}

/* Standard output stays whose it is: we write to its own number. */
static int open_any(struct lh_log_file *file, const char *name,
                    struct lh_err *err)
{
    struct lh_log_opened opened = {STDOUT_FILENO, LH_LOG_WAY_NOW};

    if (strcmp(file->where, "syslog") == 0) {
        lh_log_sink_init(&file->sink, name);
        opened = (struct lh_log_opened){-1, LH_LOG_WAY_SYSLOG};
    } else if (is_path(file->where)) {
        int r = open_path(file->where, &opened, err);
        if (r < 0)
            return r;
    } else {
        opened.way = way_of(STDOUT_FILENO);
    }
    file->fd = opened.fd;
    atomic_init(&file->way, opened.way);
    return 0;
}

int lh_log_file_new(struct lh_log_file **out, const char *where,
                    const char *name, struct lh_err *err)
{
    struct lh_log_file *file;
    int r;

    if (!*where)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "not a file's path, \"-\" or \"syslog\"");
    file = lh_calloc(1, sizeof(*file));
    if (!file)
        return lh_err_memory(err);
    file->fd = file->sink.fd = -1;
    file->put_line = lh_log_to_syslog;
    file->where = lh_strdup(where);
    r = file->where ? open_any(file, name, err) : lh_err_memory(err);
    if (r == 0)
        *out = file;
    else
        lh_log_file_free(file);
    return r;
}

void lh_log_file_free(struct lh_log_file *file)
{
    if (!file)
        return;
    lh_log_sink_deinit(&file->sink);
    if (file->fd > STDERR_FILENO)
        close(file->fd);
    lh_free(file->where);
    lh_free(file);
}

/* --- again ---------------------------------------------------------------- */

/* Is it a file that nobody has moved away?  Root may have made it before the
 * process became a user who must not open it: it stays open. */
static bool is_in_place(const struct lh_log_file *file)
{
    struct stat is, will;

    return fstat(file->fd, &is) == 0 && S_ISREG(is.st_mode) &&
           stat(file->where, &will) == 0 && is.st_dev == will.st_dev &&
           is.st_ino == will.st_ino;
}

int lh_log_file_open_again(const struct lh_log_file *file,
                           struct lh_log_opened *opened, struct lh_err *err)
{
    *opened = (struct lh_log_opened){-1, LH_LOG_WAY_NOW};
    if (!is_path(file->where) || is_in_place(file))
        return 0;
    return open_path(file->where, opened, err);
}

/* dup3() changes what the number stands for in one step, for all threads; who
 * writes at that moment writes to the old file or to the new one.  Another file
 * has nothing from us yet; should it begin with an empty line, since the old
 * one ends within a line of that moment, no harm is done. */
void lh_log_file_change(struct lh_log_file *file, struct lh_log_opened *opened)
{
    if (opened->fd < 0)
        return;
    if (!lh_fd_same(opened->fd, file->fd))
        atomic_store(&file->sink.cut, false);
    while (dup3(opened->fd, file->fd, O_CLOEXEC) < 0 &&
           (errno == EINTR || errno == EBUSY))
        continue;
    atomic_store(&file->way, opened->way);
    lh_log_file_let_go(opened);
}

void lh_log_file_let_go(struct lh_log_opened *opened)
{
    if (opened->fd >= 0)
        close(opened->fd);
    opened->fd = -1;
}

/* A file is made in its directory, where one has to be allowed to. */
static int look_at_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[4096] = ".";
    size_t n = slash ? (size_t)(slash - path) : 0;

    if (n >= sizeof(directory))
        return -ENAMETOOLONG;
    if (slash)
        snprintf(directory, sizeof(directory), "%.*s/", (int)n, path);
    return eaccess(directory, W_OK | X_OK) < 0 ? -errno : 0;
}

/* What is no regular file is opened by its path as before. */
static int look_at_path(const struct lh_log_file *file)
{
    int fd = lh_fd_above(open(file->where, OPEN_FLAGS));

    if (fd < 0)
        return fd;
    bool same = lh_fd_same(fd, file->fd);
    close(fd);
    return same ? 0 : -ENOENT; /* that of another root directory */
}

bool lh_log_file_opens_again(const struct lh_log_file *file, struct lh_err *why)
{
    int r;

    if (!is_path(file->where))
        return true;
    r = is_in_place(file) ? look_at_directory(file->where) : look_at_path(file);
    if (r < 0)
        lh_err_set(why, LHTTPD_ESYSTEM, "%s: %s", file->where, lh_sys_text(r));
    return r == 0;
}
