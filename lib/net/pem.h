/* The objects of a PEM text (RFC 7468). */
#ifndef LH_NET_PEM_H
#define LH_NET_PEM_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_PEM_LABEL_BYTES 65

struct lh_pem_object {
    char label[LH_PEM_LABEL_BYTES]; /* "CERTIFICATE" and the like */
    bool encrypted;                 /* by its headers (RFC 1421, 4.6.1.1) */
    unsigned line;                  /* where it begins, from 1 */
    const uint8_t *der;             /* valid during the call */
    size_t n;
};

/* One object.  Not 0 ends the walk. */
typedef int (*lh_pem_fn)(void *context, const struct lh_pem_object *object);

/* 0, what the function returned, LHTTPD_ENOMEM, or LHTTPD_ECERT with words
 * where something that looks like an object cannot be read.  White space of
 * every kind may stand in an object, any text around it. */
int lh_pem_each(const void *text, size_t n, lh_pem_fn fn, void *context,
                struct lh_err *err);

/* Does any object begin in it?  A DER file holds none. */
bool lh_pem_begins(const void *text, size_t n);

#endif
