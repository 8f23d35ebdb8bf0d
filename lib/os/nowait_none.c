/* Systems that have no reads and writes of this kind: see nowait.h. */
#include "os/nowait.h"

#include <errno.h>

ssize_t lh_nowait_read(int fd, void *p, size_t n, int64_t offset)
{
    (void)fd;
    (void)p;
    (void)n;
    (void)offset;
    return -EOPNOTSUPP;
}

ssize_t lh_nowait_write(int fd, const void *p, size_t n)
{
    (void)fd;
    (void)p;
    (void)n;
    return -EOPNOTSUPP;
}
