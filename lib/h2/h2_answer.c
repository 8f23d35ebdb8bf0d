/*
 * Header sections that an HTTP/2 connection sends: of responses, informational
 * ones, trailers and promises (RFC 9113, 8.1 to 8.4).  They are encoded when it
 * is their stream's turn and not before, so that what waits stays small.
 */
#include "h2/h2_answer.h"

#include "base/num.h"

/* --- header blocks -------------------------------------------------------- */

#define LIST_FEW 16

/* A list of fields that is being made: a long one is in a stream's arena. */
struct list {
    struct lh_h2_nv *v;
    size_t n, room;
    uint64_t bytes; /* as the client's SETTINGS_MAX_HEADER_LIST_SIZE counts */
    bool failed;    /* no memory */
    struct lh_h2_nv few[LIST_FEW];
};

/* The list has room for all that may be added, so that adding never fails. */
static void list_init(struct list *l, struct lh_arena *a, size_t room)
{
    l->v = l->few;
    l->n = 0;
    l->room = room;
    l->bytes = 0;
    if (room > LIST_FEW)
        l->v = lh_arena_alloc(a, room * sizeof(*l->v));
    l->failed = !l->v;
}

static void list_add(struct list *l, struct lh_str name, struct lh_str value)
{
    if (l->failed || l->n == l->room)
        return;
    l->bytes += name.n + value.n + 32;
    l->v[l->n++] = (struct lh_h2_nv){name, value,
                                     lh_str_equal(name, LH_STR("set-cookie"))};
}

/* Names are sent in lower case (RFC 9113, 8.2); one that is so already is not
 * copied. */
static struct lh_str lower_case_name(struct list *l, struct lh_arena *a,
                                     struct lh_str name)
{
    size_t i = 0;

    while (i < name.n && name.p[i] == lh_lower(name.p[i]))
        i++;
    if (i == name.n)
        return name;
    char *own = lh_arena_alloc(a, name.n);
    if (!own) {
        l->failed = true;
        return name;
    }
    for (i = 0; i < name.n; i++)
        own[i] = lh_lower(name.p[i]);
    return (struct lh_str){own, name.n};
}

/* Those that are about one connection stay behind (8.2.2). */
static void add_fields(struct list *l, struct lh_arena *a,
                       const struct lh_fields *fields)
{
    for (unsigned i = 0; i < fields->n; i++) {
        struct lh_str name = lower_case_name(l, a, fields->v[i].name);
        if (name.n && name.p[0] != ':' &&
            !lh_field_is_connection_specific(name))
            list_add(l, name, fields->v[i].value);
    }
}

/* The block's octets as one frame and as many CONTINUATIONs as it takes.  What
 * is in front of them makes room for the frames' heads. */
static bool put_frames(struct lh_h2 *c, struct lh_h2_head h, uint8_t *p,
                       size_t n)
{
    for (;;) {
        size_t k = lh_min(n, lh_min(c->peer_frame, LH_H2_FRAME_BYTES));
        h.length = (uint32_t)k;
        if (k == n)
            h.flags |= LH_H2_FLAG_END_HEADERS;
        lh_h2_head_put(p - LH_H2_HEAD_BYTES, &h);
        if (!lh_h2_queue_frame(c, p - LH_H2_HEAD_BYTES, LH_H2_HEAD_BYTES + k))
            return false;
        if (k == n)
            return true;
        p += k;
        n -= k;
        h.type = LH_H2_CONTINUATION;
        h.flags = 0;
    }
}

#define BLOCK_ON_STACK 2048

/* Encodes and queues; `promised` goes in front in a PUSH_PROMISE.  False: the
 * connection has ended, for then the tables are not in step any more. */
static bool put_block(struct lh_h2 *c, struct lh_h2_head h, uint32_t promised,
                      const struct list *l)
{
    uint8_t few[BLOCK_ON_STACK], *block = few;
    size_t from = LH_H2_HEAD_BYTES + (promised ? 4 : 0), used;
    size_t room = from + lh_h2_hpack_bound(l->v, l->n);

    if (room > sizeof(few) && !(block = lh_alloc(room))) {
        lh_h2_fail(c, LH_H2_INTERNAL_ERROR, "out of memory");
        return false;
    }
    if (promised)
        lh_h2_put_u32(block + LH_H2_HEAD_BYTES, promised);
    bool ok = lh_h2_hpack_encode(&c->hpack, l->v, l->n, block + from,
                                 room - from, &used) == LH_H2_HPACK_OK;
    if (ok)
        ok = put_frames(c, h, block + LH_H2_HEAD_BYTES,
                        from - LH_H2_HEAD_BYTES + used);
    else
        lh_h2_fail(c, LH_H2_INTERNAL_ERROR, "out of memory");
    if (block != few)
        lh_free(block);
    return ok;
}

/* --- responses ------------------------------------------------------------ */

static struct lh_str decimal(struct lh_arena *a, uint64_t value)
{
    char digits[20];

    return lh_arena_copy(a, digits, lh_u64_to_dec(digits, value));
}

