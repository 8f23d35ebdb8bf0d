/*
 * A client's messages: see ws_reader.h.
 *
 * What always holds: only the last message of the queue may be incomplete, and
 * it is so exactly while `open`; between two calls a head is in `small` or a
 * frame is in progress, never both.
 */
#include "ws/ws_reader.h"

#include "base/mem.h"
#include "base/num.h"

#include <string.h>

/* The first buffer of a message, and what one that grows slowly begins with. */
#define ROOM_LEAST ((size_t)64)

static enum lh_ws_event fail(struct lh_ws_reader *r, unsigned code,
                             const char *why)
{
    r->over = true;
    r->code = (uint16_t)code;
    r->why = why;
    r->control_n = 0;
    return LH_WS_FAULTY;
}

/* --- the queue ------------------------------------------------------------ */

static bool begin_message(struct lh_ws_reader *r, bool text)
{
    struct lh_ws_message *m = lh_calloc(1, sizeof(*m));

    if (!m)
        return false;
    m->text = text;
    if (r->last)
        r->last->next = m;
    else
        r->first = m;
    r->last = m;
    r->held += LH_WS_MESSAGE_BYTES;
    r->utf8 = (struct lh_utf8){0, 0, 0};
    return true;
}

/* Grows with what comes, not with what is announced: a head costs its client
 * nothing.  `to_come`: octets to the message's end, where that is known. */
static bool make_room(struct lh_ws_message *m, size_t n, uint64_t to_come)
{
    size_t have = m->n - m->at, room = m->room ? m->room : ROOM_LEAST;

    if (m->room - m->n >= n)
        return true;
    if (m->at) {
        memmove(m->p, m->p + m->at, have);
        m->n = have;
        m->at = 0;
    }
    while (room - m->n < n)
        room *= 2;
    if (to_come < room - m->n)
        room = m->n + (size_t)to_come;
    if (room <= m->room)
        return true;
    uint8_t *p = lh_realloc(m->p, room);
    if (!p)
        return false;
    m->p = p;
    m->room = room;
    return true;
}

static void drop_first(struct lh_ws_reader *r)
{
    struct lh_ws_message *m = r->first;

    r->first = m->next;
    if (!r->first)
        r->last = NULL;
    r->held -= m->n - m->at + LH_WS_MESSAGE_BYTES;
    lh_free(m->p);
    lh_free(m);
}

/* A buffer that was emptied is given back: its message may go on much later. */
void lh_ws_take(struct lh_ws_reader *r, size_t n)
{
    struct lh_ws_message *m = r->first;

    m->at += n;
    r->held -= n;
    if (m->at < m->n)
        return;
    if (m->whole) {
        drop_first(r);
        return;
    }
    lh_free(m->p);
    m->p = NULL;
    m->at = m->n = m->room = 0;
}

void lh_ws_reader_deinit(struct lh_ws_reader *r)
{
    while (r->first)
        drop_first(r);
    r->open = false;
    lh_free(r->control);
    r->control = NULL;
    r->control_n = 0;
}

/* --- control frames ------------------------------------------------------- */

/* A code and a reason, or nothing (5.5.1). */
static enum lh_ws_event take_close(struct lh_ws_reader *r)
{
    struct lh_utf8 utf8 = {0, 0, 0};
    unsigned code;

    if (r->control_n == 1)
        return fail(r, LH_WS_PROTOCOL_ERROR, "a close frame of one octet");
    r->code = LH_WS_NO_CODE;
    r->over = true;
    if (r->control_n == 0)
        return LH_WS_CLOSED;
    code = (unsigned)r->control[0] << 8 | r->control[1];
    if (!lh_ws_code_valid(code))
        return fail(r, LH_WS_PROTOCOL_ERROR, "a close code that none may send");
    r->control_n = (uint8_t)(r->control_n - 2);
    memmove(r->control, r->control + 2, r->control_n);
    if (!lh_utf8_feed(&utf8, r->control, r->control_n) || !lh_utf8_ends(&utf8))
        return fail(r, LH_WS_NOT_TEXT, "a close reason that is not UTF-8");
    r->code = (uint16_t)code;
    return LH_WS_CLOSED;
}

static enum lh_ws_event end_control(struct lh_ws_reader *r)
{
    r->in_frame = false;
    switch (r->head.opcode) {
    case LH_WS_PING:
        return LH_WS_PINGED;
    case LH_WS_PONG:
        return LH_WS_PONGED;
    default:
        return take_close(r);
    }
}

/* Most connections never see one that carries something. */
static enum lh_ws_event begin_control(struct lh_ws_reader *r)
{
    lh_free(r->control);
    r->control_n = 0;
    r->control = r->left ? lh_alloc((size_t)r->left) : NULL;
    if (r->left && !r->control)
        return fail(r, LH_WS_OUR_ERROR, "out of memory");
    return r->left ? LH_WS_MORE : end_control(r);
}

