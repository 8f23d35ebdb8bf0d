/*
 * One request and its response: see exchange.h.  Output is in this order:
 * copied octets, then what is lent or waits in a pipe, of which there is
 * never both.  After the client has gone nothing waits, and what is written
 * later is dropped without an error, so that a handler may end in its own
 * time.
 */
#include "http/exchange.h"

#include "base/num.h"
#include "http/status.h"

#include <assert.h>

/* How much of a request's body waits for a handler that does not read. */
#define BODY_QUEUE_BYTES (64 << 10)

/* What each response may hold whatever its connection's others hold: a frame,
 * and a small block of lh_buf if they hold a quarter more than they should.
 * None is left without any, or it would wait for ever for those that their
 * client does not read. */
#define ROOM_BYTES       (16 << 10)
#define ROOM_LEAST_BYTES 480

/* The hook only queues its owner, so it may be called at any point. */
static void tell_protocol(struct lh_exchange *ex)
{
    if (ex->on_output)
        ex->on_output(ex);
}

static void tell_handler(struct lh_exchange *ex)
{
    if (ex->on_news)
        ex->on_news(ex);
}

/* The first block of the arena is not cleared: that would be much of the work.
 */
struct lh_exchange *lh_exchange_new(struct lh_context *ctx,
                                    struct lh_peer *peer)
{
    struct lh_exchange *ex = lh_pool_take(&ctx->exchanges);

    if (!ex)
        return NULL;
    memset(ex, 0, offsetof(struct lh_exchange, first_block));
    ex->ctx = ctx;
    ex->peer = lh_peer_hold(peer);
    lh_arena_init(&ex->arena, &ctx->arenas, ex->first_block,
                  sizeof(ex->first_block));
    ex->request.content_length = LH_LENGTH_UNKNOWN;
    lh_buf_init(&ex->body, &ctx->bufs);
    lh_buf_init(&ex->response.bytes, &ctx->bufs);
    ex->response.content_length = LH_LENGTH_UNKNOWN;
    ex->response.interim_end = &ex->response.interim;
    ex->owners = 2;
    ex->begun_us = ctx->now_us;
    ex->number = ++ctx->exchanges_made;
    ex->mapping_number = ex->handler_number = -1;
    lh_count_add(&ctx->counters.exchanges, 1);
    return ex;
}

void lh_exchange_set_peer(struct lh_exchange *ex, struct lh_peer *peer)
{
    lh_peer_let_go(ex->peer);
    ex->peer = peer;
}

/* Copied response octets that wait: `n` fewer.  HTTP/1 has one response at a
 * time and counts none. */
static void uncount(struct lh_exchange *ex, size_t n)
{
    if (ex->connection_queued)
        *ex->connection_queued -= n;
}

/* Nobody will get what waits.  What was lent is not touched any more, so its
 * lender may free it. */
static void drop_output(struct lh_exchange *ex)
{
    struct lh_response *r = &ex->response;

    uncount(ex, r->bytes.n);
    lh_buf_clear(&r->bytes);
    r->lent = NULL;
    r->source = NULL;
    r->lent_n = 0;
    r->interim = NULL;
    r->interim_end = &r->interim;
}

/* Does something of the handler's wait to be sent, which is left alone? */
static bool is_borrowing(const struct lh_response *r)
{
    return r->lent_n && !r->is_page;
}

/* --- the end of a request ------------------------------------------------- */

void lh_exchange_accept(struct lh_exchange *ex)
{
    ex->accepted = true;
    lh_count_add(&ex->ctx->counters.requests_begun, 1);
}

/* Whatever ends it first is what it has ended by. */
static void tell_end(struct lh_exchange *ex, enum lh_ending ending)
{
    struct lh_context *ctx = ex->ctx;

    if (!ex->accepted || ex->over)
        return;
    ex->over = true;
    ex->ending = ending;
    lh_count_add(&ctx->counters.by_version[ex->request.version], 1);
    if (ctx->request_ends)
        ctx->request_ends(ex);
}

