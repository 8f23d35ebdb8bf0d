/*
 * Directories that prefixes are mapped to, whose files are served without Lua.
 */
#ifndef LH_SERVER_DIRECTORY_H
#define LH_SERVER_DIRECTORY_H

#include "base/err.h"
#include "base/tally.h"
#include "files/files.h"

struct lh_directory {
    char *path, *index, *cache_control; /* NULL: as the settings say */
    bool uncompressed;
    int listing;                     /* as lhttpd_directory_t says */
    struct lh_files_options options; /* once the server begins */
    struct lh_tally *tally;
};

/* What the settings say of all of them. */
struct lh_directory_settings {
    char *cache_control; /* NULL: none */
    bool listing;
    struct lh_media media;
};

/* LHTTPD_EINVAL: an index or cache-control that is none; LHTTPD_ENOMEM. */
int lh_directory_new(struct lh_directory **d, const char *path,
                     const lhttpd_directory_t *given, struct lh_err *err);
void lh_directory_free(struct lh_directory *d); /* NULL allowed */

/* Is it there?  LHTTPD_ESYSTEM with words. */
int lh_directory_check(const struct lh_directory *d, struct lh_err *err);

/* The settings are known, and no worker runs yet.  LHTTPD_ENOMEM. */
int lh_directory_begin(struct lh_directory *d,
                       const struct lh_directory_settings *settings,
                       struct lh_tallies *tallies, const char *prefix,
                       bool (*not_found)(struct lh_exchange *ex));

/* The settings of these names; see settings.c. */
int lh_directory_set_cache_control(struct lh_directory_settings *settings,
                                   const char *value, struct lh_err *err);
int lh_directory_set_mime_types(struct lh_directory_settings *settings,
                                const char *path, struct lh_err *err);
void lh_directory_settings_deinit(struct lh_directory_settings *settings);

#endif
