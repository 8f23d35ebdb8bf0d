/*
 * One request and its response: what a protocol and a handler share.
 *
 *      protocol  -- lh_exchange_body, _cancel ... -->  handler   (on_news)
 *      protocol  <-- lh_exchange_start, _write, _end --  handler  (on_output)
 *
 * Neither calls into the other: each changes the exchange and says that there
 * is something new by the other's hook, which does nothing but put the owner
 * into a queue of the worker.  An exchange has two owners; each lets go once,
 * the second frees it.  Everything that a request consists of lives in the
 * exchange's arena.  No I/O, no clock, no Lua.
 */
#ifndef LH_HTTP_EXCHANGE_H
#define LH_HTTP_EXCHANGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/context.h"
#include "base/place.h"
#include "http/field.h"
#include "http/peer.h"

#include <stdalign.h>

#define LH_LENGTH_UNKNOWN UINT64_MAX

enum lh_http_version { LH_HTTP_1_0, LH_HTTP_1_1, LH_HTTP_2 };

struct lh_request {
    enum lh_http_version version;
    bool head;                 /* method is HEAD */
    bool accepts_push;         /* HTTP/2 with SETTINGS_ENABLE_PUSH 1 */
    bool half_close_allowed;   /* a FIN does not mean that nobody listens */
    bool extended_connect : 1; /* RFC 8441 */
    bool to_websocket : 1;     /* ... by the protocol "websocket" */
    struct lh_str method;
    struct lh_str scheme;      /* "http" or "https" */
    struct lh_str authority;   /* .p NULL: absent (HTTP/1.0) */
    struct lh_str target;      /* path and query as sent: `:path` */
    struct lh_str path;        /* comparable, see target.h; "*" as it is */
    struct lh_str query;       /* raw; .p NULL: no "?" */
    struct lh_fields fields;   /* without host, names in lower case */
    struct lh_fields trailers; /* complete once the body has ended */
    uint64_t content_length;   /* or LH_LENGTH_UNKNOWN */
};

/* How far the request's body is. */
enum lh_body_state {
    LH_BODY_OPEN,      /* more may come */
    LH_BODY_ENDED,     /* all of it was queued */
    LH_BODY_CLOSED,    /* failed: the client is gone */
    LH_BODY_TIMEOUT,   /* failed: it came too slowly */
    LH_BODY_TOO_LARGE, /* failed: over body_bytes */
    LH_BODY_MALFORMED, /* failed: bad framing */
};

/* An informational response (1xx) or a push promise that waits to be sent. */
struct lh_interim {
    struct lh_interim *next;
    unsigned status; /* 0: a promise, whose request is `fields` with pseudos */
    struct lh_fields fields;
};

/* How a request has ended.  The first is what the loss of a connection means
 * that nobody here has wanted. */
enum lh_ending {
    LH_ENDED_GONE,     /* the client went before it had the whole response */
    LH_ENDED_TIMEOUT,  /* ... or was cut, since it took nothing */
    LH_ENDED_CUT,      /* ... by us: a failed handler, a stop, an error */
    LH_ENDED_COMPLETE, /* its protocol has given the response away */
};

/* What a response is, in the order in which it happens. */
enum lh_response_state {
    LH_RESPONSE_NONE,    /* no final header yet */
    LH_RESPONSE_STARTED, /* header given by the handler */
    LH_RESPONSE_ENDED,   /* the handler gave everything */
    LH_RESPONSE_ABORTED, /* cut: reset the stream, close the connection */
};

/* Where octets of a body come from in the moment in which they leave. */
struct lh_body_source {
    /* Puts the next ones at `out`, at most n; how many.  0: none can be had
     * without waiting. */
    size_t (*draw)(struct lh_body_source *source, uint8_t *out, size_t n);
    /* Where the next ones are, at most n, for a kernel that moves them into a
     * socket; how many, or 0 as of draw.  Then that it has moved n of them; 0:
     * they were not there after all, or, if locate is NULL now, the kernel
     * cannot.  NULL: they can only be drawn. */
    size_t (*locate)(struct lh_body_source *source, struct lh_place *place,
                     size_t n);
    void (*moved)(struct lh_body_source *source, size_t n);
};

