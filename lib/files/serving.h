/*
 * Inside lib/files, and for those who serve: one request that is answered with
 * a file.  It moves through the states of enum lh_serving_state, in
 * lh_serving_step(), as far as it gets without waiting.  What it waits for, an
 * operation or room in the response, wakes it.
 */
#ifndef LH_FILES_SERVING_H
#define LH_FILES_SERVING_H

#include "files/conduit.h"
#include "files/files.h"
#include "files/opened.h"
#include "http/coding.h"
#include "http/range.h"
#include "os/aio.h"

enum lh_serving_state {
    LH_SERVING_ROOT,    /* opens the directory */
    LH_SERVING_PATH,    /* ... beneath it what was asked for */
    LH_SERVING_INDEX,   /* ... or the page of that */
    LH_SERVING_VARIANT, /* looks for a compressed one */
    LH_SERVING_FOLDER,  /* opens a directory that is to be listed */
    LH_SERVING_LIST,    /* ... and waits for the list */
    LH_SERVING_BODY,
    LH_SERVING_ENDED,
};

struct lh_fetch;

struct lh_serving {
    struct lh_exchange *ex;
    const struct lh_files_options *options;
    void (*wake)(struct lh_serving *s);
    void *owner; /* its caller's */
    enum lh_serving_state state;
    struct lh_opened *root, *file; /* shares; NULL: none yet */
    struct lh_fetch *fetch;        /* on its way; NULL: none */
    int64_t result;                /* of the last one, if `has_result` */
    bool has_result;
    int descriptor; /* ... that it has opened, and nobody has yet; or -1 */
    unsigned again; /* times that something was renamed meanwhile */

    char *path; /* in the exchange's arena, with room for what is added */
    size_t path_n;
    struct lh_str type;
    enum lh_coding coding;
    enum lh_coding order[LH_CODINGS]; /* of compressed ones to be tried */
    unsigned order_n, order_at;

    /* The body: texts and parts of the file. */
    struct lh_str boundary;
    struct lh_ranges *ranges; /* NULL: one part, which is `left` already */
    unsigned part;
    struct lh_str text; /* that comes before the file's octets */
    uint64_t at, left;
    char *page; /* a list; `text` is what is left of it */
    char *in;   /* octets from `at` on that an operation has read */
    size_t in_at, in_n;
    struct lh_body_source source; /* or the response is sent from the file */
    bool cold;                    /* what is next is not in memory */
    struct lh_conduit *conduit;   /* for that; NULL: none yet */
    bool splices;                 /* an operation fills it */
    bool copies;                  /* the kernel cannot move octets of it */
};

/* --- failure.c ------------------------------------------------------------ */

/* Answers with a status and its page, if nothing has left, and ends. */
void lh_serving_fail(struct lh_serving *s, unsigned status);

/* ... for an error of os/error.h, which the log learns if it is the system's
 * own fault. */
void lh_serving_error(struct lh_serving *s, int error);

/* --- fetch.c -------------------------------------------------------------- */

#define LH_SERVING_WAITS (-100000) /* no error of the system's */

/* The descriptor, or a negative error, or LH_SERVING_WAITS.  Beneath s->root,
 * if there is one yet. */
int lh_fetch_open(struct lh_serving *s, const char *path,
                  enum lh_beneath_what what);
/* Octets of the file into s->in; into the conduit.  LH_SYS_ENOMEM. */
int lh_fetch_read(struct lh_serving *s, size_t n);
int lh_fetch_splice(struct lh_serving *s, size_t n);
/* The page that lists the directory s->file, into s->page. */
int lh_fetch_list(struct lh_serving *s);
/* Nobody wants to know any more. */
void lh_fetch_leave(struct lh_serving *s);

/* --- find.c --------------------------------------------------------------- */

void lh_find_begin(struct lh_serving *s);
/* Opens what the state is about, and moves on; false: it waits. */
bool lh_find_step(struct lh_serving *s);

/* --- answer.c ------------------------------------------------------------- */

/* The file is open: the header, and what the body consists of. */
void lh_answer_begin(struct lh_serving *s);
/* 405, with the methods that are allowed. */
void lh_answer_method(struct lh_serving *s);

/* --- listed.c ------------------------------------------------------------- */

/* Lists the directory that is open; false: it waits. */
bool lh_list_step(struct lh_serving *s);

/* --- body.c --------------------------------------------------------------- */

/* Gives the response what it has room for; false: it waits. */
bool lh_body_step(struct lh_serving *s);

#endif
