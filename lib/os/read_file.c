/* Reading a whole small file: see read_file.h. */
#include "os/read_file.h"

#include "base/mem.h"
#include "os/error.h"
#include "os/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_failed(struct lh_err *err, const char *path, const char *why)
{
    return lh_err_set(err, LHTTPD_ESYSTEM, "'%s': %s", path, why);
}

/* Until the end or until `room` is full; the count, or a negative errno. */
static ssize_t read_all(int fd, char *to, size_t room)
{
    size_t done = 0;

    while (done < room) {
        ssize_t n = read(fd, to + done, room - done);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    return (ssize_t)done;
}

/* The size is asked first, so that a file that is too large is refused
 * without reading it.  One that grows meanwhile is read as far as it was. */
static int read_open(int fd, const char *path, size_t max, void **bytes,
                     size_t *n, struct lh_err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return read_failed(err, path, lh_sys_text(-errno));
    if (!S_ISREG(st.st_mode))
        return read_failed(err, path, "not a regular file");
    if ((uint64_t)st.st_size > max)
        return read_failed(err, path, "the file is too large");
    char *to = lh_alloc((size_t)st.st_size + 1);
    if (!to)
        return lh_err_memory(err);
    ssize_t got = read_all(fd, to, (size_t)st.st_size);
    if (got < 0) {
        lh_free(to);
        return read_failed(err, path, lh_sys_text((int)got));
    }
    to[got] = '\0';
    *bytes = to;
    *n = (size_t)got;
    return 0;
}

int lh_read_file(const char *path, size_t max, void **bytes, size_t *n,
                 struct lh_err *err)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    int fd = lh_fd_above(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));

    if (fd < 0)
        return read_failed(err, path, lh_sys_text(fd));
    int r = read_open(fd, path, max, bytes, n, err);
    close(fd);
    return r;
}

int64_t lh_read_path(const char *path, void *p, size_t room)
{
    int fd = lh_fd_above(open(path, O_RDONLY | O_CLOEXEC));

    if (fd < 0)
        return fd;
    ssize_t n = read_all(fd, p, room);
    close(fd);
    return n;
}

/* Without waiting for the writer of a FIFO, and without reading. */
int lh_read_try(const char *path)
{
    int fd = lh_fd_above(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}