struct lh_response {
    enum lh_response_state state;
    unsigned status;
    struct lh_fields fields; /* names as the handler wrote them */
    struct lh_fields trailers;
    struct lh_interim *interim, **interim_end;
    uint64_t content_length; /* declared, or LH_LENGTH_UNKNOWN */
    uint64_t written;        /* body octets taken from the handler */
    struct lh_buf bytes;     /* copied, they go first */
    const uint8_t *lent;     /* borrowed, they follow; see lh_exchange_lend */
    struct lh_body_source *source; /* or it has them; see _draw_from */
    size_t lent_n;                 /* of either */
    bool is_page;   /* what is lent is a page of ours, and lasts for ever */
    bool no_body;   /* HEAD, 204, 304: body octets are counted and dropped */
    bool released;  /* may leave now, see lh_exchange_release */
    bool head_left; /* the protocol has pulled the final header */
};

/* A client may have many for an octet or two each: so its members stand where
 * they leave no gaps. */
struct lh_exchange {
    struct lh_context *ctx;
    struct lh_arena arena;
    struct lh_peer *peer;
    struct lh_request request;
    struct lh_buf body; /* of the request, not read yet */
    enum lh_body_state body_state;
    bool body_wanted;      /* the handler waits in read */
    bool moves;            /* the protocol lets the kernel move octets */
    uint16_t usual_status; /* where the handler gives none; 0: 200 */
    struct lh_response response;
    size_t *connection_queued; /* what its connection holds, see room */
    bool gone;                 /* the client is gone, or was cut off */
    bool sent;                 /* the kernel has the whole response */
    bool upgraded : 1;         /* see lh_exchange_upgrade */
    bool fin : 1;              /* see lh_exchange_fin */
    bool blamed : 1;           /* see lh_exchange_blame_body */

    /* What is told at its end, see lh_exchange_accept. */
    bool over : 1;
    bool accepted;
    enum lh_ending ending;  /* once over */
    unsigned refused;       /* the status that the protocol answered with */
    unsigned owners;        /* 2, 1; the second one that lets go frees it */
    uint64_t refused_bytes; /* how long the body of `refused` was */
    uint64_t body_received; /* octets of the request's, as far as taken */
    uint64_t begun_us;      /* as ctx->now_us */
    uint64_t head_us;       /* when the final header left; 0: it has not */
    const char *id;         /* see request_id.h; NULL: nobody has asked */
    uint64_t number;        /* of the worker's, from 1 */
    int mapping_number;     /* who has it, as the server counts; -1: nobody */
    int handler_number;     /* ... of its script */
    struct lh_request_counts *counts; /* the handler's; NULL: it has none */

    /* The two owners, NULL once they have let go; each sets its own hook. */
    void *protocol;
    void (*on_output)(struct lh_exchange *ex);
    void *handler;
    void (*on_news)(struct lh_exchange *ex);

    /* What a short request and its answer need; a client may ask for many by
     * a few octets each, so it is little.  Longer ones take blocks. */
    alignas(max_align_t) char first_block[288];
};

/* A new exchange with both owners; NULL: no memory.  From ctx->exchanges, whose
 * blocks are of sizeof(struct lh_exchange). */
struct lh_exchange *lh_exchange_new(struct lh_context *ctx,
                                    struct lh_peer *peer);

/* The request is somebody else's than its connection says; takes over a share
 * of the peer. */
void lh_exchange_set_peer(struct lh_exchange *ex, struct lh_peer *peer);

/* Each owner once; its hook is not called any more.  What the other one waits
 * for then never comes: an open body fails, an unended response is aborted.
 * The protocol is told in any case that its exchange has no handler now. */
void lh_exchange_let_go_protocol(struct lh_exchange *ex);
void lh_exchange_let_go_handler(struct lh_exchange *ex);

/* --- the protocol's side -------------------------------------------------- */

/*
 * Its header section is whole.  From here on it counts as a request that was
 * begun, and ctx->request_ends is told once that it has ended, with the
 * exchange as it was: when it is cancelled, when the kernel has all of the
 * response, or at the latest when the protocol lets go of it; its handler may
 * go on.
 */
void lh_exchange_accept(struct lh_exchange *ex);

/* The protocol answers by itself, with a body of n octets, in the place of a
 * handler or before there is one.  The request has ended; accepted or not. */
