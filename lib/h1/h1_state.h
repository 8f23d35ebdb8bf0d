/*
 * The floor of an HTTP/1 connection: the connection itself and the moves
 * between its states.  On it stand h1_send (output), h1_time and, on these,
 * h1_conn (input, the table of functions); below are h1_head, h1_body and
 * h1_out, which know no connection.
 */
#ifndef LH_H1_STATE_H
#define LH_H1_STATE_H

#include "h1/h1_body.h"
#include "http/protocol.h"

/*
 * What is expected of the client next.
 *
 *      IDLE -> HEAD -> BODY -> ANSWER -> IDLE ...
 *                         \--> DISCARD --^
 *
 * HEAD goes straight to ANSWER when there is no body; from there a request that
 * was upgraded goes to TUNNEL, which lasts until the end; everything may go to
 * CLOSING, which nothing leaves.
 */
enum lh_h1_state {
    LH_H1_IDLE,    /* a request's first octet (RFC 9112, 2.2) */
    LH_H1_HEAD,    /* the rest of its head (3, 5) */
    LH_H1_BODY,    /* its body (6, 7) */
    LH_H1_ANSWER,  /* nothing: the response is not done yet */
    LH_H1_TUNNEL,  /* octets of another protocol (RFC 9110, 7.8) */
    LH_H1_DISCARD, /* the rest of a body that nobody wants any more */
    LH_H1_CLOSING, /* nothing more is read (9.6) */
};

/* How slowly a body arrives while the handler waits for it. */
struct lh_h1_pace {
    bool waiting;
    uint64_t since_ms;  /* the handler waits */
    uint64_t last_ms;   /* the last octets came */
    uint64_t window_ms; /* the rate's window began, or went on */
    uint64_t waited_ms; /* in this window, before window_ms */
    uint64_t bytes;     /* that came in this window */
};

struct lh_h1 {
    struct lh_protocol_host *host;
    struct lh_context *ctx;
    enum lh_h1_state state;
    bool last;             /* no further request after this one */
    bool fin;              /* the client sends no more than is on its way */
    bool eof;              /* ANSWER: ... and nothing is on its way any more */
    bool linger;           /* CLOSING: the client may still be sending */
    bool expects_continue; /* the client waits for 100 Continue */
    bool is_chunked;       /* the response is */
    bool chunk_ends;       /* the CRLF after a chunk from a pipe is due */
    bool until_close;      /* the response ends with the connection */
    bool reset;            /* CLOSING: not by an orderly end */
    bool refuse;           /* see lh_h1_refuse_plain */
    bool blank_cr;         /* IDLE: the CR of an empty line was seen */
    bool blank_line;       /* IDLE: one empty line was skipped */
    uint64_t since_ms;     /* when the state was entered */
    uint64_t fin_ms;       /* `fin`: when ex knew */
    uint64_t requests;
    uint64_t body_bytes;    /* of this request; DISCARD: that may still come */
    size_t chunk_left;      /* of the chunk whose size was written */
    struct lh_exchange *ex; /* the current one */
    struct lh_exchange *unsent; /* pulled, and its handler waits for sent */
    struct lh_buf queue;        /* output that goes before ex's */
    union {
        struct lh_h1_head head; /* HEAD, until it is whole */
        struct lh_h1_body body; /* BODY, DISCARD */
    };
    struct lh_h1_pace pace;
};

/* Is this a move that a connection makes? */
bool lh_h1_may(enum lh_h1_state from, enum lh_h1_state to);

/* The one place where a state changes; asserts that the move is legal. */
void lh_h1_set_state(struct lh_h1 *c, enum lh_h1_state state);

/* Reads nothing more; closes once the output has left. */
void lh_h1_close(struct lh_h1 *c, bool linger);

/* Cancels and closes, so that nothing that was sent looks whole. */
void lh_h1_abort(struct lh_h1 *c, enum lh_ending why);

/* Cancels the current exchange and lets go of it. */
void lh_h1_cancel(struct lh_h1 *c, enum lh_ending why);

/* The response was written: on to the next request, or to the end. */
void lh_h1_answered(struct lh_h1 *c);

/* Between requests. */
void lh_h1_become_idle(struct lh_h1 *c);

/* Nothing more is expected of the body; the handler may still answer, and then
 * the connection ends. */
void lh_h1_give_up_body(struct lh_h1 *c, enum lh_body_state why);

#endif
