/*
 * An HTTP/1 connection's output: see h1_send.h.  What is in the connection's
 * queue goes first: an answer of our own, or whole responses to pipelined
 * requests.  Behind it the current exchange writes straight into the
 * transport's buffer; what has no room there goes to the queue as well, so
 * nothing is encoded twice.
 */
#include "h1/h1_send.h"

#include "base/num.h"
#include "h1/h1_check.h"
#include "http/request_id.h"
#include "http/status.h"

/* How much of finished responses may wait while further pipelined requests are
 * answered. */
#define QUEUE_BYTES (64 << 10)

/* --- answers of our own --------------------------------------------------- */

/* Every answer is that of a request.  One that did not get as far as an
 * exchange gets it here; without memory nobody is told of it. */
static void end_refused(struct lh_h1 *c, unsigned status, size_t body)
{
    if (!c->ex)
        c->ex = lh_exchange_new(c->ctx, c->host->peer);
    if (c->ex)
        lh_exchange_refuse(c->ex, status, body);
    lh_h1_cancel(c, LH_ENDED_CUT);
}

void lh_h1_refuse(struct lh_h1 *c, unsigned status, const char *page,
                  bool no_body)
{
    struct lh_str body = page ? lh_str_of(page) : lh_status_page(status);
    char scratch[1024];
    struct lh_h1_out o;

    lh_h1_out_to_queue(&o, scratch, sizeof(scratch), &c->queue);
    lh_h1_put_error(&o, c->ctx, status, body, no_body);
    lh_h1_out_flush(&o);
    end_refused(c, status, no_body ? 0 : body.n);
    lh_h1_close(c, true);
}

void lh_h1_refuse_client(struct lh_h1 *c, unsigned status, const char *why,
                         bool no_body)
{
    enum lh_log_kind kind = status == 408 ? LH_LOG_SLOW : LH_LOG_REFUSED;

    if (c->ex)
        lh_log_request(c->ex, kind, "HTTP/1: %u, %s", status, why);
    else
        lh_log_client(c->ctx, c->host->peer, kind, "HTTP/1: %u, %s", status,
                      why);
    lh_h1_refuse(c, status, NULL, no_body);
}

/* --- the exchange's response ---------------------------------------------- */

/* Must the connection end after this response, as far as can be told when its
 * head leaves? */
static bool must_close(const struct lh_h1 *c)
{
    if (c->last)
        return true;
    if (c->state != LH_H1_BODY)
        return false;
    /* The client may keep its body back and send the next request instead. */
    if (c->expects_continue)
        return true;
    return lh_exchange_complete(c->ex) &&
           lh_h1_body_left(&c->body) != LH_LENGTH_UNKNOWN &&
           lh_h1_body_left(&c->body) > c->ctx->limits->linger_bytes;
}

/* RFC 9112, 6.3; 9110, 8.6.  A length that the handler has declared is sent
 * as it is.  Without one, a response that is already whole gets its length,
 * another one chunks; HTTP/1.0 knows no chunks, so there the connection's end
 * is the body's.  Who answers HEAD without a body has not said how long that of
 * GET would be. */
static struct lh_h1_framing choose_framing(const struct lh_h1 *c)
{
    const struct lh_exchange *ex = c->ex;
    const struct lh_response *r = &ex->response;
    bool old = ex->request.version == LH_HTTP_1_0;
    struct lh_h1_framing f = {.content_length = r->content_length,
                              .close = must_close(c)};

    if (lh_status_has_no_body(r->status)) {
        if (r->status != 304)
            f.content_length = LH_LENGTH_UNKNOWN;
        if (ex->upgraded)
            f.close = false; /* it is said already what the connection is */
    } else if (f.content_length == LH_LENGTH_UNKNOWN) {
        bool whole = lh_exchange_complete(ex);
        bool silent = whole && ex->request.head && r->written == 0;
        if (whole && (old || r->trailers.n == 0))
            f.content_length = silent ? LH_LENGTH_UNKNOWN : r->written;
        else
            f.chunked = !old;
        if (!whole && old && !r->no_body)
            f.close = true; /* the end of the connection is the body's end */
    }
    f.say_keep_alive = old;
    return f;
}

