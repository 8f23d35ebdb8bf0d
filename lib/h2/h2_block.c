/*
 * Header blocks that a client sends: HEADERS and CONTINUATION (RFC 9113, 4.3,
 * 6.2, 6.10), to a request or to its trailers.  Whatever becomes of a stream,
 * its block is decoded, so that the tables stay in step: an error of the
 * stream is kept in `block` and told when the block is over.  Only one block
 * is open at a time.
 */
#include "h2/h2_block.h"

#include "base/num.h"
#include "h2/h2_early.h"
#include "http/request_id.h"

/* What the sections of each stream take before they count. */
#define FREE_BYTES ((size_t)1700)

static void h2_take_field(void *to, struct lh_str name, struct lh_str value)
{
    lh_h2_reader_field(to, name, value);
}

static struct lh_h2_hpack_limits limits_of(const struct lh_h2 *c)
{
    const lhttpd_limits_t *limits = c->ctx->limits;
    struct lh_h2_hpack_limits l = {limits->header_bytes, limits->header_fields};

    if (c->block.stream && !c->block.request)
        l.bytes = limits->trailer_bytes;
    return l;
}

/* The decoder's tables are the connection's, so that what it cannot decode
 * ends the connection (RFC 9113, 4.3). */
static bool decode(struct lh_h2 *c, const uint8_t *p, size_t n, bool last)
{
    struct lh_h2_hpack_limits limits = limits_of(c);

    switch (lh_h2_hpack_decode(&c->hpack, p, n, last, &limits, h2_take_field,
                               &c->block.reader)) {
    case LH_H2_HPACK_OK:
        return true;
    case LH_H2_HPACK_BAD:
        lh_h2_fail(c, LH_H2_COMPRESSION_ERROR, "a header block is broken");
        break;
    case LH_H2_HPACK_MEMORY:
        lh_h2_fail(c, LH_H2_INTERNAL_ERROR, "out of memory");
        break;
    }
    return false;
}

/* --- what a block belongs to ---------------------------------------------- */

/* Fields go to the stream's arena; without a stream, or after an error, they
 * are decoded and dropped. */
static void begin_block(struct lh_h2 *c, struct lh_h2_stream *s, bool request,
                        enum lh_h2_error error, const char *why)
{
    struct lh_h2_block *b = &c->block;

    b->stream = c->head.stream;
    b->s = s;
    b->request = request;
    b->error = error;
    b->why = why;
    b->end_stream = c->head.flags & LH_H2_FLAG_END_STREAM;
    b->continuations = 0;
    lh_h2_reader_init(&b->reader, s && !error ? &s->ex->request : NULL,
                      s ? &s->ex->arena : NULL, c->ctx->limits, !request);
    c->block_due =
        lh_deadline(c->ctx->now_ms, c->ctx->limits->header_timeout_ms);
}

/* A field that is sent once may be named again and again by an octet or two: so
 * what all streams' sections take together has a limit too.  Responses that
 * wait take from it, but for a quarter: a client holds the one or the other. */
static bool has_header_room(const struct lh_h2 *c)
{
    uint64_t limit = c->ctx->limits->h2_header_bytes;
    uint64_t responses = c->queued - c->header_bytes;

    return c->header_bytes <
           lh_max64(lh_limit_left(limit, responses), limit / 4);
}

/* A section was decoded into the stream's arena, whose first blocks are free:
 * an ordinary request counts nothing. */
static void count_header(struct lh_h2 *c, struct lh_h2_stream *s)
{
    size_t allocated = s->ex->arena.allocated;
    size_t now = allocated > FREE_BYTES ? allocated - FREE_BYTES : 0;

    c->header_bytes += now - s->header_bytes;
    c->queued += now - s->header_bytes;
    s->header_bytes = now;
}

/* A PRIORITY_UPDATE that came before its request wins over the request's own
 * field (RFC 9218, 7). */
static void apply_early(struct lh_h2 *c, struct lh_h2_stream *s)
{
    const struct lh_h2_early *e = lh_h2_early_of(c, s->id);

    if (e) {
        s->urgency = e->urgency;
        s->incremental = e->incremental;
    }
}

static const char *why_refused(const struct lh_h2 *c)
{
    if (c->life == LH_H2_DRAINED)
        return NULL; /* it was under way when GOAWAY left */
    if (!has_header_room(c))
        return "header sections take h2_header_bytes already";
    if (c->requests_now >= c->ctx->limits->h2_streams)
        return "more streams than h2_streams";
    return "out of memory";
}

/* A stream that is refused is REFUSED_STREAM, which tells the client that
 * nothing was done and that it may try again (RFC 9113, 8.7). */
