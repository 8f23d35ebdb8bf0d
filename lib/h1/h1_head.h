/*
 * The head of an HTTP/1 request: request line (RFC 9112, 3) and field section
 * (5).  Takes input in any pieces, keeps lines in the exchange's arena, and
 * gives up at the first octet that cannot be right or is one too many, so that
 * the answer does not depend on how the input was cut.
 */
#ifndef LH_H1_HEAD_H
#define LH_H1_HEAD_H

#include "http/exchange.h"

/* A line under construction, without its CRLF. */
struct lh_h1_line {
    char *p;
    size_t n;
    bool cr; /* its CR was seen, its LF not yet */
};

enum lh_h1_line_result {
    LH_H1_LINE_MORE,
    LH_H1_LINE_WHOLE,
    LH_H1_LINE_LONG,
    LH_H1_LINE_BAD, /* a control character, a bare CR or LF */
    LH_H1_LINE_MEMORY,
};

/* Adds input up to the line's end.  `max` is without CRLF.  `arena` NULL: only
 * counts.  After WHOLE the caller sets the line to zero. */
enum lh_h1_line_result lh_h1_line_feed(struct lh_h1_line *line,
                                       struct lh_arena *arena, uint64_t max,
                                       const uint8_t *p, size_t n,
                                       size_t *used);

/* Parts a field line; the name becomes lower case where it is.  False: no
 * colon, an invalid name, white space around the name. */
bool lh_h1_field_parse(char *line, size_t n, struct lh_str *name,
                       struct lh_str *value);

struct lh_h1_head {
    struct lh_h1_line line;
    uint64_t bytes; /* of the fields, 32 added for each */
    unsigned fields;
    unsigned hosts;
    unsigned codings;      /* elements of transfer-encoding */
    bool in_fields;        /* the request line is done */
    bool first;            /* of its connection */
    bool from_target;      /* the authority is the target's */
    bool chunked;          /* the last coding is */
    bool has_chunked;      /* one coding is */
    bool unknown_coding;   /* one is not */
    bool empty_coding;     /* one is an empty list element */
    bool expects_continue; /* and no other expectation */
    bool expects_other;
    bool close, keep_alive; /* connection options */
    const char *why;        /* it is refused: for the log; NULL: no memory */
};

/* What lh_h1_head_feed returns besides status codes. */
enum {
    LH_H1_HEAD_MORE = 0,
    LH_H1_HEAD_WHOLE = 1,
    LH_H1_HEAD_SILENT = 2, /* close without a word: not HTTP, or no memory */
};

void lh_h1_head_init(struct lh_h1_head *head, bool first);

/* Fills the exchange's request.  Returns one of the above, or the status that
 * this request is to be answered with. */
unsigned lh_h1_head_feed(struct lh_h1_head *head, struct lh_exchange *ex,
                         const uint8_t *p, size_t n, size_t *used);

#endif
