/*
 * The body of an HTTP/1 request (RFC 9112, 6 and 7): a known length, or chunks
 * with extensions that are skipped and trailers that are kept.  Finds slices of
 * data in the input; copies nothing of it.
 */
#ifndef LH_H1_BODY_H
#define LH_H1_BODY_H

#include "h1/h1_head.h"

enum lh_h1_body_state {
    LH_H1_BODY_LENGTH,  /* `left` octets to come */
    LH_H1_BODY_SIZE,    /* a chunk's size (7.1) */
    LH_H1_BODY_BLANK,   /* white space before its extensions (BWS) */
    LH_H1_BODY_EXT,     /* its extensions (7.1.1) */
    LH_H1_BODY_SIZE_LF, /* the LF after them */
    LH_H1_BODY_DATA,    /* `left` octets of the chunk to come */
    LH_H1_BODY_DATA_CR, /* the CRLF after them */
    LH_H1_BODY_DATA_LF,
    LH_H1_BODY_TRAILERS, /* (7.1.2) */
    LH_H1_BODY_WHOLE,
};

struct lh_h1_body {
    enum lh_h1_body_state state;
    unsigned digits; /* of the size, so far */
    unsigned fields; /* head's and trailers' together */
    uint64_t left;
    uint64_t line_bytes; /* of the chunk line, so far */
    uint64_t trailer_bytes;
    struct lh_h1_line line;
};

enum lh_h1_body_result {
    LH_H1_BODY_MORE,
    LH_H1_BODY_ENDS,
    LH_H1_BODY_BAD,
    LH_H1_BODY_MEMORY,
};

/* `length`: LH_LENGTH_UNKNOWN for chunks.  `fields`: how many the head had. */
void lh_h1_body_init(struct lh_h1_body *body, uint64_t length, unsigned fields);

/* Uses input until all is used, or one slice of data is found (data->n > 0), or
 * the body ends.  `ex` gets the trailers; NULL: they are skipped. */
enum lh_h1_body_result lh_h1_body_feed(struct lh_h1_body *body,
                                       const lhttpd_limits_t *limits,
                                       struct lh_exchange *ex, const uint8_t *p,
                                       size_t n, size_t *used,
                                       struct lh_str *data);

/* Octets that certainly follow; LH_LENGTH_UNKNOWN for chunks. */
uint64_t lh_h1_body_left(const struct lh_h1_body *body);

#endif
