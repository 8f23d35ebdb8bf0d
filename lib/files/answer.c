/*
 * The header of an answer: see serving.h.  The file is open, and what it is
 * decides: whether the client's conditions hold, which of its octets are asked
 * for, what is said of it.
 *
 * What always holds: the length that is said is that of the open file when the
 * request looked at it, whatever it becomes later; the body is cut rather than
 * shorter than that.
 */
#include "files/serving.h"

#include "http/conditional.h"
#include "http/status.h"
#include "os/clock.h"
#include "os/entropy.h"

/* The size, seconds, nanoseconds and inode of a file, in hex. */
#define ETAG_BYTES     (sizeof("W/\"-.-\"") - 1 + 16 + 16 + 8 + 16)
#define BOUNDARY_BYTES 32
#define YOUNG_S        2 /* the file may change again without a new time */

/* A header that is made; it fails once memory does. */
struct head {
    struct lh_serving *s;
    struct lh_fields fields;
    bool failed;
};

/* A value without octets at all (.p NULL) is one that memory lacked for. */
static void add(struct head *h, struct lh_str name, struct lh_str value)
{
    if (!value.p || !lh_fields_add(&h->fields, &h->s->ex->arena, name, value))
        h->failed = true;
}

/* Of an option, which may be none. */
static void add_if(struct head *h, struct lh_str name, struct lh_str value)
{
    if (value.p)
        add(h, name, value);
}

/* The protocol writes the header later, when nothing of ours may be left. */
static struct lh_str keep(struct lh_serving *s, const char *p, size_t n)
{
    return lh_arena_copy(&s->ex->arena, p, n);
}

static void add_number(struct head *h, struct lh_str name, uint64_t value)
{
    char digits[20];

    add(h, name, keep(h->s, digits, lh_u64_to_dec(digits, value)));
}

static void add_content_range(struct head *h, struct lh_range range)
{
    char text[LH_CONTENT_RANGE_BYTES];
    size_t n = lh_content_range(text, range, h->s->file->found.size);

    add(h, LH_STR("content-range"), keep(h->s, text, n));
}

/* A header that lacks a field is not sent: it would say something else. */
static void start(struct head *h, unsigned status)
{
    if (h->failed || lh_exchange_start(h->s->ex, status, &h->fields) < 0)
        lh_serving_fail(h->s, 503);
}

/* --- validators ----------------------------------------------------------- */

/* Without zeroes in front: tags are short, as clients send them back. */
static char *put_hex(char *out, uint64_t value)
{
    char digits[16];
    size_t n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    while (n)
        *out++ = digits[--n];
    return out;
}

/* Weak while another change might get the same time. */
static struct lh_str make_etag(struct lh_serving *s, int64_t now_s)
{
    const struct lh_found *found = &s->file->found;
    char text[ETAG_BYTES], *at = text;

    if (found->modified_s > now_s - YOUNG_S) {
        *at++ = 'W';
        *at++ = '/';
    }
    *at++ = '"';
    at = put_hex(at, found->size);
    *at++ = '-';
    at = put_hex(at, (uint64_t)found->modified_s);
    *at++ = '.';
    at = put_hex(at, found->modified_ns);
    *at++ = '-';
    at = put_hex(at, found->inode);
    *at++ = '"';
    return keep(s, text, (size_t)(at - text));
}

/* What is said of the file whatever the status: caches keep pages of errors,
 * too. */
static void add_told(struct head *h)
{
    const struct lh_files_options *options = h->s->options;

    add_if(h, LH_STR("cache-control"), options->cache_control);
    if (h->s->coding != LH_CODING_IDENTITY)
        add(h, LH_STR("vary"), LH_STR("accept-encoding"));
    for (unsigned i = 0; i < options->fields.n; i++)
        add(h, options->fields.v[i].name, options->fields.v[i].value);
}

/* What 200, 206 and 304 say alike.  A time in the future is not sent: to
 * clients it would be now (RFC 9110, 8.8.2.1). */
static void add_common(struct head *h, const struct lh_validators *v)
{
    char date[30];

    lh_clock_imf_date(v->modified_s, date);
    add(h, LH_STR("last-modified"), keep(h->s, date, 29));
    add(h, LH_STR("etag"), v->etag);
    add_told(h);
}

/* --- what is sent --------------------------------------------------------- */

static void set_part(struct lh_serving *s, struct lh_range range)
{
    s->at = range.from;
    s->left = range.n;
}

/* The length of the body, with what stands between the parts; false: memory
 * lacked for a part of that. */
static bool parts_length(struct lh_serving *s, uint64_t *length)
{
    const struct lh_ranges *ranges = s->ranges;
    uint64_t size = s->file->found.size;

    *length = 0;
    for (unsigned i = 0; i <= ranges->n; i++) {
        const struct lh_range *range = i < ranges->n ? &ranges->v[i] : NULL;
        struct lh_str delimiter = lh_range_delimiter(&s->ex->arena, s->boundary,
                                                     s->type, range, size);
        if (!delimiter.p)
            return false;
        *length += delimiter.n + (range ? range->n : 0);
    }
    return true;
}

/* A boundary that nobody has put into the file. */
static bool make_boundary(struct lh_serving *s)
{
    uint8_t octets[BOUNDARY_BYTES / 2];
    char text[BOUNDARY_BYTES];

    if (lh_entropy(octets, sizeof(octets)) < 0)
        return false;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "0123456789abcdef"[octets[i / 2] >> (i % 2 * 4) & 15];
    s->boundary = keep(s, text, sizeof(text));
    return s->boundary.p != NULL;
}

