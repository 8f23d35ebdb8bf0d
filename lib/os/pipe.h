/*
 * Pipes, terminals, and what else reports to the event queue, read and written
 * without waiting.
 */
#ifndef LH_OS_PIPE_H
#define LH_OS_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Sets or clears O_NONBLOCK, which holds for all who share what is open. */
void lh_pipe_set_nonblocking(int fd, bool on);

/* Octets moved (a read's 0: the end), -EAGAIN: an event must come first, or
 * another negative errno.  Without O_NONBLOCK too; where that cannot be done
 * -EOPNOTSUPP (FIFOs, terminals, old kernels). */
ssize_t lh_pipe_read(int fd, void *p, size_t n);
ssize_t lh_pipe_write(int fd, const void *p, size_t n);
/* As write, whoever else writes there; -EOPNOTSUPP: this kernel cannot for what
 * this is. */
ssize_t lh_pipe_write_now(int fd, const void *p, size_t n);

/* A pipe for octets on their way from a file to a socket: close-on-exec,
 * neither end waits.  How many octets it holds, or a negative errno. */
ssize_t lh_pipe_open(int fds[2]);

/* Is nothing in it? */
bool lh_pipe_is_empty(int fd);

/* A descriptor to read these octets from, close-on-exec; or a negative errno.
 */
int lh_pipe_text(const void *p, size_t n);

#endif
