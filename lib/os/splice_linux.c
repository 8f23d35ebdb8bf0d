/* Splicing by Linux's calls: see splice.h. */
#include "os/splice.h"

#include "os/nowait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Most machines have one number for a call of this age; the others' come with
 * their headers. */
#if !defined(SYS_cachestat) && !defined(__alpha__) && !defined(__mips__)
#define SYS_cachestat 451
#endif

#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

ssize_t lh_splice_in(int file, off_t at, int pipe, size_t n)
{
    ssize_t r = splice(file, &at, pipe, NULL, n, FLAGS);

    return r < 0 ? -errno : r;
}

/* Are all of its pages in memory (cachestat, Linux 6.5)?  One that is on its
 * way counts for the kernel; so the last one, which comes last, is read from.
 */
#ifdef SYS_cachestat
static bool is_in_memory(int file, uint64_t at, uint64_t n)
{
    struct {
        uint64_t at, n;
    } range = {at, n};
    struct {
        uint64_t cached, dirty, writing, evicted, evicted_now;
    } pages;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t wanted = (at + n - 1) / page - at / page + 1;
    char last;

    return n && syscall(SYS_cachestat, file, &range, &pages, 0) == 0 &&
           pages.cached >= wanted &&
           lh_nowait_read(file, &last, 1, (int64_t)(at + n - 1)) == 1;
}
#else
static bool is_in_memory(int file, uint64_t at, uint64_t n)
{
    (void)file;
    (void)at;
    (void)n;
    return false;
}
#endif

ssize_t lh_splice_in_now(int file, off_t at, int pipe, size_t n)
{
    return is_in_memory(file, (uint64_t)at, n) ? lh_splice_in(file, at, pipe, n)
                                               : -EAGAIN;
}

bool lh_splice_is_ready(int file, off_t at, size_t n)
{
    return is_in_memory(file, (uint64_t)at, n);
}

ssize_t lh_splice_file(int file, off_t at, int socket, size_t n)
{
    ssize_t r = sendfile(socket, file, &at, n);

    return r < 0 ? -errno : r;
}

ssize_t lh_splice_out(int pipe, int socket, size_t n)
{
    ssize_t r = splice(pipe, NULL, socket, NULL, n, FLAGS);

    return r < 0 ? -errno : r;
}

/* More is refused to a user that has much in pipes: the usual size will do. */
int lh_splice_room(int pipe, int wanted)
{
    int room = wanted ? fcntl(pipe, F_SETPIPE_SZ, wanted) : -1;

    if (room < 0)
        room = fcntl(pipe, F_GETPIPE_SZ);
    return room < 0 ? -errno : room;
}
