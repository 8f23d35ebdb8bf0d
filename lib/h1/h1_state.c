/* The states of an HTTP/1 connection: see h1_state.h. */
#include "h1/h1_state.h"

#include "base/trace.h"

#include <assert.h>

#define TO(state) (1u << (state))

/* The moves that a connection makes, a bit for each state; all others are our
 * own mistakes.  See the drawing in h1_state.h. */
static const unsigned legal_moves[] = {
    [LH_H1_IDLE] = TO(LH_H1_HEAD) | TO(LH_H1_CLOSING),
    [LH_H1_HEAD] = TO(LH_H1_BODY) | TO(LH_H1_ANSWER) | TO(LH_H1_CLOSING),
    [LH_H1_BODY] = TO(LH_H1_ANSWER) | TO(LH_H1_DISCARD) | TO(LH_H1_CLOSING),
    [LH_H1_ANSWER] = TO(LH_H1_IDLE) | TO(LH_H1_TUNNEL) | TO(LH_H1_CLOSING),
    [LH_H1_TUNNEL] = TO(LH_H1_CLOSING),
    [LH_H1_DISCARD] = TO(LH_H1_IDLE) | TO(LH_H1_CLOSING),
    [LH_H1_CLOSING] = 0,
};

/* For traces, which a release does not have. */
static const char *const state_names[] = {
    [LH_H1_IDLE] = "IDLE",       [LH_H1_HEAD] = "HEAD",
    [LH_H1_BODY] = "BODY",       [LH_H1_ANSWER] = "ANSWER",
    [LH_H1_TUNNEL] = "TUNNEL",   [LH_H1_DISCARD] = "DISCARD",
    [LH_H1_CLOSING] = "CLOSING",
};

bool lh_h1_may(enum lh_h1_state from, enum lh_h1_state to)
{
    return legal_moves[from] & TO(to);
}

void lh_h1_set_state(struct lh_h1 *c, enum lh_h1_state state)
{
    assert(lh_h1_may(c->state, state));
    lh_trace(c->ctx, c->host->peer->number, "h1", 0, state_names[c->state],
             state_names[state]);
    c->state = state;
    c->since_ms = c->ctx->now_ms;
}

/* Closing twice keeps the first reason: whether the client is still sending
 * was known then. */
void lh_h1_close(struct lh_h1 *c, bool linger)
{
    if (c->state == LH_H1_CLOSING)
        return;
    c->linger = linger;
    lh_h1_set_state(c, LH_H1_CLOSING);
}

/* Before its head is whole a request has no handler, so that nobody else
 * would let go of that side of the exchange. */
void lh_h1_cancel(struct lh_h1 *c, enum lh_ending why)
{
    struct lh_exchange *ex = c->ex;

    c->ex = NULL;
    if (!ex)
        return;
    lh_exchange_cancel(ex, why);
    if (c->state <= LH_H1_HEAD)
        lh_exchange_let_go_handler(ex); /* it never came to one */
    lh_exchange_let_go_protocol(ex);
}

void lh_h1_become_idle(struct lh_h1 *c)
{
    c->blank_cr = c->blank_line = false;
    lh_h1_set_state(c, LH_H1_IDLE);
}

/* After a response whose request's body has not all come. */
static void discard_body(struct lh_h1 *c)
{
    uint64_t left = lh_h1_body_left(&c->body);
    uint64_t budget = c->ctx->limits->linger_bytes;

    if (left != LH_LENGTH_UNKNOWN && left > budget) {
        lh_h1_close(c, true);
        return;
    }
    c->body_bytes = budget;
    lh_h1_set_state(c, LH_H1_DISCARD);
    c->since_ms = LH_NEVER; /* not before the response has left */
}

/* A response that ends with its connection would look whole after an orderly
 * end (RFC 9112, 6.3), so the driver resets then. */
void lh_h1_abort(struct lh_h1 *c, enum lh_ending why)
{
    c->reset = c->until_close;
    lh_h1_cancel(c, why);
    lh_h1_close(c, false);
}

/* A handler that still holds its exchange may wait until the kernel has the
 * response: the exchange is kept for that as `unsent`, and no further request
 * begins meanwhile. */
void lh_h1_answered(struct lh_h1 *c)
{
    struct lh_exchange *ex = c->ex;
    bool whole = c->state == LH_H1_ANSWER;

    c->ex = NULL;
    if (ex->owners > 1)
        c->unsent = ex;
    else
        lh_exchange_let_go_protocol(ex);
    if (c->last)
        lh_h1_close(c, true); /* a further request may be on its way */
    else if (whole)
        lh_h1_become_idle(c);
    else
        discard_body(c);
}

void lh_h1_give_up_body(struct lh_h1 *c, enum lh_body_state why)
{
    c->last = true;
    lh_h1_set_state(c, LH_H1_ANSWER);
    lh_exchange_body_end(c->ex, why);
}
