/* The ways of doing file operations on systems with POSIX's. */
#include "os/aio_ways.h"

const struct lh_aio_ways *const lh_aio_all_ways[LH_AIO_WAYS] = {
    &lh_aio_posix, &lh_aio_threads, &lh_aio_inline};
