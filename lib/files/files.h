/*
 * Files for browsers: a request is answered with a file, without Lua and
 * without ever holding the thread.
 */
#ifndef LH_FILES_FILES_H
#define LH_FILES_FILES_H

#include "http/exchange.h"
#include "http/media.h"

/* They live as long as what is served with them. */
struct lh_files_options {
    const char *directory; /* nothing outside of it; NULL: the path is one of
                              the system's */
    bool remote;           /* it waits for others (os/beneath.h) */
    const char *index;     /* of directories, "index.html"; NULL: none */
    bool listing;          /* a directory without that page is listed */
    bool compressed;       /* .br and .gz beside the file */
    const struct lh_media *media; /* NULL: the built-in ones */
    struct lh_str cache_control;  /* these: .p NULL: none */
    unsigned status;    /* of the file, without conditions and ranges; 0: 200 */
    struct lh_str type; /* instead of the name's */
    struct lh_str disposition; /* content-disposition */
    struct lh_fields fields;   /* more of them, beside the file */
    /* Answers where nothing is found, and takes over the exchange's handler
     * side; false: it does not.  NULL: nobody does. */
    bool (*not_found)(struct lh_exchange *ex);
};

struct lh_serving;

/* Its memory lives as long as the exchange; NULL: there is none.  `path` as
 * lh_target_path() makes it.  `wake` is called when it is worth a step, and
 * does nothing but queue. */
struct lh_serving *lh_serving_new(struct lh_exchange *ex,
                                  const struct lh_files_options *options,
                                  struct lh_str path,
                                  void (*wake)(struct lh_serving *s),
                                  void *owner);
void *lh_serving_owner(const struct lh_serving *s);

/* As far as it goes.  True: all is said, and nothing of ours is needed any
 * more; the response has ended, or was cut. */
bool lh_serving_step(struct lh_serving *s);

/* Before that: gives up what is open.  The response is cut if it had begun. */
void lh_serving_cancel(struct lh_serving *s);

/* --- requests that have no other handler --------------------------------- */

/* One a worker: those that are worth a step. */
struct lh_served {
    struct lh_list ready;
};

/* Takes over the exchange's handler side. */
void lh_served_begin(struct lh_served *served, struct lh_exchange *ex,
                     const struct lh_files_options *options,
                     struct lh_str path);
void lh_served_run(struct lh_served *served);

#endif
