/*
 * The floor of an HTTP/2 connection, on which all of its parts stand: the
 * connection itself, its errors, its budget, its streams, its end.  Arrows go
 * downwards only, as the include lines show:
 *
 *      h2_conn     the roof: feed, pull, expire and what follows from each;
 *                  it alone looks at streams that have news, and frees them
 *      h2_input    octets to frames, a table of handlers by type
 *      h2_block    header blocks: requests and trailers
 *      h2_early    priorities of requests that have not come yet
 *      h2_settings the client's settings and ours
 *      h2_output   whose turn it is, DATA
 *      h2_answer   header sections of responses, trailers, promises
 *      h2_flow     windows, both ways
 *      h2_time     deadlines
 *      h2_core     this file
 *      h2_stream, h2_send, h2_request, h2_hpack, h2_frame   know no connection
 *
 * A stream is never freed where it is closed, but when the roof looks through
 * the news, at the start and the end of each step: so a handler of frames may
 * close it and go on.
 */
#ifndef LH_H2_CORE_H
#define LH_H2_CORE_H

#include "h2/h2_frame.h"
#include "h2/h2_hpack.h"
#include "h2/h2_request.h"
#include "h2/h2_send.h"
#include "http/protocol.h"

/* A stream's window for request bodies: at first, and once its handler has
 * shown that it reads as fast as it comes. */
#define LH_H2_RECV_BYTES     ((uint32_t)64 << 10)
#define LH_H2_RECV_MAX_BYTES ((uint32_t)1 << 20)
/* The connection's at first: what may wait of bodies that nobody reads.  It
 * grows with its streams, and where a handler waits for another body. */
#define LH_H2_RECV_CONNECTION_BYTES ((uint32_t)512 << 10)
/* How much all of a connection's streams may grow together. */
#define LH_H2_RECV_GROWTH_BYTES ((uint32_t)2 << 20)

/* Encoded frames that wait: no further response is encoded past this. */
#define LH_H2_CONTROL_BYTES ((size_t)16 << 10)

/* What a client with shut windows has to take of a stream in send_timeout_ms:
 * less is no progress, but holds what waits there for ever. */
#define LH_H2_PROGRESS_BYTES 1024

/* What a transport may hold of what it was given. */
#define LH_H2_TRANSPORT_BYTES ((uint64_t)64 << 10)

/* From too much body that nobody reads to the stream's reset. */
#define LH_H2_RESET_MS 200

/* A request is handed to its handler once its connection has sent enough for
 * all that it has then: for each octet so much is held, of requests this, with
 * short answers, and of handlers that, with their coroutines and tables,
 * besides what they themselves hold.  A few run whatever was sent. */
#define LH_H2_HELD_FOR_OCTET ((uint64_t)100)
#define LH_H2_REQUEST_BYTES                                                    \
    ((uint64_t)sizeof(struct lh_exchange) + sizeof(struct lh_h2_stream) + 176)
#define LH_H2_HANDLER_BYTES  ((uint64_t)2048)
#define LH_H2_HANDLERS_LEAST 8

/* PRIORITY_UPDATE for requests that have not come yet: so many are kept, if as
 * many streams may be open. */
#define LH_H2_EARLY_MOST 256

/* What feed is in the middle of. */
enum lh_h2_phase {
    LH_H2_AT_PREFACE,
    LH_H2_AT_HEAD,
    LH_H2_AT_PREFIX, /* pad length, old priority */
    LH_H2_AT_CONTENT,
    LH_H2_AT_PADDING,
};

/* How a connection ends. */
enum lh_h2_life {
    LH_H2_SERVING,
    LH_H2_DRAINING, /* GOAWAY was sent, new streams are still accepted */
    LH_H2_DRAINED,  /* ... are refused; ends with its last stream */
    LH_H2_ENDED,    /* only what is encoded leaves */
};

struct lh_h2;

/* What is done with one type of frame; each may be NULL.  Without `octets` the
 * content is collected in `small`. */
struct lh_h2_handler {
    void (*begin)(struct lh_h2 *c);
    void (*octets)(struct lh_h2 *c, const uint8_t *p, size_t n);
    void (*end)(struct lh_h2 *c);
};

/* A header block that is being received. */
struct lh_h2_block {
    uint32_t stream;        /* 0: none */
    struct lh_h2_stream *s; /* NULL: decoded and dropped */
    bool end_stream;
    bool request;           /* else trailers */
    enum lh_h2_error error; /* the stream's, once the block is over */
    const char *why;        /* the error, for the log */
    uint64_t continuations;
    struct lh_h2_reader reader;
};

struct lh_h2_early {
    uint32_t stream;
    uint8_t urgency;
    bool incremental;
};

struct lh_h2 {
    struct lh_protocol_host *host;
    struct lh_context *ctx;
    enum lh_h2_life life;
    enum lh_ending ends; /* how requests end that the connection's end ends */

    /* Input. */
    enum lh_h2_phase phase;
    struct lh_h2_head head;
    const struct lh_h2_handler *handler;
    uint32_t content_left, padding_left;
    uint8_t small[64]; /* the preface, a head, a prefix, small contents */
    size_t small_n;
    bool settings_seen;
    struct lh_h2_stream *data; /* of the current DATA frame; NULL: dropped */
    struct lh_h2_block block;
    struct lh_h2_hpack hpack;