/* What follows the head is no HTTP.  A client waits for it before it sends
 * anything else, or has shut its side already: then nothing is left of its side
 * but what has come, whatever its request said of the end. */
static void begin_tunnel(struct lh_h1 *c)
{
    c->last = true;
    lh_h1_set_state(c, LH_H1_TUNNEL);
    if (c->fin)
        lh_exchange_fin(c->ex);
    if (c->eof)
        lh_exchange_body_end(c->ex, LH_BODY_ENDED);
}

/* From here on the response cannot be replaced by an error any more: what
 * goes wrong later cuts the connection. */
static void put_response_head(struct lh_h1 *c, struct lh_h1_out *o)
{
    struct lh_h1_framing f = choose_framing(c);

    lh_h1_put_head(o, c->ctx, &c->ex->response, &f);
    c->last |= f.close;
    c->is_chunked = f.chunked && !c->ex->response.no_body;
    c->until_close = !c->is_chunked && !c->ex->response.no_body &&
                     f.content_length == LH_LENGTH_UNKNOWN;
    c->chunk_left = 0;
    if (c->until_close && c->ex->upgraded)
        begin_tunnel(c);
    lh_exchange_head_leaves(c->ex);
}

/* Informational responses in the order in which the handler gave them, before
 * the final head.  100 Continue is sent when the handler asks for the body,
 * not before. */
static void put_interims(struct lh_h1 *c, struct lh_h1_out *o)
{
    struct lh_exchange *ex = c->ex;
    struct lh_interim *interim;

    if (c->expects_continue && ex->body_wanted && !ex->response.head_left) {
        lh_h1_put_str(o, LH_STR("HTTP/1.1 100 Continue\r\n\r\n"));
        c->expects_continue = false;
    }
    while ((interim = lh_exchange_take_interim(ex))) {
        /* HTTP/1.0 knows no 1xx (RFC 9110, 15.2), HTTP/1 no promises. */
        if (interim->status && ex->request.version != LH_HTTP_1_0 &&
            !ex->response.head_left)
            lh_h1_put_interim(o, interim);
    }
}

/* What waits, but at most `most` octets; how many that were.  Straight to where
 * they are sent from, if there is such a place. */
static size_t put_waiting(struct lh_exchange *ex, struct lh_h1_out *o,
                          size_t most)
{
    size_t done = 0, n;
    const uint8_t *p;

    if (!o->scratch) {
        done = lh_exchange_out_take(ex, (uint8_t *)o->at,
                                    lh_min(most, (size_t)(o->end - o->at)));
        o->at += done;
        return done;
    }
    while (done < most && (p = lh_exchange_out_peek(ex, &n)) != NULL) {
        n = lh_min(n, most - done);
        lh_h1_put(o, p, n);
        lh_exchange_out_drop(ex, n);
        done += n;
    }
    return done;
}

/* A chunk's size is written before its octets are there in the buffer: it is
 * all that waits now, so that pieces of the handler's do not become chunks
 * each. */
static void put_chunks(struct lh_h1 *c, struct lh_h1_out *o)
{
    struct lh_exchange *ex = c->ex;

    while (o->scratch || o->at < o->end) {
        if (c->chunk_ends) {
            c->chunk_ends = false;
            lh_h1_put_str(o, LH_STR("\r\n"));
        }
        if (c->chunk_left == 0) {
            c->chunk_left = lh_exchange_out_bytes(ex);
            if (c->chunk_left == 0)
                return;
            lh_h1_put_chunk_size(o, c->chunk_left);
            continue;
        }
        size_t n = put_waiting(ex, o, c->chunk_left);
        if (n == 0)
            return;
        c->chunk_left -= n;
        if (c->chunk_left == 0)
            lh_h1_put_str(o, LH_STR("\r\n"));
    }
}

static void put_body(struct lh_h1 *c, struct lh_h1_out *o)
{
    if (c->is_chunked)
        put_chunks(c, o);
    else
        (void)put_waiting(c->ex, o, SIZE_MAX);
}

/* The handler gave up: nothing that was sent may look whole. */
static void abort_response(struct lh_h1 *c)
{
    bool head = c->ex->request.head, left = c->ex->response.head_left;

    if (left)
        lh_h1_abort(c, LH_ENDED_CUT);
    else
        lh_h1_refuse(c, 500, NULL, head);
}

