/*
 * Files that are open, each shared by those who serve it, and a worker's store
 * of those that the next request may ask for.
 *
 * The store spares a request the way along the path.  Whatever happens to a
 * file itself, a change, another one under its name, an end, is seen at the
 * next request, since each looks at what is open; what happens to directories
 * and links on the way is seen within LH_OPENED_MS, when the store forgets all
 * that it has.  It forgets too when descriptors run out, and at a reload.
 */
#ifndef LH_FILES_OPENED_H
#define LH_FILES_OPENED_H

#include "base/context.h"
#include "os/beneath.h"

#define LH_OPENED_MS   1000
#define LH_OPENED_MAX  128 /* more are opened anew for each request */
#define LH_OPENED_ROWS 64

struct lh_opened {
    struct lh_list link; /* in the store, while it is there */
    unsigned refs;
    int fd; /* -1: there is none of this name */
    struct lh_found found;
    uint64_t warm; /* its first octets, which were in memory just now */
    const struct lh_opened *root;
    enum lh_beneath_what what;
    uint64_t hash;
    char name[];
};

struct lh_open_files {
    struct lh_context *ctx;
    struct lh_timer timer; /* to forget; armed while there is something */
    unsigned n;
    int fd_end; /* higher descriptors than these are left to others */
    struct lh_list rows[LH_OPENED_ROWS];
    struct lh_list conduits; /* that are empty (conduit.h) */
    unsigned conduits_n;
    size_t pipes_n, pipes_max; /* of all conduits */
};

/* --- open_files.c --------------------------------------------------------- */

/* Of a worker, whose ctx->open_files it becomes. */
void lh_open_files_init(struct lh_open_files *files, struct lh_context *ctx);

/* Closes all that nobody uses; false: there was nothing. */
bool lh_open_files_forget(struct lh_open_files *files);

/* Something was put into it, which has its time. */
static inline void lh_open_files_forget_later(struct lh_open_files *files)
{
    if (!lh_timer_armed(&files->timer))
        lh_timer_arm(&files->ctx->timers, &files->timer,
                     files->ctx->now_ms + LH_OPENED_MS);
}

/* --- opened.c ------------------------------------------------------------- */

/* What was found under a name beneath a root (NULL: anywhere): a share of it,
 * if it is known and still what it was; else NULL.  That nothing was found is
 * of use to who looks for it again and again, and asks `or_absent`.  `files`
 * may be NULL. */
struct lh_opened *lh_open_files_find(struct lh_open_files *files,
                                     const struct lh_opened *root,
                                     enum lh_beneath_what what,
                                     const char *name, bool or_absent);

/* Takes over the descriptor, which is looked at, or -1 for a name that is not
 * there.  0, or a negative errno. */
int lh_opened_new(struct lh_opened **opened, const struct lh_opened *root,
                  enum lh_beneath_what what, const char *name, int fd);

/* Keeps a share for the next request, if there is room; `files` may be NULL. */
void lh_open_files_keep(struct lh_open_files *files, struct lh_opened *opened);

void lh_opened_forget(struct lh_open_files *files);

struct lh_opened *lh_opened_hold(struct lh_opened *opened);
void lh_opened_drop(struct lh_opened *opened); /* NULL allowed */

#endif
