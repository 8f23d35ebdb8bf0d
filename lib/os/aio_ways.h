/* The ways of os/aio.h, each a table of functions. */
#ifndef LH_OS_AIO_WAYS_H
#define LH_OS_AIO_WAYS_H

#include "os/aio.h"

#include <fcntl.h>

/* Added to every open: a script's terminal must not become the one whose
 * signals this process gets. */
#define LH_AIO_OPEN_FLAGS (O_CLOEXEC | O_NOCTTY)

struct lh_aio_ways {
    const char *name;
    int (*new)(struct lh_aio **aio, struct lh_err *err);
    void (*free)(struct lh_aio *aio);
    /* Hands waiting operations over until there is no more room.  False: the
     * kernel has refused some for now. */
    bool (*submit)(struct lh_aio *aio);
    /* Calls lh_aio_finished() for what the kernel has done. */
    void (*reap)(struct lh_aio *aio);
};

/* What every way has in common; its own struct begins with this. */
struct lh_aio {
    const struct lh_aio_ways *ways;
    int fd;
    struct lh_list waiting; /* added, not handed over yet */
    struct lh_list done;    /* to be delivered */
    unsigned pending;
    bool refused; /* as the last submit said */
};

extern const struct lh_aio_ways lh_aio_uring;
extern const struct lh_aio_ways lh_aio_posix;
extern const struct lh_aio_ways lh_aio_threads;
extern const struct lh_aio_ways lh_aio_inline;

/* Those of this system, the best one first; the last is taken only where it is
 * asked for.  One file for each system, which CMake chooses. */
#define LH_AIO_WAYS 3
extern const struct lh_aio_ways *const lh_aio_all_ways[LH_AIO_WAYS];

/* Does the next part of it in this thread; as the system call returns. */
int64_t lh_aio_perform(struct lh_aio_op *op);

void lh_aio_init(struct lh_aio *aio, const struct lh_aio_ways *ways, int fd);

/* `moved`: as the system call returned it, errors as negative errno.  A short
 * count goes to `waiting` again for the rest. */
void lh_aio_finished(struct lh_aio *aio, struct lh_aio_op *op, int64_t moved);

#endif