void lh_exchange_refuse(struct lh_exchange *ex, unsigned status, uint64_t n)
{
    if (!ex->accepted)
        lh_exchange_accept(ex);
    ex->refused = status;
    ex->refused_bytes = n;
    ex->head_us = ex->ctx->now_us;
    tell_end(ex, LH_ENDED_COMPLETE);
}

/* What was written and does not wait any more.  It is asked where the request
 * ends, before what still waits is dropped. */
uint64_t lh_exchange_body_sent(const struct lh_exchange *ex)
{
    if (ex->refused)
        return ex->refused_bytes;
    if (ex->response.no_body)
        return 0;
    return ex->response.written - lh_exchange_out_bytes(ex);
}

/* --- its two owners ------------------------------------------------------- */

/* The second owner frees all. */
static void let_go(struct lh_exchange *ex)
{
    struct lh_context *ctx = ex->ctx;

    assert(ex->owners > 0);
    if (--ex->owners)
        return;
    assert(ex->over == ex->accepted);
    drop_output(ex);
    lh_buf_clear(&ex->body);
    lh_arena_reset(&ex->arena);
    lh_peer_let_go(ex->peer);
    lh_pool_give(&ctx->exchanges, ex);
    lh_count_sub(&ctx->counters.exchanges, 1);
}

/* A handler that waits for what it has lent is told that it has it back. */
void lh_exchange_let_go_protocol(struct lh_exchange *ex)
{
    bool whole = lh_exchange_complete(ex) && !lh_exchange_out_bytes(ex);

    tell_end(ex, whole ? LH_ENDED_COMPLETE : LH_ENDED_CUT);
    ex->protocol = NULL;
    ex->on_output = NULL;
    if (ex->owners > 1) {
        bool borrowed = is_borrowing(&ex->response);
        drop_output(ex);
        ex->connection_queued = NULL;
        if (borrowed)
            tell_handler(ex);
        lh_exchange_body_end(ex, LH_BODY_CLOSED);
    }
    let_go(ex);
}

/* A response that its handler did not end is cut: nothing of it may look
 * whole. */
void lh_exchange_let_go_handler(struct lh_exchange *ex)
{
    ex->handler = NULL;
    ex->on_news = NULL;
    if (ex->response.state < LH_RESPONSE_ENDED)
        ex->response.state = LH_RESPONSE_ABORTED;
    tell_protocol(ex);
    let_go(ex);
}

/* --- the protocol's side -------------------------------------------------- */

size_t lh_exchange_body_room(const struct lh_exchange *ex)
{
    if (ex->body_state != LH_BODY_OPEN || ex->body.n >= BODY_QUEUE_BYTES)
        return 0;
    return BODY_QUEUE_BYTES - ex->body.n;
}

/* A body that has failed or ended takes no more, silently: its sender may not
 * know yet. */
bool lh_exchange_body(struct lh_exchange *ex, const void *p, size_t n)
{
    if (ex->body_state != LH_BODY_OPEN || n == 0)
        return true;
    if (!lh_buf_append(&ex->body, p, n)) {
        lh_exchange_body_end(ex, LH_BODY_CLOSED);
        return false;
    }
    ex->body_received += n;
    tell_handler(ex);
    return true;
}

void lh_exchange_body_end(struct lh_exchange *ex, enum lh_body_state state)
{
    if (ex->body_state != LH_BODY_OPEN)
        return;
    ex->body_state = state;
    tell_handler(ex);
}

/* Once; the handler finds the same, however often it is told. */
void lh_exchange_cancel(struct lh_exchange *ex, enum lh_ending why)
{
    if (ex->gone)
        return;
    tell_end(ex, why);
    ex->gone = true;
    if (ex->body_state == LH_BODY_OPEN)
        ex->body_state = LH_BODY_CLOSED;
    drop_output(ex);
    tell_handler(ex);
}

