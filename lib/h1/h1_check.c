/* What always holds of an HTTP/1 connection: see h1_check.h. */
#include "h1/h1_check.h"

#if LHTTPD_CHECKS

#include <assert.h>

/* The response whose head has left: what was said of its body must come. */
static void check_framing(const struct lh_h1 *c)
{
    const struct lh_exchange *ex = c->ex;

    assert(!(c->is_chunked && c->until_close));
    if (!ex->response.head_left || ex->response.state == LH_RESPONSE_ABORTED)
        return;
    assert(c->is_chunked || (c->chunk_left == 0 && !c->chunk_ends));
    assert(c->chunk_left <= lh_exchange_out_bytes(ex));
}

void lh_h1_check(const struct lh_h1 *c)
{
    bool in_request = c->state == LH_H1_HEAD || c->state == LH_H1_BODY ||
                      c->state == LH_H1_ANSWER || c->state == LH_H1_TUNNEL;

    assert(in_request == (c->ex != NULL));
    assert(!c->reset || c->state == LH_H1_CLOSING);
    if (c->ex) {
        check_framing(c);
        lh_exchange_check(c->ex);
    }
    if (c->state == LH_H1_BODY)
        assert(c->pace.waiting == c->ex->body_wanted);
    if (c->state == LH_H1_TUNNEL)
        assert(c->last && c->ex->upgraded && c->ex->response.head_left);
    if (!c->unsent)
        return;
    /* The next request is not begun before this response has left. */
    assert(!c->ex && lh_exchange_out_bytes(c->unsent) == 0);
    lh_exchange_check(c->unsent);
}

#endif
