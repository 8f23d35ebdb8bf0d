/* Reads and writes that do not wait, on descriptors that would: Linux 4.14. */
#ifndef LH_OS_NOWAIT_H
#define LH_OS_NOWAIT_H

#include <stdint.h>
#include <sys/types.h>

/* The position of what has none. */
#define LH_NOWAIT_NO_OFFSET (-1)

/* Octets moved, -EAGAIN, or another negative errno; -EOPNOTSUPP: this kind of
 * file, kernel or container does not know it. */
ssize_t lh_nowait_read(int fd, void *p, size_t n, int64_t offset);
ssize_t lh_nowait_write(int fd, const void *p, size_t n);

#endif
