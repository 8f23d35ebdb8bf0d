/*
 * An open FILE and direct operations on its descriptor, mixed: see stdio.h.
 * What the C library has to tell of its buffer for that is stdio_libc.h.
 */
#include "os/stdio.h"

#include "os/fd.h"
#include "os/stdio_libc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Is the descriptor open for what the mode says? */
static bool mode_fits(int flags, const char *mode)
{
    int access = flags & O_ACCMODE;
    bool reads = mode[0] == 'r' || mode[1] == '+';
    bool writes = mode[0] != 'r' || mode[1] == '+';

    return !(flags & O_PATH) && (!reads || access != O_WRONLY) &&
           (!writes || access != O_RDONLY);
}

int lh_stdio_adopt(int fd, const char *mode, FILE **fp)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    if (!mode_fits(flags, mode))
        return -EINVAL;
    *fp = fdopen(fd, mode);
    if (!*fp)
        return -errno;
    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    /* As fopen() does it, which fdopen() does not. */
    if (strcmp(mode, "a") == 0)
        lseek(fd, 0, SEEK_END);
    return 0;
}

int lh_stdio_open(int fd, const char *mode, FILE **fp)
{
    int r = lh_stdio_adopt(fd, mode, fp);

    if (r < 0)
        close(fd);
    return r;
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

void lh_stdio_take_behind(FILE *fp, void *p)
{
    memcpy(p, lh_stdio_pending(fp), lh_stdio_behind(fp));
    lh_stdio_empty_buffer(fp);
}

/* fclose() would wait for the reader of a pipe; without waiting it fails, and
 * gives up what it holds back. */
void lh_stdio_close(FILE *fp)
{
    struct stat st;

    if (lh_stdio_behind(fp) && fstat(fileno(fp), &st) == 0 &&
        !S_ISREG(st.st_mode))
        fcntl(fileno(fp), F_SETFL, fcntl(fileno(fp), F_GETFL) | O_NONBLOCK);
    fclose(fp);
}

/* The position is asked of the FILE, which counts what was read ahead, and
 * then set for the descriptor. */
int lh_stdio_leave(FILE *fp, int64_t *offset)
{
    if (lh_stdio_behind(fp) && fflush(fp) != 0)
        return -errno;
    *offset = ftello(fp);
    if (*offset < 0)
        return errno == ESPIPE ? 0 : -errno;
    if (lseek(fileno(fp), (off_t)*offset, SEEK_SET) < 0)
        return -errno;
    lh_stdio_empty_buffer(fp);
    return 0;
}

int lh_stdio_flush(FILE *fp)
{
    int r = lh_stdio_behind(fp) && fflush(fp) != 0 ? -errno : 0;

    lh_stdio_forget_position(fp);
    return r;
}

int64_t lh_stdio_claim(int fd, size_t n)
{
    off_t end = lseek(fd, (off_t)n, SEEK_CUR);

    return end < 0 ? -errno : end - (off_t)n;
}

/* A descriptor without position counts as one at its start. */
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

/* fread() is content with what its buffer has. */
size_t lh_stdio_take(FILE *fp, void *p, size_t n)
{
    size_t ahead = lh_stdio_ahead(fp);

    return fread(p, 1, n < ahead ? n : ahead, fp);
}

/* The end may have moved since it was met. */
void lh_stdio_resume(FILE *fp, int64_t offset)
{
    if (offset >= 0)
        lseek(fileno(fp), (off_t)offset, SEEK_SET);
    lh_stdio_forget_end(fp);
}
