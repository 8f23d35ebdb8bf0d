/*
 * The body of an HTTP/1 request: see h1_body.h.  Framing is read octet by
 * octet by a machine of states; data between is handed on in slices without
 * being looked at.
 */
#include "h1/h1_body.h"

#include "base/num.h"

void lh_h1_body_init(struct lh_h1_body *body, uint64_t length, unsigned fields)
{
    bool chunks = length == LH_LENGTH_UNKNOWN;

    *body = (struct lh_h1_body){
        .state = chunks ? LH_H1_BODY_SIZE : LH_H1_BODY_LENGTH,
        .left = chunks ? 0 : length,
        .fields = fields,
    };
    if (length == 0)
        body->state = LH_H1_BODY_WHOLE;
}

uint64_t lh_h1_body_left(const struct lh_h1_body *body)
{
    if (body->state == LH_H1_BODY_WHOLE)
        return 0;
    return body->state == LH_H1_BODY_LENGTH ? body->left : LH_LENGTH_UNKNOWN;
}

/* --- chunk lines, one octet at a time ------------------------------------- */

/* White space behind the size is for an extension only (RFC 9112, 7.1.1): there
 * are parsers that take other things for a part of the size. */
static bool blank_octet(struct lh_h1_body *b, char c)
{
    b->state = c == ';' ? LH_H1_BODY_EXT : LH_H1_BODY_BLANK;
    return c == ';' || c == ' ' || c == '\t';
}

/* At most 16 digits, so that the size fits into 64 bits and leading zeroes
 * cannot go on for ever. */
static bool size_octet(struct lh_h1_body *b, char c)
{
    int digit = lh_hex_digit(c);

    if (digit >= 0) {
        b->left = b->left << 4 | (unsigned)digit;
        return ++b->digits <= 16;
    }
    if (c == '\r')
        b->state = LH_H1_BODY_SIZE_LF;
    return b->digits > 0 && (c == '\r' || blank_octet(b, c));
}

/* Extensions are skipped (RFC 9112, 7.1.1), but no control character may hide
 * in one. */
static bool ext_octet(struct lh_h1_body *b, char c)
{
    unsigned char u = (unsigned char)c;

    if (c == '\r')
        b->state = LH_H1_BODY_SIZE_LF;
    return c == '\r' || c == '\t' || (u >= 0x20 && u != 0x7f);
}

/* The whole line of a chunk's size is limited by chunk_line_bytes, whatever
 * it consists of. */
static bool line_octet(struct lh_h1_body *b, uint64_t line_max, char c)
{
    if (c != '\r' && ++b->line_bytes > line_max)
        return false;
    if (b->state == LH_H1_BODY_SIZE)
        return size_octet(b, c);
    return b->state == LH_H1_BODY_BLANK ? blank_octet(b, c) : ext_octet(b, c);
}

static bool size_lf(struct lh_h1_body *b, char c)
{
    b->state = b->left ? LH_H1_BODY_DATA : LH_H1_BODY_TRAILERS;
    b->digits = 0;
    b->line_bytes = 0;
    return c == '\n';
}

/* An octet of framing; false: it cannot stand here. */
static bool framing_octet(struct lh_h1_body *b, uint64_t line_max, char c)
{
    switch (b->state) {
    case LH_H1_BODY_SIZE:
    case LH_H1_BODY_BLANK:
    case LH_H1_BODY_EXT:
        return line_octet(b, line_max, c);
    case LH_H1_BODY_SIZE_LF:
        return size_lf(b, c);
    case LH_H1_BODY_DATA_CR:
        b->state = LH_H1_BODY_DATA_LF;
        return c == '\r';
    case LH_H1_BODY_DATA_LF:
        b->state = LH_H1_BODY_SIZE;
        return c == '\n';
    case LH_H1_BODY_LENGTH:
    case LH_H1_BODY_DATA:
    case LH_H1_BODY_TRAILERS:
    case LH_H1_BODY_WHOLE:
        break;
    }
    return false;
}