void lh_exchange_fin(struct lh_exchange *ex)
{
    if (ex->fin)
        return;
    ex->fin = true;
    tell_handler(ex);
}

/* Nothing leaves before the response is released, so that a short one is
 * whole when its head is written and gets its length. */
const uint8_t *lh_exchange_out_peek(const struct lh_exchange *ex, size_t *n)
{
    const struct lh_response *r = &ex->response;

    *n = 0;
    if (!r->released)
        return NULL;
    if (r->bytes.n)
        return lh_buf_peek(&r->bytes, n);
    if (r->lent)
        *n = r->lent_n;
    return r->lent;
}

static void drop_borrowed(struct lh_response *r, size_t n)
{
    assert(n <= r->lent_n);
    r->lent_n -= n;
    if (r->lent_n == 0) {
        r->lent = NULL;
        r->source = NULL;
    } else if (r->lent) {
        r->lent += n;
    }
}

/* The protocol has written n octets of what it has peeked at. */
void lh_exchange_out_drop(struct lh_exchange *ex, size_t n)
{
    struct lh_response *r = &ex->response;
    bool was_full = lh_exchange_room(ex) == 0, borrowed = is_borrowing(r);
    size_t copied = lh_min(n, r->bytes.n);

    lh_buf_drop(&r->bytes, copied);
    uncount(ex, copied);
    drop_borrowed(r, n - copied);
    /* Room may also have come from the connection's other responses, and
     * nobody was told: so an empty queue is always news to one that writes. */
    if ((borrowed && !is_borrowing(r)) ||
        (r->state == LH_RESPONSE_STARTED && (was_full || !r->bytes.n)))
        tell_handler(ex);
}

/* The handler finds another way to what the source cannot give at once, or
 * learns from it why. */
static void source_is_dry(struct lh_exchange *ex)
{
    struct lh_response *r = &ex->response;

    r->written -= r->lent_n;
    r->lent_n = 0;
    r->source = NULL;
    tell_handler(ex);
}

/* Is the kernel to move what its source has? */
static bool is_moved(const struct lh_exchange *ex)
{
    const struct lh_body_source *source = ex->response.source;

    return source && source->locate && ex->moves;
}

static size_t take_drawn(struct lh_exchange *ex, uint8_t *out, size_t n)
{
    struct lh_body_source *source = ex->response.source;
    size_t got = source->draw(source, out, lh_min(n, ex->response.lent_n));

    if (got)
        lh_exchange_out_drop(ex, got);
    else
        source_is_dry(ex);
    return got;
}

size_t lh_exchange_out_take(struct lh_exchange *ex, uint8_t *out, size_t n)
{
    size_t done = 0, k;
    const uint8_t *p;

    while (done < n && (p = lh_exchange_out_peek(ex, &k)) != NULL) {
        k = lh_min(k, n - done);
        memcpy(out + done, p, k);
        lh_exchange_out_drop(ex, k);
        done += k;
    }
    if (done < n && ex->response.source && !is_moved(ex) &&
        lh_exchange_out_waits(ex))
        done += take_drawn(ex, out + done, n - done);
    return done;
}

/* What was copied goes first. */
size_t lh_exchange_out_locate(struct lh_exchange *ex, struct lh_place *place)
{
    struct lh_response *r = &ex->response;
    size_t n;

    if (!r->released || r->bytes.n || !is_moved(ex))
        return 0;
    n = r->source->locate(r->source, place, r->lent_n);
    if (n == 0)
        source_is_dry(ex);
    return n;
}

void lh_exchange_out_moved(struct lh_exchange *ex, size_t n)
{
    struct lh_body_source *source = ex->response.source;

    source->moved(source, n);
    if (n)
        lh_exchange_out_drop(ex, n);
    else if (is_moved(ex))
        source_is_dry(ex);
}

