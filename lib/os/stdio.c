/*
 * What glibc keeps of an open FILE: see stdio.h.  Its buffer is looked at and
 * emptied by the members of struct _IO_FILE, which are part of the ABI:
 * fseeko() would read synchronously, and would go on to use octets of the
 * buffer that the file does not have any more.
 */
#include "os/stdio.h"

#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In _flags: the buffer holds output. */
#define PUTTING 0x0800

/* A FIFO or a terminal that others have too is opened once more: only then is
 * it ours alone not to wait.  Negative: there is no way (/proc is not there).
 */
static int open_anew(int fd, int flags)
{
    char path[40];
    struct stat st;

    if (fstat(fd, &st) < 0 || !(S_ISFIFO(st.st_mode) || isatty(fd)))
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    flags = (flags & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    return lh_fd_above(open(path, flags));
}

static const struct mode {
    const char *name;
    int flags;
} modes[] = {
    {"r", O_RDONLY},
    {"w", O_WRONLY | O_CREAT | O_TRUNC},
    {"a", O_WRONLY | O_CREAT | O_APPEND},
    {"r+", O_RDWR},
    {"w+", O_RDWR | O_CREAT | O_TRUNC},
    {"a+", O_RDWR | O_CREAT | O_APPEND},
};

/* "rb+" and "r+b" are "r+". */
const char *lh_stdio_mode(const char *name, int *flags)
{
    char plain[4] = "";
    size_t n = 0;

    for (; *name && n < sizeof(plain) - 1; name++)
        if (*name != 'b' || n == 0)
            plain[n++] = *name;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(plain, modes[i].name) == 0 && !*name) {
            *flags = modes[i].flags | O_NONBLOCK | O_NOCTTY;
            return modes[i].name;
        }
    }
    return NULL;
}

int lh_stdio_open(int fd, const char *mode, FILE **fp)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    /* As fopen() does it, which fdopen() does not. */
    if (strcmp(mode, "a") == 0)
        lseek(fd, 0, SEEK_END);
    *fp = fdopen(fd, mode);
    if (*fp)
        return 0;
    int error = -errno;
    close(fd);
    return error;
}

int lh_stdio_duplicate(FILE *fp, struct lh_stdio_twin *twin)
{
    struct stat st;
    int flags = fcntl(fileno(fp), F_GETFL);

    if (flags < 0 || fstat(fileno(fp), &st) < 0)
        return -errno;
    twin->readable = (flags & O_ACCMODE) != O_WRONLY;
    twin->writable = (flags & O_ACCMODE) != O_RDONLY;
    twin->appends = (flags & O_APPEND) != 0;
    twin->on_disk =
        S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode);
    twin->standard = fileno(fp) <= STDERR_FILENO;
    twin->shared =
        twin->standard && twin->on_disk && fileno(fp) != STDIN_FILENO;
    twin->fd = twin->standard ? open_anew(fileno(fp), flags) : -1;
    if (twin->fd < 0)
        twin->fd = lh_fd_duplicate(fileno(fp));
    return twin->fd < 0 ? twin->fd : 0;
}

size_t lh_stdio_behind(FILE *fp)
{
    return __fpending(fp);
}

static void empty_buffer(FILE *fp)
{
    __fpurge(fp);
    fp->_IO_read_base = fp->_IO_read_ptr = fp->_IO_read_end = fp->_IO_buf_base;
    fp->_IO_write_base = fp->_IO_write_ptr = fp->_IO_write_end =
        fp->_IO_buf_base;
    fp->_flags &= ~PUTTING;
    fp->_offset = -1; /* not known */
}

void lh_stdio_take_behind(FILE *fp, void *p)
{
    memcpy(p, fp->_IO_write_base, __fpending(fp));
    empty_buffer(fp);
}

void lh_stdio_close(FILE *fp)
{
    struct stat st;

    if (__fpending(fp) && fstat(fileno(fp), &st) == 0 && !S_ISREG(st.st_mode))
        fcntl(fileno(fp), F_SETFL, fcntl(fileno(fp), F_GETFL) | O_NONBLOCK);
    fclose(fp);
}

int lh_stdio_leave(FILE *fp, int64_t *offset)
{
    if (__fpending(fp) && fflush(fp) != 0)
        return -errno;
    *offset = ftello(fp);
    if (*offset < 0)
        return errno == ESPIPE ? 0 : -errno;
    if (lseek(fileno(fp), (off_t)*offset, SEEK_SET) < 0)
        return -errno;
    empty_buffer(fp);
    return 0;
}

int lh_stdio_flush(FILE *fp)
{
    int r = __fpending(fp) && fflush(fp) != 0 ? -errno : 0;

    fp->_offset = -1; /* not known, or a later seek would move it back */
    return r;
}

int64_t lh_stdio_claim(int fd, size_t n)
{
    off_t end = lseek(fd, (off_t)n, SEEK_CUR);

    return end < 0 ? -errno : end - (off_t)n;
}

uint64_t lh_stdio_offset(int fd)
{
    off_t offset = lseek(fd, 0, SEEK_CUR);

    return offset < 0 ? 0 : (uint64_t)offset;
}

/* Only for a device is the end where lseek() finds it, not where fstat() says.
 */
int64_t lh_stdio_size(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISBLK(st.st_mode))
        return st.st_size;
    off_t at = lseek(fd, 0, SEEK_CUR), end = lseek(fd, 0, SEEK_END);
    lseek(fd, at, SEEK_SET);
    return end < 0 ? -errno : end;
}

size_t lh_stdio_ahead(const FILE *fp)
{
    return (size_t)(fp->_IO_read_end - fp->_IO_read_ptr);
}

size_t lh_stdio_take(FILE *fp, void *p, size_t n)
{
    size_t ahead = lh_stdio_ahead(fp);

    return fread(p, 1, n < ahead ? n : ahead, fp);
}

void lh_stdio_resume(FILE *fp, int64_t offset)
{
    if (offset >= 0)
        lseek(fileno(fp), (off_t)offset, SEEK_SET);
    fp->_flags &= ~_IO_EOF_SEEN;
}

bool lh_stdio_unread(FILE *fp, const void *p, size_t n)
{
    const unsigned char *octets = p;

    while (n > 0)
        if (ungetc(octets[--n], fp) == EOF)
            return false;
    return true;
}
