/*
 * A connection: drives a transport and a protocol on a socket.
 *
 *     socket -> transport -> protocol      lh_conn_feed()
 *     protocol -> transport -> socket      lh_conn_write()
 *
 * Both run in their own step of the turn only; events, timers and exchanges
 * just put the connection into the worker's queues `fed` and `dirty`.
 */
#ifndef LH_SERVER_CONN_H
#define LH_SERVER_CONN_H

#include "http/protocol.h"
#include "server/worker.h"

/* How far a connection is.  It only ever moves down this list. */
enum lh_conn_state {
    LH_CONN_SPARE,     /* waits for a client */
    LH_CONN_HANDSHAKE, /* TLS */
    LH_CONN_SNIFF,     /* plain TCP: HTTP/1 or HTTP/2? */
    LH_CONN_OPEN,      /* a protocol runs */
    LH_CONN_LINGER,    /* our side is being shut; then waits for the client's */
    LH_CONN_CLOSED,    /* to be freed at the end of the turn */
};

/* Is this a step that a connection takes? */
bool lh_conn_may(enum lh_conn_state from, enum lh_conn_state to);

struct lh_conn {
    struct lh_source source;
    struct lh_protocol_host host;
    struct lh_worker *worker;
    const struct lh_listener *listener;
    struct lh_transport *transport;
    const struct lh_protocol *protocol; /* NULL until it is known */
    void *p;                            /* the protocol's connection */
    struct lh_list all;                 /* in busy, idle, closed or spare */
    struct lh_list fed;
    struct lh_list dirty; /* in the worker's queue of that name, or in bulk */
    struct lh_timer timer;
    uint64_t tag;
    uint64_t idle_ms;        /* since when it counts as idle */
    uint64_t state_deadline; /* handshake, first byte, lingering close */
    uint64_t linger_ends;    /* LINGER: our side is shut: at the latest; or 0 */
    uint64_t send_deadline;  /* blocked, tail: looks whether the client takes */
    uint64_t taken_ms;       /* blocked, tail: it took something */
    size_t untaken;          /* blocked, tail: what it had not taken then */
    uint64_t spared;         /* the deadline that was postponed, ... */
    uint64_t spared_until;   /* ... and until when */
    int fd;
    enum lh_conn_state state;
    unsigned interest;
    bool readable;    /* the event queue said so in this turn */
    bool wants_input; /* as its last step has left it */
    bool heard;       /* the client has sent something */
    bool used;        /* ... and made a request */
    bool eof;         /* the client's side is shut */
    bool eof_told;    /* ... and the protocol knows */
    bool fin_seen;    /* reported once while paused; not asked for again */
    bool fin_told;    /* ... and the protocol knows */
    bool hung_up;     /* no event comes any more: reads until the end */
    bool blocked;     /* the socket takes no more for now */
    bool tail;        /* time is up, but it takes the end of an answer yet */
    bool bulk;        /* its output did not leave in its first share */
    bool lingers;     /* LINGER: the client may still be sending */
    bool pulled;      /* something was pulled since protocol->sent() */
    bool feeding;     /* its own feed step runs: no need to queue it */
    bool counts_idle; /* in the idle list */
    uint8_t sniffed;
    uint8_t sniff[4];
};

/* Connections that wait for their clients: made when there is time. */
void lh_conns_prepare(struct lh_worker *w);
void lh_conns_free_spare(struct lh_worker *w);

/* Takes a client over; closes `fd` where there is no memory. */
void lh_conn_accept(struct lh_worker *w, const struct lh_listener *listener,
                    int fd, const struct lh_sock_ends *ends);

/* The steps of the turn.  Each takes its queue as it is. */
void lh_conns_feed(struct lh_worker *w);
void lh_conns_write(struct lh_worker *w);
void lh_conns_reap(struct lh_worker *w);

/* Is there an idle connection that can be closed without cutting an answer?
 * And closes the one that has been idle the longest; false: there is none. */
bool lh_conns_find_idle(struct lh_worker *w);
bool lh_conns_close_oldest_idle(struct lh_worker *w);

/* A stop: what is under way is finished, and each client's next request served
 * if it comes soon; and the end of its grace, where true says that an answer
 * was cut. */
void lh_conns_drain(struct lh_worker *w);
bool lh_conns_cut(struct lh_worker *w);

#endif
