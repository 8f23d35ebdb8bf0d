/*
 * Writing HTTP/1: see h1_out.h.  Everything is written at `at`, up to `end`;
 * what does not fit goes to the connection's queue, by way of a scratch
 * buffer where there is no lent one.
 */
#include "h1/h1_out.h"

#include "http/status.h"

void lh_h1_out_init(struct lh_h1_out *o, void *out, size_t room,
                    struct lh_buf *over)
{
    *o = (struct lh_h1_out){.at = out, .end = (char *)out + room, .over = over};
}

void lh_h1_out_to_queue(struct lh_h1_out *o, char *scratch, size_t n,
                        struct lh_buf *over)
{
    lh_h1_out_init(o, scratch, n, over);
    o->scratch = scratch;
}

static void queue_octets(struct lh_h1_out *o, const void *p, size_t n)
{
    /* After a failure nothing follows: what is there stays a beginning. */
    if (n && !o->failed && !lh_buf_append(o->over, p, n))
        o->failed = true;
}

void lh_h1_out_flush(struct lh_h1_out *o)
{
    queue_octets(o, o->scratch, (size_t)(o->at - o->scratch));
    o->at = o->scratch;
}

/* The lent buffer is filled to its last octet first, since what follows is
 * sent from the queue behind it. */
void lh_h1_put_over(struct lh_h1_out *o, const void *p, size_t n)
{
    size_t fits = (size_t)(o->end - o->at);

    if (o->scratch) {
        lh_h1_out_flush(o);
        queue_octets(o, p, n);
        return;
    }
    if (fits)
        memcpy(o->at, p, fits);
    o->at = o->end;
    queue_octets(o, (const char *)p + fits, n - fits);
}

/* The line of a 200 is a constant, for it is the usual one. */
void lh_h1_put_status(struct lh_h1_out *o, unsigned status)
{
    const char *phrase = lh_status_phrase(status);
    char code[20];

    if (status == 200) {
        lh_h1_put_str(o, LH_STR("HTTP/1.1 200 OK\r\n"));
        return;
    }
    lh_h1_put_str(o, LH_STR("HTTP/1.1 "));
    lh_h1_put(o, code, lh_u64_to_dec(code, status));
    lh_h1_put_str(o, LH_STR(" "));
    lh_h1_put(o, phrase, strlen(phrase));
    lh_h1_put_str(o, LH_STR("\r\n"));
}

/* In one go where it fits, which is nearly always: the check of the room is
 * made once for the line. */
void lh_h1_put_field(struct lh_h1_out *o, struct lh_str name,
                     struct lh_str value)
{
    size_t room = (size_t)(o->end - o->at);

    if (name.n + 4 > room || value.n > room - name.n - 4) {
        lh_h1_put_str(o, name);
        lh_h1_put_str(o, LH_STR(": "));
        lh_h1_put_str(o, value);
        lh_h1_put_str(o, LH_STR("\r\n"));
        return;
    }
    memcpy(o->at, name.p, name.n);
    memcpy(o->at + name.n, ": ", 2);
    o->at += name.n + 2;
    if (value.n)
        memcpy(o->at, value.p, value.n);
    memcpy(o->at + value.n, "\r\n", 2);
    o->at += value.n + 2;
}

static void put_fields(struct lh_h1_out *o, const struct lh_fields *fields)
{
    for (unsigned i = 0; i < fields->n; i++)
        lh_h1_put_field(o, fields->v[i].name, fields->v[i].value);
}

void lh_h1_put_interim(struct lh_h1_out *o, const struct lh_interim *interim)
{
    lh_h1_put_status(o, interim->status);
    put_fields(o, &interim->fields);
    lh_h1_put_str(o, LH_STR("\r\n"));
}

static void put_number_field(struct lh_h1_out *o, struct lh_str name,
                             uint64_t n)
{
    char digits[20];

    lh_h1_put_field(o, name, (struct lh_str){digits, lh_u64_to_dec(digits, n)});
}

/* What of a handler's fields changes what is added to them. */
struct seen {
    bool date, server, close;
};

