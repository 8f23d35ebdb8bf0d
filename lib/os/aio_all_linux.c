/* The ways of doing file operations on Linux. */
#include "os/aio_ways.h"

const struct lh_aio_ways *const lh_aio_all_ways[LH_AIO_WAYS] = {
    &lh_aio_uring, &lh_aio_threads, &lh_aio_inline};
