/*
 * What a directory has, for helper threads: it waits for the disk.
 */
#ifndef LH_OS_FOLDER_H
#define LH_OS_FOLDER_H

#include "os/beneath.h"

struct lh_folder;

/* The descriptor stays the caller's.  0 or a negative errno. */
int lh_folder_open(struct lh_folder **folder, int fd);
void lh_folder_close(struct lh_folder *folder);

/* The next name in no order, without those that begin with a dot; valid until
 * the next call.  1; 0: there are no more; or a negative errno. */
int lh_folder_next(struct lh_folder *folder, const char **name);

/* What a name in the directory is, without following a link: that is
 * LH_FOUND_LINK.  0 or a negative errno. */
int lh_folder_look(int fd, const char *name, struct lh_found *found);

#endif