void lh_exchange_refuse(struct lh_exchange *ex, unsigned status, uint64_t n);

/* Facts for ctx->request_ends: the status of the final header that has left, or
 * 0; and how many octets of the response's body have. */
static inline unsigned lh_exchange_status(const struct lh_exchange *ex)
{
    if (ex->refused)
        return ex->refused;
    return ex->response.head_left ? ex->response.status : 0;
}

uint64_t lh_exchange_body_sent(const struct lh_exchange *ex);

/* How much of the request's body may be queued now: 0 holds the client back.
 * It is 64 KiB when empty. */
size_t lh_exchange_body_room(const struct lh_exchange *ex);
/* Copies; false: no memory, and the body has failed as LH_BODY_CLOSED. */
bool lh_exchange_body(struct lh_exchange *ex, const void *p, size_t n);
/* LH_BODY_ENDED or one of the failures; the first one stays. */
void lh_exchange_body_end(struct lh_exchange *ex, enum lh_body_state state);

/* Nobody listens any more, for a reason that is not COMPLETE: the body fails as
 * LH_BODY_CLOSED if it was not whole, what waits to be sent is dropped, and so
 * is what is written later. */
void lh_exchange_cancel(struct lh_exchange *ex, enum lh_ending why);

/* The peer has shut down its sending side, and not because its request said so:
 * for a handler it is gone, and what waits ends; what the handler still writes
 * is sent all the same. */
void lh_exchange_fin(struct lh_exchange *ex);

/* May the final header leave?  This and the next few are asked several times
 * for each request. */
static inline bool lh_exchange_head_ready(const struct lh_exchange *ex)
{
    return ex->response.released &&
           (ex->response.state == LH_RESPONSE_STARTED ||
            ex->response.state == LH_RESPONSE_ENDED);
}

/* Is the whole response known? */
static inline bool lh_exchange_complete(const struct lh_exchange *ex)
{
    return ex->response.state == LH_RESPONSE_ENDED;
}

/* What waits of the body, whether it may leave or not. */
static inline size_t lh_exchange_out_bytes(const struct lh_exchange *ex)
{
    return ex->response.bytes.n + ex->response.lent_n;
}

/* Is there something for take? */
static inline bool lh_exchange_out_waits(const struct lh_exchange *ex)
{
    return ex->response.released && lh_exchange_out_bytes(ex);
}

/* What of the body may leave now, in one piece; NULL when nothing may, or what
 * is next is a source's. */
const uint8_t *lh_exchange_out_peek(const struct lh_exchange *ex, size_t *n);
/* Copies out what may leave now, at most n octets, and drops it; how many.
 * Where it waited and there is nothing now, its source has run dry, or the
 * kernel is to move what is next. */
size_t lh_exchange_out_take(struct lh_exchange *ex, uint8_t *out, size_t n);
/* What of the body is next, and for the kernel to move: where it is, and how
 * much at most; 0: nothing.  Then how much of it has left; 0: it was not there.
 */
size_t lh_exchange_out_locate(struct lh_exchange *ex, struct lh_place *place);
void lh_exchange_out_moved(struct lh_exchange *ex, size_t n);
void lh_exchange_out_drop(struct lh_exchange *ex, size_t n);

/* The final header has left.  Where there is no body a handler that writes on
 * gets to know it (on_news). */
void lh_exchange_head_leaves(struct lh_exchange *ex);

/* The oldest 1xx or promise that waits, taken out; NULL: none. */
struct lh_interim *lh_exchange_take_interim(struct lh_exchange *ex);

/* The kernel has all of the response. */
void lh_exchange_sent(struct lh_exchange *ex);

/* --- the handler's side --------------------------------------------------- */

/* The strings of `fields` are in the exchange's arena.  1xx, any number, before
 * start.  LHTTPD_ENOMEM, LHTTPD_ESTATE. */
int lh_exchange_informational(struct lh_exchange *ex, unsigned status,
                              const struct lh_fields *fields);
int lh_exchange_promise(struct lh_exchange *ex, const struct lh_fields *fields);

/* Gives the final header; content-length is taken out of `fields` and checked
 * (LHTTPD_EINVAL).  LHTTPD_ESTATE: it was given already. */
