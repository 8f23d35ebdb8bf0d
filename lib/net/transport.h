/*
 * A transport moves bytes between a connected socket and a protocol.  It lends
 * its buffers: the protocol reads input where it lies and writes output where
 * it will be sent from.  Plain TCP (and unix sockets) and TLS.
 */
#ifndef LH_NET_TRANSPORT_H
#define LH_NET_TRANSPORT_H

#include "base/context.h"
#include "os/sock.h"

#include <stdbool.h>
#include <stdint.h>

enum lh_net {
    LH_NET_OK,
    LH_NET_AGAIN, /* nothing more now: wait for the event */
    LH_NET_EOF,   /* FIN, or TLS's close_notify */
    LH_NET_LOST,  /* reset, a TLS failure: nothing is said any more */
};

#define LH_NET_CHUNK_BYTES 65536

struct lh_chunk;
struct lh_crew;
struct lh_transport;

/* What the transports of one worker share. */
struct lh_net_pools {
    struct lh_pool chunks;     /* LH_NET_CHUNK_BYTES: socket input and output */
    struct lh_tls_worker *tls; /* pooled TLS contexts; NULL without TLS */
    struct lh_context *ctx;    /* for traces and counts; NULL: there are none */
    /* See away.h. */
    struct lh_crew *crew; /* helpers for handshakes; NULL: they run in place */
    unsigned away;        /* transports of which helpers have a step */
    void (*back)(struct lh_transport *t); /* one goes on */
};

struct lh_transport {
    const struct lh_transport_ops *ops;
    struct lh_net_pools *pools;
    int fd;
    uint64_t number; /* of the connection, for traces */
    bool ended; /* the client said its goodbye behind what it sent: there is no
                   more to receive, though the socket has not reported it */
    bool away;  /* a helper has it: nothing is to be received or sent, and
                   nothing but receive, send, unsent, rest and free is called */
    bool unwanted; /* ... and it was freed meanwhile */
    bool last;     /* set before send: no more will be acked, and shutdown
                      follows once all has left; TLS may say its goodbye with
                      that */
    void *owner;   /* for `back` */
};

struct lh_transport_ops {
    /* Takes in what the socket has, at most one chunk; only when peek has
     * nothing left.  AGAIN: nothing, or only a part of a record or handshake.
     * EOF and LOST end input; what came before is still there to peek. */
    enum lh_net (*receive)(struct lh_transport *t);

    /* After shutdown, that of a failed TLS too: throws away what was not
     * consumed and what the socket has, at most one chunk, undeciphered.  OK:
     * something came; else as receive. */
    enum lh_net (*discard)(struct lh_transport *t);

    /* Input not consumed yet, in one piece; NULL: none.  After a consume there
     * may be a further piece. */
    const uint8_t *(*peek)(struct lh_transport *t, size_t *n);
    void (*consume)(struct lh_transport *t, size_t n);

    /* Room for output; NULL: none until send has made progress, or no memory
     * (*room 0 in both).  Then ack(n) with what was written.  With TLS as a
     * client, where nothing is unsent: none until receive has heard the rest of
     * a message. */
    uint8_t *(*buf)(struct lh_transport *t, size_t *room);
    void (*ack)(struct lh_transport *t, size_t n);

    /* Sends what was acked.  OK: the kernel has it all; AGAIN: wait until the
     * socket takes more; LOST: nothing will leave any more. */
    enum lh_net (*send)(struct lh_transport *t);

    /* Sends what was acked, and behind it up to n octets of a place without a
     * copy; *sent: how many of these.  As send; OK with none: they are not
     * there, or cannot be had so.  NULL: this transport cannot. */
    enum lh_net (*move)(struct lh_transport *t, const struct lh_place *place,
                        size_t n, size_t *sent);

    /* Ends our sending side (close_notify, FIN) after everything acked; as
     * send.  After a failure of TLS the FIN alone, behind its alert. */
    enum lh_net (*shutdown)(struct lh_transport *t);

    /* Is output waiting that was acked (or belongs to TLS itself)?  Also true
     * where no output can leave any more, so that send is called and says so:
     * after LOST, without memory for buf, once TLS is closed. */
    bool (*unsent)(const struct lh_transport *t);

    /* End of a turn: gives back what it does not need while at rest. */
    void (*rest)(struct lh_transport *t);

    /* Frees everything but does not close the descriptor. */
    void (*free)(struct lh_transport *t);
};

void lh_net_pools_init(struct lh_net_pools *pools);
void lh_net_pools_deinit(struct lh_net_pools *pools);

/* For discard: what the socket has. */
enum lh_net lh_net_discard(struct lh_transport *t);

/* As those of os/sock.h, and counted. */
ssize_t lh_net_receive(struct lh_transport *t, void *p, size_t room);
ssize_t lh_net_send(struct lh_transport *t, const void *p, size_t n);
ssize_t lh_net_send_more(struct lh_transport *t, const void *p, size_t n);
ssize_t lh_net_move(struct lh_transport *t, const struct lh_place *place,
                    size_t n);

/* Plain TCP or a unix socket; NULL: no memory. */
struct lh_transport *lh_tcp_new(struct lh_net_pools *pools, int fd);

/* To one that is new: its first input is what waits in this chunk, which it
 * takes. */
void lh_tcp_give_input(struct lh_transport *t, struct lh_chunk *chunk);

#endif
