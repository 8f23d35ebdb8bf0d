/*
 * What drives a protocol and what a protocol asks of its driver.  A protocol
 * sees bytes in and bytes out; the time is ctx->now_ms.  server/conn drives it
 * on a socket, the tests drive it byte by byte.
 */
#ifndef LH_HTTP_PROTOCOL_H
#define LH_HTTP_PROTOCOL_H

#include "http/exchange.h"

/* How long a client without a request is waited for once a stop has begun: one
 * may be on its way. */
#define LH_PROTO_DRAIN_MS 1000

/* What a protocol can use or has, as lh_protocol.status() tells. */
enum {
    LH_PROTO_WANTS_INPUT = 1, /* feed would use (more) input now */
    LH_PROTO_HAS_OUTPUT = 2,  /* pull would return something */
    LH_PROTO_CLOSE = 4,       /* close once the output has left */
    LH_PROTO_LINGER = 8,      /* ... by a lingering close (RFC 9112, 9.6) */
    LH_PROTO_IDLE = 16,       /* between requests: may be closed for room */
    LH_PROTO_RESET = 32,      /* ... CLOSE by a reset: an orderly end would make
                                 what was sent look whole */
};

struct lh_protocol {
    const char *name; /* "http/1.1", "h2" */

    /* Uses up to n bytes: *used <= n, the rest is offered again when
     * LH_PROTO_WANTS_INPUT is set.  Fewer than n means "not now", never "more
     * bytes are needed".  0, or < 0: a final answer is queued, stop reading. */
    int (*feed)(void *c, const uint8_t *p, size_t n, size_t *used);

    /* Writes output into the transport's lent buffer; returns bytes written. */
    size_t (*pull)(void *c, uint8_t *out, size_t room);

    /* Output that the kernel is to move, and that is next once what was pulled
     * has left: how much, and where it is; then how much of it has left, 0: it
     * was not there.  Only where the host moves; NULL: this protocol never has
     * any. */
    size_t (*locate)(void *c, struct lh_place *place);
    void (*moved)(void *c, size_t n);

    /* The kernel has everything that was pulled. */
    void (*sent)(void *c);

    /* The peer has closed its sending side, behind octets that feed may not
     * want yet.  NULL: it makes no difference before eof. */
    void (*fin)(void *c);

    /* The same, and everything that it sent before was offered to feed, as far
     * as feed wants it. */
    void (*eof)(void *c);

    /* The connection is lost, as host->ends says: cancels and lets go of every
     * exchange. */
    void (*gone)(void *c);

    unsigned (*status)(const void *c);

    /* The request that the connection is about, for lines of the log; NULL:
     * there is none now.  NULL function: it may be about several. */
    struct lh_exchange *(*request)(const void *c);

    /* When expire wants to be called; LH_NEVER.  It may change with every other
     * call.  Being called early does no harm. */
    uint64_t (*deadline)(const void *c);
    void (*expire)(void *c);

    /* Finish what was accepted, then close.  Where nothing is under way, one
     * more request is served that comes within LH_PROTO_DRAIN_MS, since the
     * client does not know yet; HTTP/2 can tell it, and waits for a first
     * request alone. */
    void (*drain)(void *c);

    void (*free)(void *c); /* after gone */
};

/* The driver.  Its functions only put things into queues. */
struct lh_protocol_host {
    struct lh_context *ctx;
    struct lh_peer *peer;
    uint64_t first_ms;   /* when the first octet came; 0: it has yet to */
    enum lh_ending ends; /* how requests end that the connection's loss ends */
    bool moves;          /* the kernel can move output by itself */
    /* The request's header section is complete: find its handler. */
    void (*request)(struct lh_protocol_host *host, struct lh_exchange *ex);
    /* Status or deadline may have changed outside of feed and pull. */
    void (*wake)(struct lh_protocol_host *host);
    /* Octets that the kernel has, and the client's has not yet; NULL: nobody
     * knows. */
    size_t (*untaken)(struct lh_protocol_host *host);
};

#endif
