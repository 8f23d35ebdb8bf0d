/*
 * Asynchronous file operations of one worker: reads and writes at an offset,
 * open, fsync and splice, which never hold its thread.  What is added in a turn
 * goes to the kernel in one submission; completions come through the event
 * queue.
 *
 * Three ways, chosen at run time: io_uring, or on FreeBSD POSIX's operations;
 * where the kernel refuses these (a seccomp filter, an old kernel) a few helper
 * threads behind a lock-free queue; and the worker's own thread, where a
 * program wants no others and would rather wait for its disk.
 */
#ifndef LH_OS_AIO_H
#define LH_OS_AIO_H

#include "base/err.h"
#include "base/list.h"
#include "os/crew.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum lh_aio_kind {
    LH_AIO_READ,
    LH_AIO_WRITE,
    LH_AIO_OPEN,
    LH_AIO_OPEN_BENEATH, /* see os/beneath.h */
    LH_AIO_SYNC,
    LH_AIO_SPLICE, /* from a file into a pipe, without a copy */
    LH_AIO_CALL,   /* a function of the caller's, in a helper thread */
};

/* The position of a file that is written at its end, or that has none. */
#define LH_AIO_NO_OFFSET UINT64_MAX

/*
 * One operation, embedded in its owner's struct.  From lh_aio_add() until
 * `complete` is called it belongs to the kernel, with its buffer and its
 * descriptor; nothing ends it sooner.
 */
struct lh_aio_op {
    enum lh_aio_kind kind;
    int fd;           /* OPEN_BENEATH: the directory */
    void *p;          /* READ, WRITE: the buffer */
    int to;           /* SPLICE: the pipe's end */
    size_t n;         /* READ, WRITE, SPLICE: octets */
    uint64_t offset;  /* likewise: in the file; or LH_AIO_NO_OFFSET */
    const char *path; /* OPEN, OPEN_BENEATH */
    int flags;        /* OPEN: those of open(2); close-on-exec is added.
                         OPEN_BENEATH: an enum lh_beneath_what */
    mode_t mode;      /* OPEN */
    /* CALL: may wait; what it gives is the result. */
    int64_t (*call)(struct lh_aio_op *op);

    /* In the adding thread, from lh_aio_deliver().  `result`: octets moved (a
     * read's at an offset are fewer than n only at the end of the file, one's
     * without and a splice's are 0 only there), the descriptor of an open, or a
     * negative errno. */
    void (*complete)(struct lh_aio_op *op);
    int64_t result;

    size_t done;  /* inside: octets moved so far */
    bool refused; /* inside: not to be done without waiting */
    union {
        struct lh_list link;
        struct lh_crew_job job;
    };
};

struct lh_aio;

/* 0, or LHTTPD_EINVAL with words that list the ways: this system has none of
 * that name.  Otherwise *named is a constant string. */
int lh_aio_find(const char **named, const char *way, struct lh_err *err);

/* `way`: "uring" or "posix", "threads", "inline", or NULL for the better of the
 * first two that works.  LHTTPD_ESYSTEM with words, LHTTPD_ENOMEM. */
int lh_aio_new(struct lh_aio **aio, const char *way, struct lh_err *err);

/* Every operation was delivered. */
void lh_aio_free(struct lh_aio *aio); /* NULL allowed */

const char *lh_aio_way(const struct lh_aio *aio); /* as above */

/* Readable while completions wait. */
int lh_aio_fd(const struct lh_aio *aio);

/* Never fails: what cannot go to the kernel yet waits its turn. */
void lh_aio_add(struct lh_aio *aio, struct lh_aio_op *op);

/* Once a turn.  True: the kernel is short of memory; again, soon. */
bool lh_aio_submit(struct lh_aio *aio);

void lh_aio_deliver(struct lh_aio *aio);

/* Operations that are not delivered yet. */
unsigned lh_aio_pending(const struct lh_aio *aio);

/* Reads what is in the page cache without waiting: octets (0: the end of the
 * file), or a negative errno: it must be added as an operation.  The count may
 * be short. */
ssize_t lh_aio_read_cached(int fd, void *p, size_t room, uint64_t offset);

#endif
