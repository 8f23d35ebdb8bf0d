/*
 * libFuzzer: a WebSocket client's octets.  The first three say where the rest
 * is cut and how much is held at most.  Checked: that what is told does not
 * depend on how the input was cut, up to where a message is over its limit,
 * that no more is held than was asked for, that text is UTF-8, and that nothing
 * is read or written outside.
 */
#include "ws/ws_reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define LIMIT ((size_t)1 << 16)

/* A sum of all that was told, in its order. */
struct told {
    struct lh_ws_reader r;
    struct lh_utf8 utf8; /* of the first message, as far as it was taken */
    uint64_t sum;
    uint64_t part; /* of the first message alone, as far as it was taken */
};

/* An assert that release builds keep. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static void add_to(uint64_t *sum, const void *p, size_t n)
{
    const uint8_t *octets = p;

    for (size_t i = 0; i < n; i++)
        *sum = (*sum ^ octets[i]) * 0x100000001b3u;
}

static void add(struct told *t, const void *p, size_t n)
{
    add_to(&t->sum, p, n);
}

/* All of the first message that has come, so that a reader of pieces is told
 * the same as one of whole messages.  How much of a message is told that ends
 * in a fault does depend on the cuts, so it counts once it is whole. */
static void take_all(struct told *t)
{
    const struct lh_ws_message *m;

    while ((m = t->r.first) != NULL) {
        size_t n = m->n - m->at;
        bool whole = m->whole, text = m->text;
        if (n)
            add_to(&t->part, m->p + m->at, n);
        if (text && n)
            check(lh_utf8_feed(&t->utf8, m->p + m->at, n));
        lh_ws_take(&t->r, n);
        if (!whole)
            return;
        check(!text || lh_utf8_ends(&t->utf8));
        t->utf8 = (struct lh_utf8){0, 0, 0};
        add(t, &t->part, sizeof(t->part));
        add(t, text ? "t" : "b", 1);
        t->part = 0;
    }
}

/* What was taken of a message does not count towards its limit, so that one is
 * met or not as the cuts will have it: it is not told, and where it was met is
 * returned; else n is. */
static size_t feed(struct told *t, const uint8_t *p, size_t n, size_t most)
{
    size_t used, idle = 0;

    for (size_t at = 0; at < n; at += used) {
        enum lh_ws_event event =
            lh_ws_read(&t->r, p + at, n - at, most, LIMIT, &used);
        check(used <= n - at);
        idle = used ? 0 : idle + 1;
        check(idle < 3);
        check(t->r.held <= most || t->r.held - most <= LH_WS_MESSAGE_BYTES);
        take_all(t);
        if (event <= LH_WS_FULL)
            continue;
        if (event == LH_WS_FAULTY && t->r.code == LH_WS_TOO_LARGE)
            return at + used;
        uint8_t kind = (uint8_t)event;
        add(t, &kind, 1);
        add(t, t->r.control, t->r.control_n);
        if (event >= LH_WS_CLOSED)
            add(t, &t->r.code, sizeof(t->r.code));
        check(event != LH_WS_CLOSED || t->r.code == LH_WS_NO_CODE ||
              lh_ws_code_valid(t->r.code));
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct told whole = {.sum = 1}, cut = {.sum = 1};

    if (n < 4)
        return 0;
    size_t at = ((size_t)data[0] << 8 | data[1]) % (n - 3);
    size_t most = LH_WS_MESSAGE_BYTES + 1 + data[2];
    /* The one that is cut holds less of each message, so it goes further. */
    size_t to = feed(&whole, data + 3, n - 3, SIZE_MAX);
    at = at < to ? at : to;
    check(feed(&cut, data + 3, at, most) == at);
    check(feed(&cut, data + 3 + at, to - at, most) == to - at);
    check(whole.sum == cut.sum);
    feed(&cut, data + 3 + to, n - 3 - to, most);
    lh_ws_reader_deinit(&whole.r);
    lh_ws_reader_deinit(&cut.r);
    return 0;
}
