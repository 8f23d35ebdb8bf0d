/*
 * Errors.  Functions return 0 or one of the public LHTTPD_E numbers; those
 * whose failure a person must understand also fill a struct lh_err with words
 * that say what, where and what to do.
 */
#ifndef LH_BASE_ERR_H
#define LH_BASE_ERR_H

#include "lhttpd.h"

#define LH_ERR_TEXT_BYTES 512

struct lh_err {
    char text[LH_ERR_TEXT_BYTES];
};

/* Writes the words and returns `code`, so that a caller may `return` it. */
int lh_err_set(struct lh_err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* LHTTPD_ENOMEM with its words. */
int lh_err_memory(struct lh_err *err);

/* Puts "what: " in front of the words that are there. */
void lh_err_prefix(struct lh_err *err, const char *what);

#endif