static struct lh_str status_text(struct lh_arena *a, unsigned status)
{
    return status == 200 ? LH_STR("200") : decimal(a, status);
}

/* Known if the handler said so, or has given all of it.  A tunnel has none (RFC
 * 9110, 9.3.6). */
static uint64_t length_of(const struct lh_exchange *ex)
{
    const struct lh_response *r = &ex->response;

    if (ex->upgraded)
        return LH_LENGTH_UNKNOWN;
    if (r->content_length != LH_LENGTH_UNKNOWN)
        return r->status == 204 ? LH_LENGTH_UNKNOWN : r->content_length;
    if (!lh_exchange_complete(ex) || r->status == 204 || r->status == 304 ||
        r->trailers.n || (ex->request.head && !r->written))
        return LH_LENGTH_UNKNOWN;
    return r->written;
}

/* In any case of letters, as handlers write it. */
static bool has_field(const struct lh_fields *fields, struct lh_str name)
{
    for (unsigned i = 0; i < fields->n; i++) {
        if (lh_str_equal_nocase(fields->v[i].name, name))
            return true;
    }
    return false;
}

static void make_head(struct list *l, struct lh_exchange *ex)
{
    const struct lh_context *ctx = ex->ctx;
    const struct lh_response *r = &ex->response;
    struct lh_str software = lh_str_of(ctx->software);
    uint64_t length = length_of(ex);

    list_init(l, &ex->arena, r->fields.n + 4);
    list_add(l, LH_STR(":status"), status_text(&ex->arena, r->status));
    if (!has_field(&r->fields, LH_STR("date")))
        list_add(l, LH_STR("date"), lh_str_of(ctx->date));
    if (software.n && !has_field(&r->fields, LH_STR("server")))
        list_add(l, LH_STR("server"), software);
    if (length != LH_LENGTH_UNKNOWN)
        list_add(l, LH_STR("content-length"), decimal(&ex->arena, length));
    add_fields(l, &ex->arena, &r->fields);
    for (size_t i = 0; i < l->n && !l->failed; i++)
        l->failed = !l->v[i].value.p && l->v[i].value.n;
}

static struct lh_h2_head headers_head(const struct lh_h2_stream *s,
                                      bool end_stream)
{
    return (struct lh_h2_head){
        .type = LH_H2_HEADERS,
        .flags = end_stream ? LH_H2_FLAG_END_STREAM : 0,
        .stream = s->id,
    };
}

/* With END_STREAM where nothing follows, which spares an empty DATA frame. */
void lh_h2_send_head(struct lh_h2 *c, struct lh_h2_stream *s)
{
    struct lh_exchange *ex = s->ex;
    struct list l;
    bool last = lh_exchange_complete(ex) && !lh_exchange_out_bytes(ex) &&
                !ex->response.trailers.n;

    make_head(&l, ex);
    if (l.failed || l.bytes > c->peer_list_bytes) {
        lh_h2_reset(c, s, LH_H2_INTERNAL_ERROR);
        return;
    }
    if (s->state == LH_H2_RESERVED)
        lh_h2_stream_set(s, LH_H2_HALF_REMOTE);
    if (!put_block(c, headers_head(s, last), 0, &l))
        return;
    lh_exchange_head_leaves(ex);
    if (last)
        lh_h2_local_ends(c, s);
}

/* Informational responses that the client has no room for are dropped. */
static void put_informational(struct lh_h2 *c, struct lh_h2_stream *s,
                              const struct lh_interim *interim)
{
    struct lh_arena *a = &s->ex->arena;
    struct list l;

    list_init(&l, a, interim->fields.n + 1);
    struct lh_str status = decimal(a, interim->status);
    list_add(&l, LH_STR(":status"), status);
    add_fields(&l, a, &interim->fields);
    if (!l.failed && status.p && l.bytes <= c->peer_list_bytes)
        put_block(c, headers_head(s, false), 0, &l);
}

void lh_h2_send_continue(struct lh_h2 *c, struct lh_h2_stream *s)
{
    const struct lh_interim interim = {.status = 100};

    s->expects_continue = false;
    if (!s->ex->response.head_left && s->state == LH_H2_OPEN)
        put_informational(c, s, &interim);
}

/* Trailers, or nothing but the end. */
void lh_h2_send_end(struct lh_h2 *c, struct lh_h2_stream *s)
{
    struct lh_exchange *ex = s->ex;
    uint8_t frame[LH_H2_HEAD_BYTES];
    struct lh_h2_head h = {0, LH_H2_DATA, LH_H2_FLAG_END_STREAM, s->id};
    struct list l;

    list_init(&l, &ex->arena, ex->response.trailers.n);
    add_fields(&l, &ex->arena, &ex->response.trailers);
    if (l.n && !l.failed && l.bytes <= c->peer_list_bytes) {
        if (!put_block(c, headers_head(s, true), 0, &l))
            return;
    } else {
        lh_h2_head_put(frame, &h);
        if (!lh_h2_queue_frame(c, frame, sizeof(frame)))
            return;
    }
    lh_h2_local_ends(c, s);
}