/* The parts are begun by the body (body.c). */
static void add_parts(struct head *h, const struct lh_ranges *ranges)
{
    struct lh_serving *s = h->s;
    struct lh_arena *arena = &s->ex->arena;
    uint64_t length;

    s->ranges = lh_arena_alloc(arena, sizeof(*ranges));
    if (s->ranges)
        *s->ranges = *ranges;
    if (!s->ranges || !make_boundary(s) || !parts_length(s, &length)) {
        h->failed = true;
        return;
    }
    struct lh_str parts[] = {LH_STR("multipart/byteranges; boundary="),
                             s->boundary};
    add(h, LH_STR("content-type"), lh_arena_join(arena, parts, 2));
    add_number(h, LH_STR("content-length"), length);
}

/* One range is the body; several are parts of it, each with a header. */
static void add_ranges(struct head *h, const struct lh_ranges *ranges)
{
    if (ranges->n > 1) {
        add_parts(h, ranges);
        return;
    }
    set_part(h->s, ranges->v[0]);
    add(h, LH_STR("content-type"), h->s->type);
    add_content_range(h, ranges->v[0]);
    add_number(h, LH_STR("content-length"), ranges->v[0].n);
}

/* 200 or 206. */
static void begin_body(struct head *h, const struct lh_ranges *ranges)
{
    struct lh_serving *s = h->s;

    if (ranges->n) {
        add_ranges(h, ranges);
    } else {
        set_part(s, (struct lh_range){0, s->file->found.size});
        add(h, LH_STR("content-type"), s->type);
        add_number(h, LH_STR("content-length"), s->file->found.size);
    }
    if (s->coding != LH_CODING_IDENTITY)
        add(h, LH_STR("content-encoding"), lh_coding_name(s->coding));
    add_if(h, LH_STR("content-disposition"), s->options->disposition);
    if (!s->options->status)
        add(h, LH_STR("accept-ranges"), LH_STR("bytes"));
    s->state = LH_SERVING_BODY;
    start(h, s->options->status ? s->options->status : ranges->n ? 206 : 200);
}

/* --- errors with fields --------------------------------------------------- */

/* With the page of the status, as all errors have it. */
static void end_with_page(struct head *h, unsigned status)
{
    struct lh_serving *s = h->s;
    struct lh_str page = lh_status_page(status);

    add(h, LH_STR("content-type"), LH_STR("text/html; charset=utf-8"));
    start(h, status);
    if (s->state == LH_SERVING_ENDED)
        return;
    s->state = LH_SERVING_ENDED;
    if (lh_exchange_write(s->ex, page.p, page.n) < 0)
        lh_exchange_fail(s->ex, 503);
    else
        lh_exchange_end(s->ex);
}

void lh_answer_method(struct lh_serving *s)
{
    struct head h = {.s = s};

    add(&h, LH_STR("allow"), LH_STR("GET, HEAD"));
    end_with_page(&h, 405);
}

/* What a cache needs to go on with what it has (RFC 9110, 15.4.5); no type and
 * no length. */
static void end_not_modified(struct head *h, const struct lh_validators *v)
{
    add_common(h, v);
    start(h, 304);
    h->s->state = LH_SERVING_ENDED;
    lh_exchange_end(h->s->ex);
}

/* Ranges are for GET alone (RFC 9110, 14.2). */
static enum lh_range_result find_ranges(const struct lh_serving *s,
                                        struct lh_ranges *ranges,
                                        const struct lh_validators *v,
                                        int64_t now_s)
{
    const struct lh_request *request = &s->ex->request;

    ranges->n = 0;
    if (request->head || !lh_condition_allows_range(request, v, now_s))
        return LH_RANGE_WHOLE;
    return lh_ranges_parse(ranges, &request->fields, s->file->found.size);
}

/* In the order of RFC 9110, 13.2.2: conditions first, then ranges.  A page of
 * an error has a status of its own, which neither must change. */
void lh_answer_begin(struct lh_serving *s)
{
    struct head h = {.s = s};
    struct lh_ranges ranges;
    int64_t now_s = s->ex->ctx->unix_s;
    struct lh_validators v = {
        .etag = make_etag(s, now_s),
        .modified_s = s->file->found.modified_s < now_s
                          ? s->file->found.modified_s
                          : now_s,
    };

    s->type = s->options->type.p
                  ? s->options->type
                  : lh_media_type(s->options->media,
                                  (struct lh_str){s->path, s->path_n});
    if (s->options->status) {
        ranges.n = 0;
        add_told(&h);
        begin_body(&h, &ranges);
        return;
    }
    switch (lh_condition_check(&s->ex->request, &v, now_s)) {
    case LH_CONDITION_FAILED:
        lh_serving_fail(s, 412);
        return;
    case LH_CONDITION_NOT_MODIFIED:
        end_not_modified(&h, &v);
        return;
    case LH_CONDITION_HOLDS:
        break;
    }
    if (find_ranges(s, &ranges, &v, now_s) == LH_RANGE_UNSATISFIABLE) {
        add_content_range(&h, (struct lh_range){0, 0});
        end_with_page(&h, 416);
        return;
    }
    add_common(&h, &v);
    begin_body(&h, &ranges);
}