/* --- trailers ------------------------------------------------------------- */

/* Fields about framing or routing are dropped from trailers: a handler might
 * merge them with the header section (RFC 9110, 6.5.1). */
static enum lh_h1_body_result trailer_line(struct lh_h1_body *b,
                                           struct lh_exchange *ex)
{
    struct lh_h1_line line = b->line;
    struct lh_str name, value;

    b->line = (struct lh_h1_line){.n = 0};
    if (line.n == 0) {
        b->state = LH_H1_BODY_WHOLE;
        return LH_H1_BODY_ENDS;
    }
    b->fields++;
    b->trailer_bytes += line.n;
    if (!ex)
        return LH_H1_BODY_MORE;
    if (!lh_h1_field_parse(line.p, line.n, &name, &value))
        return LH_H1_BODY_BAD;
    if (!lh_field_is_header_only(name) &&
        !lh_fields_add(&ex->request.trailers, &ex->arena, name, value))
        return LH_H1_BODY_MEMORY;
    return LH_H1_BODY_MORE;
}

static enum lh_h1_body_result
feed_trailers(struct lh_h1_body *b, const lhttpd_limits_t *limits,
              struct lh_exchange *ex, const uint8_t *p, size_t n, size_t *used)
{
    bool starts = b->line.n == 0 && !b->line.cr;

    *used = 0;
    if (starts && p[0] != '\r' && b->fields >= limits->header_fields)
        return LH_H1_BODY_BAD;
    switch (lh_h1_line_feed(
        &b->line, ex ? &ex->arena : NULL,
        lh_limit_left(limits->trailer_bytes, b->trailer_bytes), p, n, used)) {
    case LH_H1_LINE_MORE:
        return LH_H1_BODY_MORE;
    case LH_H1_LINE_WHOLE:
        return trailer_line(b, ex);
    case LH_H1_LINE_MEMORY:
        return LH_H1_BODY_MEMORY;
    case LH_H1_LINE_LONG:
    case LH_H1_LINE_BAD:
        break;
    }
    return LH_H1_BODY_BAD;
}

/* --- the whole ------------------------------------------------------------ */

static enum lh_h1_body_result body_data(struct lh_h1_body *b, const uint8_t *p,
                                        size_t n, size_t *used,
                                        struct lh_str *data)
{
    n = (size_t)lh_min64(n, b->left);
    *data = (struct lh_str){(const char *)p, n};
    *used += n;
    b->left -= n;
    if (b->left)
        return LH_H1_BODY_MORE;
    if (b->state == LH_H1_BODY_DATA) {
        b->state = LH_H1_BODY_DATA_CR;
        return LH_H1_BODY_MORE;
    }
    b->state = LH_H1_BODY_WHOLE;
    return LH_H1_BODY_ENDS;
}

/* Returns at the first slice of data, since its owner may have no room for
 * another. */
enum lh_h1_body_result lh_h1_body_feed(struct lh_h1_body *b,
                                       const lhttpd_limits_t *limits,
                                       struct lh_exchange *ex, const uint8_t *p,
                                       size_t n, size_t *used,
                                       struct lh_str *data)
{
    *used = 0;
    *data = (struct lh_str){NULL, 0};
    while (*used < n) {
        size_t k = 1;
        enum lh_h1_body_result result = LH_H1_BODY_MORE;
        if (b->state == LH_H1_BODY_LENGTH || b->state == LH_H1_BODY_DATA)
            return body_data(b, p + *used, n - *used, used, data);
        if (b->state == LH_H1_BODY_TRAILERS)
            result = feed_trailers(b, limits, ex, p + *used, n - *used, &k);
        else if (!framing_octet(b, limits->chunk_line_bytes, (char)p[*used]))
            result = LH_H1_BODY_BAD;
        if (result == LH_H1_BODY_BAD || result == LH_H1_BODY_MEMORY)
            return result;
        *used += k;
        if (result == LH_H1_BODY_ENDS)
            return result;
    }
    return LH_H1_BODY_MORE;
}
