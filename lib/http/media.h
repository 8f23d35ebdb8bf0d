/*
 * Media types of files by the end of their names: a built-in table, and what a
 * file in the form of mime.types adds.
 */
#ifndef LH_HTTP_MEDIA_H
#define LH_HTTP_MEDIA_H

#include "base/str.h"

/* Types by extension, sorted; their strings are in `text`. */
struct lh_media {
    struct lh_media_type {
        struct lh_str extension, type;
    } * v;
    size_t n;
    char *text;
};

/* Takes over `text`, which is allocated: lines of a type and its extensions,
 * and comments behind "#".  Where an extension is there twice the last one
 * counts.  LHTTPD_ENOMEM, and the text is freed. */
int lh_media_init(struct lh_media *media, char *text, size_t n);
void lh_media_deinit(struct lh_media *media);

/* The type of a name: the built-in one, or that of `media` (NULL: there is
 * none), or application/octet-stream.  Upper case does not matter.  Text has
 * its charset, utf-8.  Valid as long as media. */
struct lh_str lh_media_type(const struct lh_media *media, struct lh_str name);

#endif
