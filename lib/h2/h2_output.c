/*
 * Output of an HTTP/2 connection.  Frames that need no window are encoded once
 * into the control buffer and copied out from there; a DATA frame is written
 * where it will be sent from, and only when the control buffer is empty.
 */
#include "h2/h2_parts.h"

#include <string.h>

/* DATA frames shorter than that are not worth their head, but to end a body. */
#define DATA_LEAST 1024

/* --- what a stream has to send -------------------------------------------- */

enum next { NOTHING, FRAMES, DATA };

static enum next next_of(const struct lh_h2_stream *s)
{
    const struct lh_exchange *ex = s->ex;
    const struct lh_response *r = &ex->response;
    size_t n;

    if (r->state == LH_RESPONSE_ABORTED || r->interim)
        return FRAMES;
    if (!r->head_left)
        return lh_exchange_head_ready(ex) ? FRAMES : NOTHING;
    if (lh_exchange_out_peek(ex, &n))
        return DATA;
    return lh_exchange_complete(ex) ? FRAMES : NOTHING;
}

void lh_h2_leave(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (!s->whole && lh_list_linked(&s->turn))
        lh_h2_send_leave(&c->send, s);
}

void lh_h2_line_up(struct lh_h2 *c, struct lh_h2_stream *s)
{
    if (s->whole || !lh_h2_stream_sends(s))
        return;
    switch (next_of(s)) {
    case FRAMES:
        lh_h2_leave(c, s);
        lh_list_append(&c->heads, &s->turn);
        return;
    case DATA:
        if (s->send_window > 0) {
            lh_h2_send_join(&c->send, s);
            return;
        }
        break;
    case NOTHING:
        break;
    }
    lh_h2_leave(c, s);
}

/* --- header blocks -------------------------------------------------------- */

/* A list of fields that is being made, in a stream's arena. */
struct list {
    struct lh_h2_nv *v;
    size_t n, room;
    uint64_t bytes; /* as the client's SETTINGS_MAX_HEADER_LIST_SIZE counts */
    bool failed;    /* no memory */
};

static void list_init(struct list *l, struct lh_arena *a, size_t room)
{
    *l = (struct list){.room = room};
    l->v = lh_arena_alloc(a, room * sizeof(*l->v));
    l->failed = !l->v;
}

static void add(struct list *l, struct lh_str name, struct lh_str value)
{
    if (l->failed || l->n == l->room)
        return;
    l->bytes += name.n + value.n + 32;
    l->v[l->n++] = (struct lh_h2_nv){name, value,
                                     lh_str_equal(name, LH_STR("set-cookie"))};
}

static struct lh_str lower(struct list *l, struct lh_arena *a,
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
        struct lh_str name = lower(l, a, fields->v[i].name);
        if (name.n && name.p[0] != ':' &&
            !lh_field_is_connection_specific(name))
            add(l, name, fields->v[i].value);
    }
}