/* Everything of the response that can leave now, and with its last octet the
 * next state. */
static void put_response(struct lh_h1 *c, struct lh_h1_out *o)
{
    struct lh_exchange *ex = c->ex;

    if (ex->response.interim || c->expects_continue)
        put_interims(c, o);
    if (ex->response.state == LH_RESPONSE_ABORTED) {
        abort_response(c);
        return;
    }
    if (!ex->response.head_left) {
        if (!lh_exchange_head_ready(ex))
            return;
        put_response_head(c, o);
    }
    put_body(c, o);
    if (!lh_exchange_complete(ex) || lh_exchange_out_bytes(ex))
        return;
    if (c->is_chunked)
        lh_h1_put_last_chunk(o, &ex->response.trailers);
    lh_h1_answered(c);
}

/* --- where it goes -------------------------------------------------------- */

/* Would pull write something? Asked once a turn, so it must be cheap and must
 * not promise what pull does not do. */
bool lh_h1_has_output(const struct lh_h1 *c)
{
    const struct lh_exchange *ex = c->ex;

    if (c->queue.n)
        return true;
    if (!ex || c->state < LH_H1_BODY)
        return false;
    if (ex->response.interim || ex->response.state == LH_RESPONSE_ABORTED)
        return true;
    if (!ex->response.head_left)
        return lh_exchange_head_ready(ex) ||
               (c->expects_continue && ex->body_wanted);
    return lh_exchange_complete(ex) || lh_exchange_out_bytes(ex) > 0 ||
           c->chunk_ends;
}

/* Output that was lost for lack of memory would leave a gap that looks like a
 * whole response. */
static void check_memory(struct lh_h1 *c, const struct lh_h1_out *o)
{
    if (o->failed)
        lh_h1_abort(c, LH_ENDED_CUT);
}

size_t lh_h1_pull(void *v, uint8_t *out, size_t room)
{
    struct lh_h1 *c = v;
    size_t n = lh_buf_take(&c->queue, out, room);
    struct lh_h1_out o;

    if (c->queue.n == 0 && lh_h1_has_output(c)) {
        lh_h1_out_init(&o, out + n, room - n, &c->queue);
        put_response(c, &o);
        check_memory(c, &o);
        n = (size_t)((uint8_t *)o.at - out);
    }
    lh_h1_check(c);
    /* A refusal was queued while there was still room. */
    return n + lh_buf_take(&c->queue, out + n, room - n);
}

/* Behind its chunk's size, which is pulled. */
size_t lh_h1_locate(void *v, struct lh_place *place)
{
    struct lh_h1 *c = v;
    struct lh_exchange *ex = c->ex;
    size_t n;

    if (!ex || c->queue.n || !ex->response.head_left ||
        ex->response.state == LH_RESPONSE_ABORTED)
        return 0;
    n = lh_exchange_out_locate(ex, place);
    return c->is_chunked ? lh_min(n, c->chunk_left) : n;
}

/* The CRLF after a chunk whose end was moved is written with the next pull. */
void lh_h1_moved(void *v, size_t n)
{
    struct lh_h1 *c = v;

    lh_exchange_out_moved(c->ex, n);
    if (!c->is_chunked)
        return;
    c->chunk_left -= n;
    c->chunk_ends = c->chunk_left == 0;
}

/* Only a whole response whose handler has ended: nobody waits for this one to
 * be sent, and it cannot fail any more. */
bool lh_h1_can_queue(const struct lh_h1 *c)
{
    const struct lh_exchange *ex = c->ex;

    return c->state == LH_H1_ANSWER && !c->last && lh_exchange_complete(ex) &&
           ex->owners == 1 &&
           c->queue.n + lh_exchange_out_bytes(ex) < QUEUE_BYTES;
}

void lh_h1_queue_response(struct lh_h1 *c)
{
    char scratch[1024];
    struct lh_h1_out o;

    lh_h1_out_to_queue(&o, scratch, sizeof(scratch), &c->queue);
    put_response(c, &o);
    lh_h1_out_flush(&o);
    check_memory(c, &o);
}
