/*
 * Writing HTTP/1: response heads (RFC 9112, 4 and 5), chunk framing (7.1).
 * Everything goes to the transport's lent buffer; what has no room there waits
 * in a queue of the connection.
 */
#ifndef LH_H1_OUT_H
#define LH_H1_OUT_H

#include "http/exchange.h"

struct lh_h1_out {
    char *at, *end;
    char *scratch;       /* not lent: goes to the queue, see _out_to_queue */
    struct lh_buf *over; /* what had no room */
    bool failed;         /* no memory for that */
};

/* How a response is framed and what becomes of the connection. */
struct lh_h1_framing {
    uint64_t content_length; /* LH_LENGTH_UNKNOWN: none is sent */
    bool chunked;
    bool close;
    bool say_keep_alive; /* to HTTP/1.0 */
};

/* Writes to a lent buffer; `over` is empty. */
void lh_h1_out_init(struct lh_h1_out *o, void *out, size_t room,
                    struct lh_buf *over);

/* Writes to the queue, by way of a scratch buffer; ends with _out_flush. */
void lh_h1_out_to_queue(struct lh_h1_out *o, char *scratch, size_t n,
                        struct lh_buf *over);
void lh_h1_out_flush(struct lh_h1_out *o);

void lh_h1_put_over(struct lh_h1_out *o, const void *p, size_t n);

static inline void lh_h1_put(struct lh_h1_out *o, const void *p, size_t n)
{
    if (n > (size_t)(o->end - o->at)) {
        lh_h1_put_over(o, p, n);
        return;
    }
    if (n)
        memcpy(o->at, p, n);
    o->at += n;
}

static inline void lh_h1_put_str(struct lh_h1_out *o, struct lh_str s)
{
    lh_h1_put(o, s.p, s.n);
}

/* "HTTP/1.1 404 Not Found" CRLF */
void lh_h1_put_status(struct lh_h1_out *o, unsigned status);
void lh_h1_put_field(struct lh_h1_out *o, struct lh_str name,
                     struct lh_str value);

/* An informational response. */
void lh_h1_put_interim(struct lh_h1_out *o, const struct lh_interim *interim);

/* The whole head.  framing->close becomes true if the handler asked for it. */
void lh_h1_put_head(struct lh_h1_out *o, const struct lh_context *ctx,
                    const struct lh_response *r, struct lh_h1_framing *framing);

/* An answer of our own that closes the connection. */
void lh_h1_put_error(struct lh_h1_out *o, const struct lh_context *ctx,
                     unsigned status, struct lh_str page, bool no_body);

void lh_h1_put_chunk_size(struct lh_h1_out *o, uint64_t n);
void lh_h1_put_last_chunk(struct lh_h1_out *o,
                          const struct lh_fields *trailers);

#endif
