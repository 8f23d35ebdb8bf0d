/*
 * From a decoded header or trailer section to a struct lh_request: what RFC
 * 9113, 8.1 to 8.3 demands of it.  Fields are taken one by one, as the decoder
 * emits them; a fault is remembered and told at the end.
 */
#ifndef LH_H2_REQUEST_H
#define LH_H2_REQUEST_H

#include "http/exchange.h"

enum {
    LH_H2_REQUEST_OK = 0,
    LH_H2_REQUEST_MALFORMED = -1, /* a stream error, PROTOCOL_ERROR */
    LH_H2_REQUEST_MEMORY = -2,
    /* > 0: to be answered with this status */
};

struct lh_h2_reader {
    struct lh_request *request; /* NULL: nothing is wanted any more */
    struct lh_arena *arena;
    const lhttpd_limits_t *limits;
    int fault;
    const char *why; /* what is wrong, for the log; NULL: nothing so far */
    bool trailers;   /* this section is */
    bool regular;    /* a field that is no pseudo-field has come */
    bool expects_continue;
    struct lh_str host;     /* of the field */
    struct lh_str protocol; /* of the pseudo-field; .p NULL: there is none */
    unsigned cookie;        /* 1 and the index of the field; 0: none yet */
    size_t cookie_room;     /* octets that its value has room for */
    struct lh_str priority; /* the first such field's value */
};

void lh_h2_reader_init(struct lh_h2_reader *r, struct lh_request *request,
                       struct lh_arena *arena, const lhttpd_limits_t *limits,
                       bool trailers);

/* Copies what it keeps. */
void lh_h2_reader_field(struct lh_h2_reader *r, struct lh_str name,
                        struct lh_str value);

/* The section is complete: one of the above. */
int lh_h2_reader_finish(struct lh_h2_reader *r);

#endif