/* Without a body this is all there is of the response, and a tunnel's handler
 * may begin to write. */
void lh_exchange_head_leaves(struct lh_exchange *ex)
{
    ex->response.head_left = true;
    ex->head_us = ex->ctx->now_us;
    if (ex->response.no_body || ex->upgraded)
        tell_handler(ex);
}

struct lh_interim *lh_exchange_take_interim(struct lh_exchange *ex)
{
    struct lh_response *r = &ex->response;
    struct lh_interim *interim = r->interim;

    if (interim) {
        r->interim = interim->next;
        if (!r->interim)
            r->interim_end = &r->interim;
    }
    return interim;
}

void lh_exchange_sent(struct lh_exchange *ex)
{
    ex->sent = true;
    tell_end(ex, LH_ENDED_COMPLETE);
    tell_handler(ex);
}

/* --- the handler's side --------------------------------------------------- */

/* In the arena: the list is as long as the handler makes it, within its own
 * request. */
static int add_interim(struct lh_exchange *ex, unsigned status,
                       const struct lh_fields *fields)
{
    struct lh_interim *interim;

    if (ex->gone)
        return 0;
    interim = lh_arena_alloc(&ex->arena, sizeof(*interim));
    if (!interim)
        return LHTTPD_ENOMEM;
    *interim = (struct lh_interim){.status = status, .fields = *fields};
    *ex->response.interim_end = interim;
    ex->response.interim_end = &interim->next;
    tell_protocol(ex);
    return 0;
}

int lh_exchange_informational(struct lh_exchange *ex, unsigned status,
                              const struct lh_fields *fields)
{
    if (status < 100 || status > 199)
        return LHTTPD_EINVAL;
    if (ex->response.state != LH_RESPONSE_NONE)
        return LHTTPD_ESTATE;
    return add_interim(ex, status, fields);
}

/* One of status 0 in the list, so that promises and 1xx responses leave in the
 * order in which they were made. */
int lh_exchange_promise(struct lh_exchange *ex, const struct lh_fields *fields)
{
    if (ex->response.state >= LH_RESPONSE_ENDED)
        return LHTTPD_ESTATE;
    return add_interim(ex, 0, fields);
}

/* Moves content-length out of the fields; the framing is the protocol's.
 * Several are one if they are equal (RFC 9110, 8.6). */
static bool take_content_length(struct lh_fields *fields, uint64_t *length)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < fields->n; i++) {
        struct lh_field *x = &fields->v[i];
        uint64_t value;
        if (x->name.n != 14 ||
            !lh_str_equal_nocase(x->name, LH_STR("content-length"))) {
            fields->v[kept++] = *x;
            continue;
        }
        if (!lh_str_to_u64(x->value, LH_LENGTH_UNKNOWN - 1, &value) ||
            (*length != LH_LENGTH_UNKNOWN && *length != value))
            return false;
        *length = value;
        fields->bytes -= x->name.n + x->value.n + 32;
    }
    fields->n = kept;
    return true;
}

/* HEAD, 204 and 304 have no body, whatever the handler writes (RFC 9110,
 * 6.4.1). */
int lh_exchange_start(struct lh_exchange *ex, unsigned status,
                      const struct lh_fields *fields)
{
    struct lh_response *r = &ex->response;
    struct lh_fields own = *fields;
    uint64_t length = LH_LENGTH_UNKNOWN;

    if (r->state != LH_RESPONSE_NONE)
        return LHTTPD_ESTATE;
    if (status < 200 || status > 599 || !take_content_length(&own, &length))
        return LHTTPD_EINVAL;
    /* It would mean that a tunnel is there (RFC 8441, 5). */
    if (ex->request.extended_connect && status < 300)
        status = 501;
    r->state = LH_RESPONSE_STARTED;
    r->status = status;
    r->fields = own;
    r->content_length = length;
    r->no_body = ex->request.head || lh_status_has_no_body(status);
    return 0;
}