static bool asks_for(struct lh_str value, struct lh_str option)
{
    struct lh_str element;

    while (lh_str_next_element(&value, &element)) {
        if (lh_str_equal_nocase(element, option))
            return true;
    }
    return false;
}

/* May this field of a handler be sent as it is? */
static bool passes_on(const struct lh_field *x, struct seen *seen)
{
    switch (x->name.n) {
    case 4:
        seen->date |= lh_str_equal_nocase(x->name, LH_STR("date"));
        return true;
    case 6:
        seen->server |= lh_str_equal_nocase(x->name, LH_STR("server"));
        return true;
    case 10:
        if (!lh_str_equal_nocase(x->name, LH_STR("connection")))
            return true;
        /* Whether the connection stays is said once, and by us. */
        seen->close |= asks_for(x->value, LH_STR("close"));
        return !seen->close && !asks_for(x->value, LH_STR("keep-alive"));
    case 17:
        return !lh_str_equal_nocase(x->name, LH_STR("transfer-encoding"));
    default:
        return true;
    }
}

/* Date is required of an origin server with a clock (RFC 9110, 6.6.1); server
 * may be turned off. */
static void put_own_fields(struct lh_h1_out *o, const struct lh_context *ctx,
                           const struct seen *seen)
{
    if (!seen->date)
        lh_h1_put_field(o, LH_STR("date"), lh_str_of(ctx->date));
    if (!seen->server && ctx->software[0])
        lh_h1_put_field(o, LH_STR("server"), lh_str_of(ctx->software));
}

/* Exactly one of length and chunks, or none where the connection's end is the
 * body's end. */
static void put_framing(struct lh_h1_out *o, const struct lh_h1_framing *f)
{
    if (f->content_length != LH_LENGTH_UNKNOWN)
        put_number_field(o, LH_STR("content-length"), f->content_length);
    else if (f->chunked)
        lh_h1_put_str(o, LH_STR("transfer-encoding: chunked\r\n"));
    if (f->close)
        lh_h1_put_str(o, LH_STR("connection: close\r\n"));
    else if (f->say_keep_alive)
        lh_h1_put_str(o, LH_STR("connection: keep-alive\r\n"));
    lh_h1_put_str(o, LH_STR("\r\n"));
}

void lh_h1_put_head(struct lh_h1_out *o, const struct lh_context *ctx,
                    const struct lh_response *r, struct lh_h1_framing *framing)
{
    struct seen seen = {false, false, false};

    lh_h1_put_status(o, r->status);
    for (unsigned i = 0; i < r->fields.n; i++) {
        const struct lh_field *x = &r->fields.v[i];
        if (passes_on(x, &seen))
            lh_h1_put_field(o, x->name, x->value);
    }
    framing->close |= seen.close;
    put_own_fields(o, ctx, &seen);
    put_framing(o, framing);
}

/* For errors the head is never the handler's, so nothing of it can leak into
 * the answer. */
void lh_h1_put_error(struct lh_h1_out *o, const struct lh_context *ctx,
                     unsigned status, struct lh_str page, bool no_body)
{
    struct lh_h1_framing framing = {.content_length = page.n, .close = true};
    struct seen seen = {false, false, false};

    lh_h1_put_status(o, status);
    lh_h1_put_str(o, LH_STR("content-type: text/html; charset=utf-8\r\n"));
    put_own_fields(o, ctx, &seen);
    put_framing(o, &framing);
    if (!no_body)
        lh_h1_put_str(o, page);
}

void lh_h1_put_chunk_size(struct lh_h1_out *o, uint64_t n)
{
    char text[18];
    size_t at = sizeof(text);

    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n);
    lh_h1_put(o, text + at, sizeof(text) - at);
}

void lh_h1_put_last_chunk(struct lh_h1_out *o, const struct lh_fields *trailers)
{
    lh_h1_put_str(o, LH_STR("0\r\n"));
    put_fields(o, trailers);
    lh_h1_put_str(o, LH_STR("\r\n"));
}