    /* Streams. */
    struct lh_h2_streams table;
    struct lh_list all, changed;
    struct lh_pool streams; /* memory for a few */
    unsigned requests_now;  /* the client's, closed ones with a handler too */
    unsigned pushes_now;
    unsigned handlers;   /* that run, of all of these */
    unsigned waiting;    /* that wait until theirs may */
    uint64_t received;   /* octets of the connection's */
    size_t header_bytes; /* what the sections of all streams take */
    uint64_t requests;
    uint32_t last_id;     /* the highest of the client's */
    uint32_t accepted_id; /* ... that was not refused */
    uint32_t gap_id;      /* the lowest that it has not used, or passed over */
    uint32_t last_push;
    uint32_t told_streams;     /* how many the client may have open */
    struct lh_h2_early *early; /* NULL until there is one */
    unsigned early_n, early_room;

    /* Output. */
    struct lh_buf control; /* encoded frames */
    struct lh_list heads;  /* streams with frames that need no window */
    struct lh_h2_send send;
    struct lh_list unsent; /* streams whose response was pulled whole */
    size_t queued;         /* response octets and header_bytes of all streams */

    /* The client's settings. */
    uint32_t peer_window, peer_frame, peer_streams;
    uint64_t peer_list_bytes;
    bool peer_push;
    bool settings_acked; /* ours, by the client */
    bool goaway_got;

    /* Windows of the connection. */
    int64_t send_window, recv_window, recv_size;
    size_t held;     /* by all streams */
    uint32_t growth; /* what of LH_H2_RECV_GROWTH_BYTES is given out */

    uint64_t credit; /* octets served that have paid for no frame yet */

    /* The budget of useless work, in thousandths. */
    uint64_t budget, budget_ms;

    /* Times, LH_NEVER or when something is too late. */
    uint64_t preface_due, block_due, idle_due, drain_due, shut_due;
    uint64_t served_bytes, shut_from; /* as a stream's */
    uint64_t taken_bytes, taken_ms;   /* when it was seen to take them */
    uint64_t streams_due; /* not after the earliest of all streams' */
};

/* All zeroes before. */
void lh_h2_core_init(struct lh_h2 *c, struct lh_protocol_host *host);
void lh_h2_core_deinit(struct lh_h2 *c); /* it has no streams */

/* The one place where `life` changes; it only goes on. */
void lh_h2_set_life(struct lh_h2 *c, enum lh_h2_life to);

/* A connection error: GOAWAY, and nothing more.  `why` is for the log. */
void lh_h2_fail(struct lh_h2 *c, enum lh_h2_error code, const char *why);
/* No memory, so not even a GOAWAY. */
void lh_h2_drop(struct lh_h2 *c);
/* Our own end of a stream, or that of its handler. */
void lh_h2_reset(struct lh_h2 *c, struct lh_h2_stream *s,
                 enum lh_h2_error code);
/* A stream error by the client's fault, which is logged and costs budget. */
void lh_h2_reset_client(struct lh_h2 *c, struct lh_h2_stream *s,
                        enum lh_h2_error code, const char *why);
/* RST_STREAM for a stream that is not there (any more). */
void lh_h2_reset_id(struct lh_h2 *c, uint32_t id, enum lh_h2_error code);
/* Logs a stream error; `why` NULL: it is nobody's fault. */
void lh_h2_log_reset(struct lh_h2 *c, uint32_t id, enum lh_h2_error code,
                     const char *why);

/* Queues an encoded frame; false: the connection was dropped. */
bool lh_h2_queue_frame(struct lh_h2 *c, const void *p, size_t n);

/* Something that is of no use was received or caused; false: too often, the
 * connection has failed. */
bool lh_h2_charge(struct lh_h2 *c, const char *what);
/* The same for a frame that ordinary clients send in proportion to what they
 * get: it is paid by what was served as long as that suffices. */
bool lh_h2_spend(struct lh_h2 *c, const char *what);
/* A DATA frame of n octets leaves. */
void lh_h2_credit(struct lh_h2 *c, size_t n);
/* A response is finished. */
void lh_h2_refund(struct lh_h2 *c);

struct lh_h2_stream *lh_h2_open(struct lh_h2 *c, uint32_t id);
/* The stream is closed; what its exchange still has is cancelled. */
void lh_h2_close(struct lh_h2 *c, struct lh_h2_stream *s, enum lh_h2_past past);
/* Our, or the client's, side has ended. */
void lh_h2_local_ends(struct lh_h2 *c, struct lh_h2_stream *s);
void lh_h2_remote_ends(struct lh_h2 *c, struct lh_h2_stream *s);
/* Was this stream never opened? */
bool lh_h2_is_idle(const struct lh_h2 *c, uint32_t id);

void lh_h2_on_output(struct lh_exchange *ex); /* the exchange's on_output */
/* Something of the stream may have changed: the roof looks at it. */
static inline void lh_h2_mark_changed(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (!lh_list_linked(&s->changed))
        lh_list_append(&c->changed, &s->changed);
}

/* It waits for nothing any more: neither in `heads` nor in `send`. */
void lh_h2_unschedule(struct lh_h2 *c, struct lh_h2_stream *s);
/* Hands the exchange to its handler, or lets it wait for that, or answers with
 * `status` (0: none). */
void lh_h2_serve(struct lh_h2 *c, struct lh_h2_stream *s, unsigned status);
/* Hands over those that have waited for long enough; false: none has. */
bool lh_h2_serve_waiting(struct lh_h2 *c);
/* The stream's handler has ended, or is not waited for. */
static inline void lh_h2_handler_ends(struct lh_h2 *c, struct lh_h2_stream *s)
{
    c->handlers -= s->runs;
    s->runs = false;
}

void lh_h2_drain(void *c);
void lh_h2_drain_ends(struct lh_h2 *c);

#endif
