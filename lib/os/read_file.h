/* Reading a whole small file while a server is set up; both may block. */
#ifndef LH_OS_READ_FILE_H
#define LH_OS_READ_FILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Reads a regular file of at most `max` bytes into allocated memory, which the
 * caller frees with lh_free(); one zero byte follows the contents.
 * LHTTPD_ESYSTEM with words ("'x.lua': No such file or directory"),
 * LHTTPD_ENOMEM. */
int lh_read_file(const char *path, size_t max, void **bytes, size_t *n,
                 struct lh_err *err);

/* Reads what the path names, a pipe too, until its end or `room` octets, with
 * no copy of them elsewhere: a count, or a negative errno. */
int64_t lh_read_path(const char *path, void *p, size_t room);

/* Can it be opened for reading?  0 or a negative errno. */
int lh_read_try(const char *path);

#endif