/* --- pushes (8.4) --------------------------------------------------------- */

/* Each starts a handler, for a request that cost its client nothing. */
#define PUSHES_AT_ONCE 16

/* Could a pushed response leave now? */
static bool windows_are_open(const struct lh_h2 *c)
{
    return c->peer_window > 0 && c->send_window > 0 &&
           c->queued - c->header_bytes <
               c->ctx->limits->connection_buffer_bytes;
}

/* Only for requests of the client's own, while it allows and its windows let
 * the response leave (RFC 9113, 8.4). */
static bool may_push(const struct lh_h2 *c, const struct lh_h2_stream *s)
{
    return c->peer_push && !s->pushed && !c->goaway_got &&
           (c->life == LH_H2_SERVING || c->life == LH_H2_DRAINING) &&
           windows_are_open(c) && c->pushes_now < c->peer_streams &&
           c->pushes_now < PUSHES_AT_ONCE &&
           c->pushes_now < c->ctx->limits->h2_streams &&
           c->last_push < LH_H2_STREAM_MAX - 2;
}

static void read_field(struct lh_h2_reader *r, struct lh_str name,
                       struct lh_str value, bool pseudo)
{
    if ((name.n && name.p[0] == ':') == pseudo)
        lh_h2_reader_field(r, name, value);
}

/* The promised request: what the handler gave, with pseudo-fields first and
 * those that are missing taken from the request that is being answered. */
static int make_promised(struct lh_h2 *c, struct lh_h2_stream *from,
                         struct lh_h2_stream *s, const struct lh_fields *fields)
{
    const struct lh_request *parent = &from->ex->request;
    struct lh_request *q = &s->ex->request;
    struct lh_h2_reader r;
    struct list names;

    lh_h2_reader_init(&r, q, &s->ex->arena, c->ctx->limits, false);
    list_init(&names, &s->ex->arena, fields->n + 1);
    for (unsigned i = 0; i < fields->n && !names.failed; i++)
        list_add(&names,
                 lower_case_name(&names, &s->ex->arena, fields->v[i].name),
                 fields->v[i].value);
    if (names.failed)
        return LH_H2_REQUEST_MEMORY;
    for (int pseudo = 1; pseudo >= 0; pseudo--) {
        for (size_t i = 0; i < names.n; i++)
            read_field(&r, names.v[i].name, names.v[i].value, pseudo);
        if (!q->method.p)
            q->method = LH_STR("GET");
        if (!q->scheme.p)
            lh_h2_reader_field(&r, LH_STR(":scheme"), parent->scheme);
        if (!q->authority.p && !r.regular)
            lh_h2_reader_field(&r, LH_STR(":authority"), parent->authority);
    }
    if (r.priority.p)
        lh_h2_priority_parse(r.priority, &s->urgency, &s->incremental);
    int verdict = lh_h2_reader_finish(&r);
    if (verdict == LH_H2_REQUEST_OK && !q->head &&
        !lh_str_equal(q->method, LH_STR("GET")))
        verdict = LH_H2_REQUEST_MALFORMED; /* only safe ones without a body */
    return verdict;
}

static bool put_promise(struct lh_h2 *c, struct lh_h2_stream *from,
                        struct lh_h2_stream *s)
{
    const struct lh_request *q = &s->ex->request;
    struct lh_h2_head h = {.type = LH_H2_PUSH_PROMISE, .stream = from->id};
    struct list l;

    list_init(&l, &s->ex->arena, q->fields.n + 4);
    list_add(&l, LH_STR(":method"), q->method);
    list_add(&l, LH_STR(":scheme"), q->scheme);
    list_add(&l, LH_STR(":authority"), q->authority);
    list_add(&l, LH_STR(":path"), q->target);
    add_fields(&l, &s->ex->arena, &q->fields);
    if (l.failed || l.bytes > c->peer_list_bytes)
        return false;
    return put_block(c, h, s->id, &l);
}

/* A promise that cannot be kept is not made: the client then asks. */
static void send_push(struct lh_h2 *c, struct lh_h2_stream *from,
                      const struct lh_fields *fields)
{
    struct lh_h2_stream *s;

    if (!may_push(c, from) || !(s = lh_h2_open(c, c->last_push + 2)))
        return;
    c->last_push = s->id;
    lh_h2_stream_set(s, LH_H2_RESERVED);
    lh_exchange_set_peer(s->ex, lh_peer_hold(from->ex->peer));
    if (make_promised(c, from, s, fields) != LH_H2_REQUEST_OK ||
        !put_promise(c, from, s)) {
        if (s->state != LH_H2_CLOSED)
            lh_h2_close(c, s, LH_H2_PAST_RESET);
        return;
    }
    lh_exchange_body_end(s->ex, LH_BODY_ENDED);
    lh_h2_serve(c, s, 0);
}

void lh_h2_send_interim(struct lh_h2 *c, struct lh_h2_stream *s,
                        const struct lh_interim *interim)
{
    if (interim->status == 0)
        send_push(c, s, &interim->fields);
    else if (!s->ex->response.head_left)
        put_informational(c, s, interim);
}
