/*
 * Which of the codings that there are a client wants (RFC 9110, 12.5.3).
 */
#ifndef LH_HTTP_CODING_H
#define LH_HTTP_CODING_H

#include "http/field.h"

/* In the order in which they are preferred where the client does not say. */
enum lh_coding { LH_CODING_BR, LH_CODING_GZIP, LH_CODING_IDENTITY };

#define LH_CODINGS 3

/* How much the client wants each, 0 (not at all) to 1000. */
struct lh_coding_wishes {
    uint16_t q[LH_CODINGS];
    bool asked; /* there is an accept-encoding at all */
};

void lh_coding_read(struct lh_coding_wishes *wishes,
                    const struct lh_fields *fields);

/* Those other than identity that are wanted at least as much as it, the most
 * wanted first; how many. */
unsigned lh_coding_order(const struct lh_coding_wishes *wishes,
                         enum lh_coding order[LH_CODINGS]);

/* "br", "gzip"; and how a file's name ends that has it: ".br", ".gz". */
struct lh_str lh_coding_name(enum lh_coding coding);
struct lh_str lh_coding_suffix(enum lh_coding coding);

#endif
