/*
 * libFuzzer: forms with files.  The first two octets say where the rest is cut;
 * then the content-type, up to a newline, and the body.  Checked: that what is
 * told of whole parts does not depend on how the input was cut, that limits
 * hold, and that nothing is read or written outside.
 */
#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct lh_multipart_limits limits = {20, 300, 40, 2000};

/* A sum of all that was told, in its order. */
struct told {
    struct lh_multipart m;
    uint64_t sum;
    uint64_t part; /* of the part that is under way */
};

/* An assert that release builds keep. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static void add_to(uint64_t *sum, struct lh_str s)
{
    for (size_t i = 0; i < s.n; i++)
        *sum = (*sum ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    *sum = (*sum ^ s.n) * 0x100000001b3u;
}

static void add_octets(uint64_t *sum, struct lh_str s)
{
    for (size_t i = 0; i < s.n; i++)
        *sum = (*sum ^ (uint8_t)s.p[i]) * 0x100000001b3u;
}

static void add_event(struct told *t, enum lh_multipart_event event)
{
    const struct lh_multipart *m = &t->m;

    check(m->parts <= limits.parts && m->head_n <= limits.header_bytes);
    if (event == LH_MULTIPART_PART) {
        check(m->name.p && m->name.n <= limits.name_bytes);
        check(m->filename.n <= limits.name_bytes);
        t->part = 1;
        add_to(&t->part, m->name);
        add_to(&t->part, m->filename);
        add_to(&t->part, m->type);
    } else if (event == LH_MULTIPART_DATA) {
        check(m->data.n > 0 && m->part_bytes <= limits.part_bytes);
        add_octets(&t->part, m->data);
    } else if (event == LH_MULTIPART_PART_END) {
        add_to(&t->sum, (struct lh_str){(char *)&t->part, sizeof(t->part)});
    } else if (event != LH_MULTIPART_MORE) {
        add_to(&t->sum, lh_str_of(event == LH_MULTIPART_END ? "end" : m->why));
    }
}

/* Returns whether it is over. */
static bool feed(struct told *t, const uint8_t *p, size_t n)
{
    enum lh_multipart_event event = LH_MULTIPART_MORE;
    size_t used, idle = 0;

    for (size_t at = 0; at < n && event < LH_MULTIPART_END; at += used) {
        event = lh_multipart_read(&t->m, p + at, n - at, &used);
        check(used <= n - at);
        idle = used ? 0 : idle + 1;
        check(idle < 3);
        add_event(t, event);
    }
    return event >= LH_MULTIPART_END;
}

static void finish(struct told *t)
{
    enum lh_multipart_event event = LH_MULTIPART_MORE;

    for (int i = 0; event < LH_MULTIPART_END; i++) {
        check(i < 2);
        event = lh_multipart_finish(&t->m);
        add_event(t, event);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct told whole = {.sum = 1}, cut = {.sum = 1}, single = {.sum = 1};
    const uint8_t *line;

    if (n < 3 || !(line = memchr(data + 2, '\n', n - 2)))
        return 0;
    struct lh_str type = {(const char *)data + 2, (size_t)(line - data) - 2};
    const uint8_t *body = line + 1;
    n -= type.n + 3;
    if (!lh_multipart_init(&whole.m, type, &limits))
        return 0;
    check(lh_multipart_init(&cut.m, type, &limits));
    check(lh_multipart_init(&single.m, type, &limits));
    size_t at = ((size_t)data[0] << 8 | data[1]) % (n + 1);
    if (!feed(&whole, body, n))
        finish(&whole);
    if (!feed(&cut, body, at) && !feed(&cut, body + at, n - at))
        finish(&cut);
    bool over = false;
    for (size_t i = 0; i < n && !over; i++)
        over = feed(&single, body + i, 1);
    if (!over)
        finish(&single);
    check(whole.sum == cut.sum && whole.sum == single.sum);
    lh_multipart_deinit(&whole.m);
    lh_multipart_deinit(&cut.m);
    lh_multipart_deinit(&single.m);
    return 0;
}
