/*
 * A connection, and what all its parts stand on: its state, what follows from
 * that, and its end without a word.  Only the files of a connection (conn*.c,
 * negotiate.c) and tests look inside.
 *
 * Their order, each file using those above it:
 *
 *     conn_core    state, queues, interest, timer, list
 *     conn_time    what is due
 *     conn_close   an end in good order
 *     negotiate    which protocol it speaks
 *     conn_proxy   the PROXY header that comes before that
 *     conn_output  protocol -> transport -> socket
 *     conn_input   socket -> transport -> protocol, and events
 *     conn         from accept to the end
 */
#ifndef LH_SERVER_CONN_CORE_H
#define LH_SERVER_CONN_CORE_H

#include "base/num.h"
#include "http/protocol.h"
#include "server/worker.h"

/* How far a connection is.  It only ever moves down this list. */
enum lh_conn_state {
    LH_CONN_SPARE,     /* waits for a client */
    LH_CONN_PROXY,     /* a proxy says first whom it speaks for */
    LH_CONN_HANDSHAKE, /* TLS */
    LH_CONN_SNIFF,     /* plain TCP: HTTP/1 or HTTP/2? */
    LH_CONN_OPEN,      /* a protocol runs */
    LH_CONN_LINGER,    /* our side is being shut; then waits for the client's */
    LH_CONN_CLOSED,    /* to be freed at the end of the turn */
};

/* Of something that happens once and that the protocol is told once. */
enum lh_told { LH_NOT_SEEN, LH_SEEN, LH_TOLD };

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
    uint64_t state_deadline; /* header, handshake, first byte, lingering */
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
    enum lh_told eof; /* the client's side is shut: no octet comes any more */
    enum lh_told fin; /* it will be, behind octets that wait; asked for once */
    bool hung_up;     /* no event comes any more: reads until the end */
    bool blocked;     /* the socket takes no more for now */
    bool tail;        /* time is up, but it takes the end of an answer yet */
    bool bulk;        /* its output did not leave in its first share */
    bool lingers;     /* LINGER: the client may still be sending */
    bool pulled;      /* something was pulled since protocol->sent() */
    bool feeding;     /* its own feed step runs: no need to queue it */
    bool queues;      /* HANDSHAKE: in the worker's queue for helpers */
    bool called;      /* ... it was, or comes back from one: goes on at once,
                         counted by the worker */
    bool counts_idle; /* in the idle list */
    uint8_t *proxy;   /* PROXY: a chunk for its header, proxy_n octets of it */
    uint16_t proxy_n;
    uint8_t carrier; /* enum lh_carrier */
    uint8_t sniffed;
    uint8_t sniff[4];
};

/* The only way from one state to the next. */
void lh_conn_move(struct lh_conn *c, enum lh_conn_state to);

/* Ends each step of a connection: queues, interest, timer and list follow
 * from where it has got to. */
void lh_conn_settle(struct lh_conn *c);

/* The same for one that is not closed and whose lh_conn_status() is `now`. */
void lh_conn_settle_as(struct lh_conn *c, unsigned now);

/* Its handshake fails, if it is in one. */
void lh_conn_count_failure(struct lh_conn *c);

/* Closes without a further word.  What it holds is freed by lh_conns_reap(),
 * since a caller up the stack may still look at it. */
void lh_conn_lose(struct lh_conn *c);

/* The addresses of both ends. */
void lh_conn_fill_peer(struct lh_peer *peer, const struct lh_sock_ends *ends);

/* One line of the log about its client: lh_log_client(). */
#define LH_CONN_LOG(c, kind, ...)                                              \
    lh_log_client(&(c)->worker->ctx, (c)->host.peer, kind, __VA_ARGS__)

/* For the protocol's host: it has news, an exchange's output, or room for
 * input. */
void lh_conn_wake(struct lh_protocol_host *host);

/* Where its protocol stands: LH_PROTO_...  A handshake takes nothing while a
 * helper has its step, or it waits for one. */
static inline unsigned lh_conn_status(const struct lh_conn *c)
{
    if (c->state == LH_CONN_OPEN)
        return c->protocol->status(c->p);
    return c->queues || c->transport->away ? 0 : LH_PROTO_WANTS_INPUT;
}

/* The earliest of its deadlines, LH_NEVER: it has none. */
static inline uint64_t lh_conn_deadline(const struct lh_conn *c)
{
    uint64_t at = lh_min64(c->state_deadline, c->send_deadline);

    if (c->state == LH_CONN_OPEN && !c->tail)
        at = lh_min64(at, c->protocol->deadline(c->p));
    return at;
}

static inline bool lh_conn_has_input(const struct lh_conn *c)
{
    size_t n;

    return c->transport->ops->peek(c->transport, &n) != NULL;
}

static inline void lh_conn_see(enum lh_told *what)
{
    if (*what == LH_NOT_SEEN)
        *what = LH_SEEN;
}

/* What reading from the client has come to.  False: it is lost. */
static inline bool lh_conn_has_read(struct lh_conn *c, enum lh_net outcome)
{
    if (outcome == LH_NET_EOF)
        lh_conn_see(&c->eof);
    return outcome != LH_NET_LOST;
}

/* Is there input to use that no event will announce? */
static inline bool lh_conn_has_more(const struct lh_conn *c)
{
    return lh_conn_has_input(c) || (c->hung_up && !c->eof);
}

static inline void lh_conn_queue_fed(struct lh_conn *c)
{
    if (!lh_list_linked(&c->fed))
        lh_list_append(&c->worker->fed, &c->fed);
}

static inline void lh_conn_end_call(struct lh_conn *c)
{
    c->worker->called -= c->called;
    c->called = false;
}

static inline void lh_conn_queue_dirty(struct lh_conn *c)
{
    struct lh_worker *w = c->worker;

    if (!lh_list_linked(&c->dirty))
        lh_list_append(c->bulk ? &w->bulk : &w->dirty, &c->dirty);
}

/* One that is blocked is looked at all the same. */
static inline void lh_conn_end_tail(struct lh_conn *c)
{
    c->tail = false;
    if (!c->blocked)
        c->send_deadline = LH_NEVER;
}

#endif
