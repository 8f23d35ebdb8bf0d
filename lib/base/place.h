/* Where octets are that the kernel can move into a socket by itself. */
#ifndef LH_BASE_PLACE_H
#define LH_BASE_PLACE_H

#include <stdint.h>

#define LH_PLACE_PIPE (-1) /* as `at` */

struct lh_place {
    int fd;
    int64_t at; /* of a file; LH_PLACE_PIPE: they are the next of a pipe */
};

#endif