/* The block's octets as one frame and as many CONTINUATIONs as it takes. */
static bool put_frames(struct lh_h2 *c, struct lh_h2_head h, const uint8_t *p,
                       size_t n)
{
    uint8_t head[LH_H2_HEAD_BYTES];

    for (;;) {
        size_t k = n < c->peer_frame ? n : c->peer_frame;
        if (k > LH_H2_FRAME_BYTES)
            k = LH_H2_FRAME_BYTES;
        h.length = (uint32_t)k;
        if (k == n)
            h.flags |= LH_H2_FLAG_END_HEADERS;
        lh_h2_head_put(head, &h);
        if (!lh_h2_put(c, head, sizeof(head)) || !lh_h2_put(c, p, k))
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
    size_t prefix = promised ? 4 : 0, used;
    size_t room = prefix + lh_h2_hpack_bound(l->v, l->n);

    if (room > sizeof(few) && !(block = lh_alloc(room))) {
        lh_h2_fail(c, LH_H2_INTERNAL_ERROR, "out of memory");
        return false;
    }
    if (promised)
        lh_h2_put_u32(block, promised);
    bool ok = lh_h2_hpack_encode(&c->hpack, l->v, l->n, block + prefix,
                                 room - prefix, &used) == LH_H2_HPACK_OK;
    if (ok)
        ok = put_frames(c, h, block, prefix + used);
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

/* Known if the handler said so, or has given all of it. */
static uint64_t length_of(const struct lh_exchange *ex)
{
    const struct lh_response *r = &ex->response;

    if (r->content_length != LH_LENGTH_UNKNOWN)
        return r->status == 204 ? LH_LENGTH_UNKNOWN : r->content_length;
    if (!lh_exchange_complete(ex) || r->status == 204 || r->status == 304 ||
        r->trailers.n || (ex->request.head && !r->written))
        return LH_LENGTH_UNKNOWN;
    return r->written;
}

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
    add(l, LH_STR(":status"), decimal(&ex->arena, r->status));
    if (!has_field(&r->fields, LH_STR("date")))
        add(l, LH_STR("date"), lh_str_of(ctx->date));
    if (software.n && !has_field(&r->fields, LH_STR("server")))
        add(l, LH_STR("server"), software);
    if (length != LH_LENGTH_UNKNOWN)
        add(l, LH_STR("content-length"), decimal(&ex->arena, length));
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

static void put_head(struct lh_h2 *c, struct lh_h2_stream *s)
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
    ex->response.head_left = true;
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
    add(&l, LH_STR(":status"), status);
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
static void put_end(struct lh_h2 *c, struct lh_h2_stream *s)
{
    struct lh_exchange *ex = s->ex;
    uint8_t frame[LH_H2_HEAD_BYTES];
    struct lh_h2_head h = {0, LH_H2_DATA, LH_H2_FLAG_END_STREAM, s->id};
    struct list l = {.n = 0};

    if (ex->response.trailers.n) {
        list_init(&l, &ex->arena, ex->response.trailers.n);
        add_fields(&l, &ex->arena, &ex->response.trailers);
    }
    if (l.n && !l.failed && l.bytes <= c->peer_list_bytes) {
        if (!put_block(c, headers_head(s, true), 0, &l))
            return;
    } else {
        lh_h2_head_put(frame, &h);
        if (!lh_h2_put(c, frame, sizeof(frame)))
            return;
    }
    lh_h2_local_ends(c, s);
}

/* --- pushes (8.4) --------------------------------------------------------- */

static bool may_push(const struct lh_h2 *c, const struct lh_h2_stream *s)
{
    return c->peer_push && !s->pushed && !c->goaway_got &&
           (c->life == LH_H2_SERVING || c->life == LH_H2_DRAINING) &&
           c->pushes_now < c->peer_streams &&
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
        add(&names, lower(&names, &s->ex->arena, fields->v[i].name),
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
    add(&l, LH_STR(":method"), q->method);
    add(&l, LH_STR(":scheme"), q->scheme);
    add(&l, LH_STR(":authority"), q->authority);
    add(&l, LH_STR(":path"), q->target);
    add_fields(&l, &s->ex->arena, &q->fields);
    if (l.failed || l.bytes > c->peer_list_bytes)
        return false;
    return put_block(c, h, s->id, &l);
}

/* A promise that cannot be kept is not made: the client then asks. */
static void push(struct lh_h2 *c, struct lh_h2_stream *from,
                 const struct lh_fields *fields)
{
    struct lh_h2_stream *s;

    if (!may_push(c, from) || !(s = lh_h2_open(c, c->last_push + 2)))
        return;
    c->last_push = s->id;
    lh_h2_stream_set(s, LH_H2_RESERVED);
    if (make_promised(c, from, s, fields) != LH_H2_REQUEST_OK ||
        !put_promise(c, from, s)) {
        if (s->state != LH_H2_CLOSED)
            lh_h2_close(c, s, LH_H2_PAST_RESET);
        return;
    }
    lh_exchange_body_end(s->ex, LH_BODY_ENDED);
    lh_h2_serve(c, s, 0);
}

/* --- pull ----------------------------------------------------------------- */

/* The next of a stream's frames that need no window. */
static void step(struct lh_h2 *c, struct lh_h2_stream *s)
{
    struct lh_exchange *ex = s->ex;
    struct lh_interim *interim;

    if (ex->response.state == LH_RESPONSE_ABORTED) {
        lh_h2_reset(c, s, LH_H2_INTERNAL_ERROR);
    } else if ((interim = lh_exchange_take_interim(ex)) != NULL) {
        if (interim->status == 0)
            push(c, s, &interim->fields);
        else if (!ex->response.head_left)
            put_informational(c, s, interim);
    } else if (!ex->response.head_left) {
        put_head(c, s);
    } else {
        put_end(c, s);
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How much body may go into a frame now. */
static size_t data_size(const struct lh_h2 *c, const struct lh_h2_stream *s)
{
    size_t n = least(lh_exchange_out_bytes(s->ex), LH_H2_FRAME_BYTES);
    int64_t window =
        s->send_window < c->send_window ? s->send_window : c->send_window;

    return (int64_t)n < window ? n : (size_t)window;
}

/* Writes a DATA frame with n octets of body. */
static size_t write_data(struct lh_h2 *c, struct lh_h2_stream *s, uint8_t *out,
                         size_t n)
{
    struct lh_exchange *ex = s->ex;
    struct lh_h2_head h = {(uint32_t)n, LH_H2_DATA, 0, s->id};
    size_t done = 0, k;

    while (done < n) {
        const uint8_t *p = lh_exchange_out_peek(ex, &k);
        k = least(k, n - done);
        memcpy(out + LH_H2_HEAD_BYTES + done, p, k);
        lh_exchange_out_drop(ex, k);
        done += k;
    }
    s->send_window -= (int64_t)n;
    c->send_window -= (int64_t)n;
    s->shut_due = LH_NEVER;
    c->update_credit += 2;
    lh_h2_mark(c, s);
    bool last = lh_exchange_complete(ex) && !lh_exchange_out_bytes(ex) &&
                !ex->response.trailers.n;
    if (last)
        h.flags = LH_H2_FLAG_END_STREAM;
    lh_h2_head_put(out, &h);
    lh_h2_send_served(&c->send, s, n);
    if (last)
        lh_h2_local_ends(c, s);
    return LH_H2_HEAD_BYTES + n;
}

/* Into a room that is too small a frame goes through the control buffer. */
static void data_through_control(struct lh_h2 *c, struct lh_h2_stream *s)
{
    uint8_t frame[LH_H2_HEAD_BYTES + DATA_LEAST];
    size_t n = least(data_size(c, s), DATA_LEAST);

    lh_h2_put(c, frame, write_data(c, s, frame, n));
}

/* One DATA frame; 0: none, or it is in the control buffer.  `first`: nothing
 * else is in the room yet. */
static size_t pull_data(struct lh_h2 *c, uint8_t *out, size_t room, bool first)
{
    struct lh_h2_stream *s = lh_h2_send_next(&c->send);
    size_t n = data_size(c, s);

    if (n == 0) {
        lh_h2_leave(c, s); /* what it had was taken back */
        return 0;
    }
    if (room >= LH_H2_HEAD_BYTES + least(n, DATA_LEAST))
        return write_data(c, s, out, least(n, room - LH_H2_HEAD_BYTES));
    if (first)
        data_through_control(c, s);
    return 0;
}

/* Encodes the frames of streams that have some, as long as not too much
 * waits. */
static void encode_heads(struct lh_h2 *c)
{
    struct lh_list *link;

    while (c->control.n < LH_H2_CONTROL_BYTES &&
           (link = lh_list_take(&c->heads)) != NULL) {
        struct lh_h2_stream *s = LH_OF(link, struct lh_h2_stream, turn);
        step(c, s);
        lh_h2_mark(c, s);
        lh_h2_look_through(c);
    }
}

size_t lh_h2_pull(void *vc, uint8_t *out, size_t room)
{
    struct lh_h2 *c = vc;
    size_t n = 0, k;

    do {
        lh_h2_look_through(c);
        encode_heads(c);
        n += lh_buf_take(&c->control, out + n, room - n);
        if (n == room || c->control.n)
            break;
        k = 0;
        if (c->send_window > 0 && !lh_h2_send_empty(&c->send))
            k = pull_data(c, out + n, room - n, n == 0);
        n += k;
    } while (k || c->control.n || !lh_list_empty(&c->news));
    lh_h2_look_through(c);
    return n;
}