static void h2_begin_request(struct lh_h2 *c, uint32_t id)
{
    struct lh_h2_stream *s = NULL;

    c->last_id = id;
    if (id == c->gap_id)
        c->gap_id += 2;
    if (c->life != LH_H2_DRAINED && has_header_room(c) &&
        c->requests_now < c->ctx->limits->h2_streams)
        s = lh_h2_open(c, id);
    if (s) {
        lh_h2_stream_set(s, LH_H2_OPEN);
        c->accepted_id = id;
    }
    begin_block(c, s, true, s ? LH_H2_NO_ERROR : LH_H2_REFUSED_STREAM,
                why_refused(c));
}

/* HEADERS on a stream that is closed (RFC 9113, 5.1).  One of which nothing is
 * known any more may have been reset while they were under way, which is no
 * fault of the client's, unless it was never opened. */
static void headers_on_closed(struct lh_h2 *c, uint32_t id)
{
    switch (lh_h2_streams_past(&c->table, id)) {
    case LH_H2_PAST_UNKNOWN:
        if (id < c->gap_id)
            begin_block(c, NULL, false, LH_H2_STREAM_CLOSED,
                        "HEADERS on a stream that was closed long ago");
        else
            lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "a stream number that is past");
        return;
    case LH_H2_PAST_ENDED:
        lh_h2_fail(c, LH_H2_STREAM_CLOSED, "HEADERS on a closed stream");
        return;
    case LH_H2_PAST_RESET:
        begin_block(c, NULL, false, LH_H2_NO_ERROR, NULL);
        lh_h2_charge(c, "frames on closed streams");
        return;
    case LH_H2_PAST_CANCELLED:
        begin_block(c, NULL, false, LH_H2_STREAM_CLOSED,
                    "HEADERS after RST_STREAM");
        return;
    }
}

static enum lh_h2_error trailers_error(const struct lh_h2 *c)
{
    if (!(c->head.flags & LH_H2_FLAG_END_STREAM))
        return LH_H2_PROTOCOL_ERROR;
    return has_header_room(c) ? LH_H2_NO_ERROR : LH_H2_ENHANCE_YOUR_CALM;
}

/* By the stream's state (RFC 9113, 5.1): a request on an idle one, trailers
 * while the client may send, else an error. */
static void headers_begin(struct lh_h2 *c)
{
    uint32_t id = c->head.stream;
    struct lh_h2_stream *s = lh_h2_streams_find(&c->table, id);

    if (!(id & 1))
        lh_h2_fail(c, LH_H2_PROTOCOL_ERROR, "HEADERS on a stream of ours");
    else if (s && lh_h2_stream_receives(s))
        begin_block(c, s, false, trailers_error(c),
                    "trailers without END_STREAM, or beyond h2_header_bytes");
    else if (s)
        begin_block(c, s, false, LH_H2_STREAM_CLOSED,
                    "HEADERS after END_STREAM");
    else if (lh_h2_is_idle(c, id))
        h2_begin_request(c, id);
    else
        headers_on_closed(c, id);
    /* The prefix is still in `small`; its old priority is only checked. */
    if (c->life != LH_H2_ENDED && c->head.flags & LH_H2_FLAG_PRIORITY &&
        (lh_h2_u32(c->small + c->small_n - 5) & LH_H2_STREAM_MAX) == id) {
        c->block.error = LH_H2_PROTOCOL_ERROR;
        c->block.why = "a stream depends on itself";
    }
}

static void block_octets(struct lh_h2 *c, const uint8_t *p, size_t n)
{
    decode(c, p, n, false);
}

/* --- the end of a block --------------------------------------------------- */

static bool length_fits(const struct lh_h2_stream *s)
{
    uint64_t length = s->ex->request.content_length;

    return length == LH_LENGTH_UNKNOWN || length == s->received;
}

static void count_request(struct lh_h2 *c)
{
    if (++c->requests >= c->ctx->limits->connection_requests ||
        c->drain_due != LH_NEVER)
        lh_h2_drain(c);
}

/* Too large to be taken: what came of it need not wait for the 431 to leave,
 * for that is what a bomb is after. */
static void forget_request(struct lh_exchange *ex)
{
    bool head = lh_str_equal(ex->request.method, LH_STR("HEAD"));

    lh_arena_reset(&ex->arena);
    ex->request = (struct lh_request){
        .version = LH_HTTP_2,
        .content_length = LH_LENGTH_UNKNOWN,
        .head = head,
    };
}

#define WRONG_LENGTH "a body that is not as long as its content-length"

static void refuse_request(struct lh_h2 *c, const struct lh_h2_stream *s,
                           unsigned status, const char *why)
{
    lh_log_request(s->ex, LH_LOG_REFUSED, "HTTP/2: %u on stream %u, %s", status,
                   s->id, why);
    lh_h2_charge(c, "requests that are refused");
}

