/*
 * Pipes by which octets of a file go to a plain connection without a copy: the
 * file's pages are put into the pipe, and the connection moves them on into its
 * socket.  What is in a pipe stays, whatever becomes of the file.
 */
#ifndef LH_FILES_CONDUIT_H
#define LH_FILES_CONDUIT_H

#include "files/opened.h"
#include "http/exchange.h"
#include "os/aio.h"
#include "os/pipe.h"

struct lh_conduit {
    struct lh_list link; /* in the store, while nobody has it */
    struct lh_open_files *files;
    struct lh_body_source source;
    unsigned refs;
    int fds[2]; /* as of pipe(2) */
    size_t room;
    size_t n; /* octets that no response has yet */
};

/* An empty one; NULL: there is none to be had, or a worker has enough of them,
 * and copies have to do. */
struct lh_conduit *lh_conduit_new(struct lh_context *ctx);
struct lh_conduit *lh_conduit_hold(struct lh_conduit *conduit);
void lh_conduit_drop(struct lh_conduit *conduit); /* NULL allowed */

/* Puts up to n octets of a file into it, which has none, as far as that takes
 * no waiting.  How many (0: there are none), or a negative errno: it is an
 * operation's. */
ssize_t lh_conduit_fill_now(struct lh_conduit *conduit, int file, uint64_t at,
                            size_t n);

/* The same as an operation (LH_AIO_SPLICE), which is to have a share of it; its
 * result is the caller's to put into `n`. */
void lh_conduit_prepare(struct lh_conduit *conduit, struct lh_aio_op *op,
                        uint64_t at, size_t n);

/* The next octets of the response are those in the pipe.  Errors as of
 * lh_exchange_draw_from(). */
int lh_conduit_give(struct lh_conduit *conduit, struct lh_exchange *ex);

/* Closes those that wait for the next request. */
void lh_conduits_forget(struct lh_open_files *files);

#endif