static enum lh_ws_event control_octets(struct lh_ws_reader *r, const uint8_t *p,
                                       size_t n)
{
    lh_ws_unmask(r->control + r->control_n, p, n, r->head.mask, r->control_n);
    r->control_n = (uint8_t)(r->control_n + n);
    r->left -= n;
    return r->left ? LH_WS_MORE : end_control(r);
}

/* --- data ----------------------------------------------------------------- */

static enum lh_ws_event end_data(struct lh_ws_reader *r)
{
    struct lh_ws_message *m = r->last;

    r->in_frame = false;
    if (!r->head.fin)
        return LH_WS_MORE;
    if (m->text && !lh_utf8_ends(&r->utf8))
        return fail(r, LH_WS_NOT_TEXT, "a text that ends inside a character");
    m->whole = true;
    r->open = false;
    return LH_WS_MORE;
}

/* Fragments of a message follow each other, with nothing but control frames
 * between them (5.4). */
static enum lh_ws_event begin_data(struct lh_ws_reader *r)
{
    bool continues = r->head.opcode == LH_WS_CONTINUATION;

    if (continues != r->open)
        return fail(r, LH_WS_PROTOCOL_ERROR,
                    continues ? "a continuation of nothing"
                              : "a message inside another one");
    if (!continues && !begin_message(r, r->head.opcode == LH_WS_TEXT))
        return fail(r, LH_WS_OUR_ERROR, "out of memory");
    r->open = true;
    return LH_WS_MORE;
}

static enum lh_ws_event take_ws_data(struct lh_ws_reader *r, const uint8_t *p,
                                     size_t n)
{
    struct lh_ws_message *m = r->last;

    if (!make_room(m, n, r->head.fin ? r->left : UINT64_MAX))
        return fail(r, LH_WS_OUR_ERROR, "out of memory");
    lh_ws_unmask(m->p + m->n, p, n, r->head.mask, r->head.length - r->left);
    if (m->text && !lh_utf8_feed(&r->utf8, m->p + m->n, n))
        return fail(r, LH_WS_NOT_TEXT, "a text that is not UTF-8");
    m->n += n;
    r->held += n;
    r->left -= n;
    return LH_WS_MORE;
}

/* --- octets to frames ----------------------------------------------------- */

/* Octet by octet, so that what is wrong is told at the first that is. */
static enum lh_ws_event take_ws_head(struct lh_ws_reader *r, uint8_t octet)
{
    const char *why;

    r->small[r->small_n++] = octet;
    int whole = lh_ws_head_get(&r->head, r->small, r->small_n, &why);
    if (whole < 0)
        return fail(r, LH_WS_PROTOCOL_ERROR, why);
    if (whole == 0)
        return LH_WS_MORE;
    r->small_n = 0;
    r->in_frame = true;
    r->left = r->head.length;
    return lh_ws_is_control(r->head.opcode) ? begin_control(r) : begin_data(r);
}

static bool is_over_limit(const struct lh_ws_reader *r, size_t limit)
{
    const struct lh_ws_message *m = r->last;

    return r->left > limit || m->n - m->at > limit - r->left;
}

/* An octet at least of the present frame, or its end. */
static enum lh_ws_event take_payload(struct lh_ws_reader *r, const uint8_t *p,
                                     size_t n, size_t most, size_t *used)
{
    n = (size_t)lh_min64(n, r->left);
    if (lh_ws_is_control(r->head.opcode)) {
        *used += n;
        return control_octets(r, p, n);
    }
    n = lh_min(n, most - r->held);
    *used += n;
    return take_ws_data(r, p, n);
}

static bool is_in_data(const struct lh_ws_reader *r)
{
    return r->in_frame && !lh_ws_is_control(r->head.opcode);
}

/* A frame of nothing needs no further octet to end. */
static enum lh_ws_event settle_data(struct lh_ws_reader *r, size_t limit)
{
    if (is_over_limit(r, limit))
        return fail(r, LH_WS_TOO_LARGE, "a message over its limit");
    return r->left ? LH_WS_MORE : end_data(r);
}

enum lh_ws_event lh_ws_read(struct lh_ws_reader *r, const uint8_t *p, size_t n,
                            size_t most, size_t limit, size_t *used)
{
    enum lh_ws_event event = LH_WS_MORE;

    *used = 0;
    while (event == LH_WS_MORE && !r->over) {
        if (is_in_data(r) && (event = settle_data(r, limit)) != LH_WS_MORE)
            return event;
        if (*used == n)
            return LH_WS_MORE;
        bool in_control = r->in_frame && !is_in_data(r);
        if (r->held >= most && !in_control)
            return LH_WS_FULL;
        if (r->in_frame)
            event = take_payload(r, p + *used, n - *used, most, used);
        else
            event = take_ws_head(r, p[(*used)++]);
    }
    if (r->over && event == LH_WS_MORE)
        *used = n;
    return event;
}