/* Handlers take it for whether the client speaks TLS, which the connection
 * tells and not what a client calls it; HTTP/1 does the same. */
static void take_scheme(struct lh_exchange *ex)
{
    ex->request.scheme = ex->peer->secure ? LH_STR("https") : LH_STR("http");
}

/* In the order of gravity: errors of the stream, malformed sections, then
 * statuses that the request is answered with.  END_STREAM is noted before the
 * handler starts, so that it finds its body ended. */
static void end_request(struct lh_h2 *c, struct lh_h2_stream *s, bool over)
{
    struct lh_h2_reader *r = &c->block.reader;
    int verdict = over ? 431 : lh_h2_reader_finish(r);

    if (c->block.error) {
        lh_h2_reset_client(c, s, c->block.error, c->block.why);
        return;
    }
    if (verdict == LH_H2_REQUEST_MEMORY) {
        lh_h2_reset_client(c, s, LH_H2_REFUSED_STREAM, "out of memory");
        return;
    }
    if (verdict == LH_H2_REQUEST_MALFORMED ||
        (c->block.end_stream && !length_fits(s))) {
        lh_h2_reset_client(c, s, LH_H2_PROTOCOL_ERROR,
                           r->why ? r->why : WRONG_LENGTH);
        return;
    }
    if (over) {
        forget_request(s->ex);
        count_header(c, s);
    }
    s->ex->request.accepts_push = c->peer_push;
    take_scheme(s->ex);
    if (!over && r->priority.p)
        lh_h2_priority_parse(r->priority, &s->urgency, &s->incremental);
    apply_early(c, s);
    count_request(c);
    if (c->life == LH_H2_ENDED)
        return;
    if (c->block.end_stream)
        lh_h2_remote_ends(c, s);
    if (verdict)
        refuse_request(c, s, (unsigned)verdict,
                       over
                           ? "the fields are over header_bytes or header_fields"
                           : r->why);
    if (c->life != LH_H2_ENDED)
        lh_h2_serve(c, s, (unsigned)verdict);
}

/* Trailers end the stream, and the body must be as long as was declared (RFC
 * 9113, 8.1.1). */
static void end_trailers(struct lh_h2 *c, struct lh_h2_stream *s, bool over)
{
    struct lh_h2_reader *r = &c->block.reader;
    int verdict = lh_h2_reader_finish(r);

    if (!c->block.error && !over && verdict == LH_H2_REQUEST_OK &&
        length_fits(s)) {
        lh_h2_remote_ends(c, s);
        return;
    }
    lh_exchange_body_end(s->ex, LH_BODY_MALFORMED);
    if (verdict == LH_H2_REQUEST_MEMORY && !c->block.error)
        lh_h2_reset(c, s, LH_H2_INTERNAL_ERROR);
    else if (c->block.error)
        lh_h2_reset_client(c, s, c->block.error, c->block.why);
    else
        lh_h2_reset_client(c, s, LH_H2_PROTOCOL_ERROR,
                           over     ? "its trailers are over trailer_bytes"
                           : r->why ? r->why
                                    : WRONG_LENGTH);
}

/* END_HEADERS: the decoder is told, and the section is looked at as a whole.
 */
static void block_end(struct lh_h2 *c)
{
    struct lh_h2_block *b = &c->block;
    uint32_t id = b->stream;

    if (!(c->head.flags & LH_H2_FLAG_END_HEADERS) ||
        !decode(c, c->small, 0, true))
        return;
    c->block_due = LH_NEVER;
    b->stream = 0;
    if (b->s)
        count_header(c, b->s);
    if (b->s && b->request) {
        end_request(c, b->s, c->hpack.over);
    } else if (b->s) {
        end_trailers(c, b->s, c->hpack.over);
    } else if (b->error) {
        lh_h2_streams_remember(&c->table, id, LH_H2_PAST_RESET);
        lh_h2_log_reset(c, id, b->error, b->why);
        lh_h2_reset_id(c, id, b->error);
        lh_h2_charge(c, "requests that are refused");
    }
    b->s = NULL;
}

static void continuation_begin(struct lh_h2 *c)
{
    if (++c->block.continuations > c->ctx->limits->h2_continuations)
        lh_h2_fail(c, LH_H2_ENHANCE_YOUR_CALM, "too many CONTINUATION frames");
}

const struct lh_h2_handler lh_h2_headers = {headers_begin, block_octets,
                                            block_end};
const struct lh_h2_handler lh_h2_continuation = {continuation_begin,
                                                 block_octets, block_end};