int lh_exchange_upgrade(struct lh_exchange *ex, const struct lh_fields *fields)
{
    struct lh_response *r = &ex->response;
    bool by_connect = ex->request.version == LH_HTTP_2;

    if (r->state != LH_RESPONSE_NONE || ex->gone ||
        (!by_connect && ex->body.n) ||
        ex->body_state != (by_connect ? LH_BODY_OPEN : LH_BODY_ENDED))
        return LHTTPD_ESTATE;
    ex->upgraded = true;
    ex->body_state = LH_BODY_OPEN;
    r->state = LH_RESPONSE_STARTED;
    r->status = by_connect ? 200 : 101;
    r->fields = *fields;
    r->released = true;
    tell_protocol(ex);
    return 0;
}

static size_t room_below(uint64_t limit, size_t used)
{
    return limit > used ? lh_to_size(limit - used) : 0;
}

/* What the stream's own limit leaves, and what its connection's does.  A
 * connection that is full leaves each response a little, so that none depends
 * on others that nobody reads. */
size_t lh_exchange_room(const struct lh_exchange *ex)
{
    const lhttpd_limits_t *limits = ex->ctx->limits;
    uint64_t limit = limits->connection_buffer_bytes;
    size_t own = ex->response.bytes.n;
    size_t stream = room_below(limits->stream_buffer_bytes, own), queued, room;

    if (!ex->connection_queued || ex->gone)
        return stream;
    queued = *ex->connection_queued;
    room = room_below(limit, queued);
    if (stream <= room)
        return stream;
    size_t always = room_below(
        queued < limit + limit / 4 ? ROOM_BYTES : ROOM_LEAST_BYTES, own);
    if (room < always)
        room = always;
    return lh_min(stream, room);
}

/* The checks that write, lend and draw_from share; *drop: nobody would get it.
 */
static int check_written(struct lh_exchange *ex, uint64_t n, bool *drop)
{
    struct lh_response *r = &ex->response;

    *drop = true;
    if (ex->gone)
        return 0;
    if (r->state != LH_RESPONSE_STARTED || is_borrowing(r))
        return LHTTPD_ESTATE;
    if (r->content_length != LH_LENGTH_UNKNOWN &&
        n > r->content_length - r->written)
        return LHTTPD_EINVAL;
    *drop = r->no_body || n == 0;
    if (*drop)
        r->written += n;
    return 0;
}

static int copy_octets(struct lh_exchange *ex, const void *p, size_t n)
{
    if (!lh_buf_append(&ex->response.bytes, p, n))
        return LHTTPD_ENOMEM;
    if (ex->connection_queued)
        *ex->connection_queued += n;
    return 0;
}

/* A response whose buffer is full leaves without being asked for. */
int lh_exchange_write(struct lh_exchange *ex, const void *p, size_t n)
{
    struct lh_response *r = &ex->response;
    bool drop;
    int error = check_written(ex, n, &drop);

    if (error || drop)
        return error;
    if (copy_octets(ex, p, n))
        return LHTTPD_ENOMEM;
    r->written += n;
    if (!r->released && lh_exchange_room(ex) == 0)
        r->released = true;
    if (r->released)
        tell_protocol(ex);
    return 0;
}

/* What is lent leaves at once, for its lender waits for it. */
int lh_exchange_lend(struct lh_exchange *ex, const void *p, size_t n)
{
    struct lh_response *r = &ex->response;
    bool drop;
    int error = check_written(ex, n, &drop);

    if (error || drop)
        return error;
    r->written += n;
    r->lent = p;
    r->lent_n = n;
    r->released = true;
    tell_protocol(ex);
    return 0;
}

int lh_exchange_draw_from(struct lh_exchange *ex, struct lh_body_source *source,
                          size_t n)
{
    struct lh_response *r = &ex->response;
    bool drop;
    int error = check_written(ex, n, &drop);

    assert(!r->no_body);
    if (error || drop)
        return error;
    r->written += n;
    r->source = source;
    r->lent_n = n;
    r->released = true;
    tell_protocol(ex);
    return 0;
}

