/*
 * The page that lists a directory: made in a helper thread, since it waits for
 * the disk for each name.
 */
#ifndef LH_FILES_LISTING_H
#define LH_FILES_LISTING_H

#include "base/str.h"

#include <stdbool.h>

/* What a page may cost at most: names beyond are not shown, and it says so. */
#define LH_LISTING_NAMES 5000
#define LH_LISTING_MS    1000

struct lh_listing {
    int fd;           /* the directory */
    int root;         /* nothing outside is told of; LH_BENEATH_NOTHING */
    const char *path; /* of the directory beneath the root, with its last slash;
                         "" for the root itself */
    const char *title; /* the path of its URL, decoded */
    bool is_top;       /* there is no way up */
    char *page;        /* HTML in UTF-8, of lh_alloc(); NULL: none yet */
};

/* Octets of the page, or a negative errno.  Any thread; it may wait. */
long lh_listing_make(struct lh_listing *listing);

#endif