int lh_exchange_start(struct lh_exchange *ex, unsigned status,
                      const struct lh_fields *fields);

/* How many octets of response may be copied now.  It depends on what the
 * connection holds besides: *connection_queued is the response octets of all
 * its streams, and what their header sections take. */
size_t lh_exchange_room(const struct lh_exchange *ex);

/*
 * The request becomes a tunnel: 101 on HTTP/1.1, 200 on HTTP/2 (RFC 8441), with
 * these fields.  From here on the request's body is what the client sends, as
 * it comes, and the response's is what the handler writes, each until its end;
 * body_bytes does not limit it, and what is written leaves at once.
 * LHTTPD_ESTATE: the response has started, or (HTTP/1.1) there was a body, or
 * (HTTP/2) the client's side has ended.
 */
int lh_exchange_upgrade(struct lh_exchange *ex, const struct lh_fields *fields);

/* Copies n octets.  LHTTPD_EINVAL: more than the declared content-length (then
 * none is taken); LHTTPD_ESTATE: not started, ended, or something is lent. */
int lh_exchange_write(struct lh_exchange *ex, const void *p, size_t n);

/* Lends n octets, to be left alone until lent_n is 0 again (on_news tells) or
 * lh_exchange_unlend() was called.  Errors as write's. */
int lh_exchange_lend(struct lh_exchange *ex, const void *p, size_t n);

/* The next n octets are drawn from a source, which stays the caller's until
 * lent_n is 0 again (on_news tells), also since it was dry: what has not left
 * then counts as not written.  One that may run dry only where the
 * content-length was declared.  Errors as write's. */
int lh_exchange_draw_from(struct lh_exchange *ex, struct lh_body_source *source,
                          size_t n);

/* The source goes before all of it has left: copies the rest.  Where that
 * cannot be had the response is aborted. */
void lh_exchange_copy_source(struct lh_exchange *ex);

/* Where there is no body (no_body): n octets that would have been written are
 * counted.  Errors as write's. */
int lh_exchange_skip(struct lh_exchange *ex, uint64_t n);

/* Is something of the handler's, or of its source's, still lent? */
static inline bool lh_exchange_borrows(const struct lh_exchange *ex)
{
    return ex->response.lent_n && !ex->response.is_page;
}

/* Takes back what is still lent, or a source's; the response is aborted if
 * there was any. */
void lh_exchange_unlend(struct lh_exchange *ex);

/* Before the end. */
int lh_exchange_trailers(struct lh_exchange *ex,
                         const struct lh_fields *fields);

/* What was written so far, header included, may leave now.  Without it the
 * response leaves once it has ended or its buffer is full. */
void lh_exchange_release(struct lh_exchange *ex);

/* The response is whole.  Without a start: 200 with no body, but the page of
 * usual_status, 413 or 408 if that is set or the request's body was too large
 * or too slow.  Shorter than its declared
 * content-length: aborted. */
void lh_exchange_end(struct lh_exchange *ex);

/* Answers with a status and its page if nothing has left, else aborts.  500 is
 * another where the request's body is to blame. */
void lh_exchange_fail(struct lh_exchange *ex, unsigned status);

/* What came of the request's body is of no use to the handler: `status` is what
 * the exchange answers where the handler says nothing else, or fails. */
void lh_exchange_blame_body(struct lh_exchange *ex, unsigned status);
/* It was of use after all. */
void lh_exchange_forgive_body(struct lh_exchange *ex);

/* The handler waits for body octets, or does no longer. */
void lh_exchange_want_body(struct lh_exchange *ex, bool wanted);

/* Copies out and drops up to n octets of the request's body. */
size_t lh_exchange_read(struct lh_exchange *ex, void *out, size_t n);

/* Drops n octets of it, which were looked at where they lie. */
void lh_exchange_body_drop(struct lh_exchange *ex, size_t n);

/* --- checks --------------------------------------------------------------- */

#if LHTTPD_CHECKS

/* For developers: ends the process where something does not hold that always
 * holds of an exchange. */
void lh_exchange_check(const struct lh_exchange *ex);

#else

static inline void lh_exchange_check(const struct lh_exchange *ex)
{
    (void)ex;
}

#endif

#endif