int lh_exchange_skip(struct lh_exchange *ex, uint64_t n)
{
    bool drop;

    assert(ex->gone || ex->response.no_body);
    return check_written(ex, n, &drop);
}

/* A part at a time: what is left may be more than a stack should hold. */
void lh_exchange_copy_source(struct lh_exchange *ex)
{
    struct lh_response *r = &ex->response;
    uint8_t part[4096];

    while (r->source) {
        size_t n =
            r->source->draw(r->source, part, lh_min(r->lent_n, sizeof(part)));
        if (n == 0 || copy_octets(ex, part, n)) {
            lh_exchange_unlend(ex);
            return;
        }
        drop_borrowed(r, n);
    }
}

void lh_exchange_unlend(struct lh_exchange *ex)
{
    struct lh_response *r = &ex->response;

    if (!is_borrowing(r))
        return;
    r->written -= r->lent_n; /* nobody has got that */
    r->lent = NULL;
    r->source = NULL;
    r->lent_n = 0;
    r->state = LH_RESPONSE_ABORTED;
    tell_protocol(ex);
}

int lh_exchange_trailers(struct lh_exchange *ex, const struct lh_fields *fields)
{
    if (ex->response.state >= LH_RESPONSE_ENDED)
        return LHTTPD_ESTATE;
    ex->response.trailers = *fields;
    return 0;
}

void lh_exchange_release(struct lh_exchange *ex)
{
    if (ex->response.state == LH_RESPONSE_NONE || ex->response.released)
        return;
    ex->response.released = true;
    tell_protocol(ex);
}

/* What a handler without an answer of its own stands for: `status`, unless it
 * was the client who kept it from answering, or the usual one is another. */
static unsigned blame(const struct lh_exchange *ex, unsigned status)
{
    if (ex->body_state == LH_BODY_TOO_LARGE)
        return 413;
    if (ex->body_state == LH_BODY_TIMEOUT)
        return 408;
    bool usual = ex->usual_status && (status == 200 || ex->blamed);
    return usual ? ex->usual_status : status;
}

void lh_exchange_blame_body(struct lh_exchange *ex, unsigned status)
{
    ex->usual_status = (uint16_t)status;
    ex->blamed = true;
}

void lh_exchange_forgive_body(struct lh_exchange *ex)
{
    if (!ex->blamed)
        return;
    ex->blamed = false;
    ex->usual_status = 0;
}

/* What an end without an answer is.  A 200 would say that a tunnel is there. */
static unsigned silent_status(const struct lh_exchange *ex)
{
    unsigned status = blame(ex, 200);

    return status == 200 && ex->request.extended_connect ? 501 : status;
}

/* A body that is shorter than its handler has declared cannot be sent as if
 * it were whole. */
void lh_exchange_end(struct lh_exchange *ex)
{
    struct lh_response *r = &ex->response;

    if (r->state >= LH_RESPONSE_ENDED)
        return;
    if (r->state == LH_RESPONSE_NONE && silent_status(ex) != 200) {
        lh_exchange_fail(ex, silent_status(ex));
        return;
    }
    if (r->state == LH_RESPONSE_NONE) {
        r->status = 200;
        r->no_body = ex->request.head;
    }
    r->state = LH_RESPONSE_ENDED;
    r->released = true;
    if (r->content_length != LH_LENGTH_UNKNOWN && !r->no_body && !ex->gone &&
        r->written < r->content_length)
        r->state = LH_RESPONSE_ABORTED;
    tell_protocol(ex);
}

/* The page is not copied: an answer of ours that nobody takes costs nothing. */
static void give_page(struct lh_exchange *ex)
{
    /* All but the first are for 426, which is said of WebSocket alone (RFC
     * 9110, 15.5.22; RFC 6455, 4.4). */
    static const struct lh_field fields[] = {
        {{"content-type", 12}, {"text/html; charset=utf-8", 24}},
        {{"connection", 10}, {"upgrade", 7}},
        {{"upgrade", 7}, {"websocket", 9}},
        {{"sec-websocket-version", 21}, {"13", 2}},
    };
    struct lh_response *r = &ex->response;
    struct lh_str page = lh_status_page(r->status);
    unsigned n = r->status == 426 ? 4 : 1;

    r->fields = (struct lh_fields){
        .v = (struct lh_field *)(uintptr_t)fields, .n = n, .room = n};
    for (unsigned i = 0; i < n; i++)
        r->fields.bytes += fields[i].name.n + fields[i].value.n + 32;
    r->written = page.n;
    if (r->no_body || ex->gone)
        return;
    r->lent = (const uint8_t *)page.p;
    r->lent_n = page.n;
    r->is_page = true;
}

void lh_exchange_fail(struct lh_exchange *ex, unsigned status)
{
    struct lh_response *r = &ex->response;

    if (r->state >= LH_RESPONSE_ENDED)
        return;
    if (r->head_left) {
        r->state = LH_RESPONSE_ABORTED;
        tell_protocol(ex);
        return;
    }
    drop_output(ex);
    r->trailers = (struct lh_fields){.n = 0};
    r->content_length = LH_LENGTH_UNKNOWN;
    if (status == 500)
        status = blame(ex, status);
    r->status = status;
    r->state = LH_RESPONSE_STARTED;
    r->no_body = ex->request.head || lh_status_has_no_body(status);
    give_page(ex);
    lh_exchange_end(ex);
}

void lh_exchange_want_body(struct lh_exchange *ex, bool wanted)
{
    if (ex->body_wanted == wanted)
        return;
    ex->body_wanted = wanted;
    tell_protocol(ex);
}

/* The protocol gives the client's window back, so it wants to know: also once
 * all of the body has come, for what waits of it holds other bodies back. */
size_t lh_exchange_read(struct lh_exchange *ex, void *out, size_t n)
{
    size_t taken = lh_buf_take(&ex->body, out, n);

    if (taken)
        tell_protocol(ex);
    return taken;
}

void lh_exchange_body_drop(struct lh_exchange *ex, size_t n)
{
    lh_buf_drop(&ex->body, n);
    if (n)
        tell_protocol(ex);
}

/* --- checks --------------------------------------------------------------- */

#if LHTTPD_CHECKS

/* What a response has, by its state. */
static void check_response(const struct lh_exchange *ex)
{
    const struct lh_response *r = &ex->response;

    assert(!(r->lent && r->source));
    assert((r->lent || r->source) == (r->lent_n > 0));
    assert((r->bytes.n > 0) == (r->bytes.head != NULL));
    assert(r->interim || r->interim_end == &r->interim);
    assert(r->content_length == LH_LENGTH_UNKNOWN ||
           r->written <= r->content_length);
    assert(lh_exchange_out_bytes(ex) <= r->written);
    assert(!r->no_body || lh_exchange_out_bytes(ex) == 0);
    assert(r->state != LH_RESPONSE_NONE || (!r->written && !r->head_left));
    assert(r->state != LH_RESPONSE_ENDED || r->released);
}

void lh_exchange_check(const struct lh_exchange *ex)
{
    assert(ex->owners == 1 || ex->owners == 2);
    assert(ex->owners == 2 || !(ex->protocol && ex->handler));
    assert((ex->body.n > 0) == (ex->body.head != NULL));
    assert(ex->accepted || !ex->over);
    check_response(ex);
    if (ex->connection_queued)
        assert(ex->response.bytes.n <= *ex->connection_queued);
    if (ex->gone)
        assert(ex->body_state != LH_BODY_OPEN &&
               lh_exchange_out_bytes(ex) == 0 && !ex->response.interim);
}

#endif
