/*
 * The head of an HTTP/1 request: see h1_head.h.  What two parsers could read
 * in two ways is refused, since one in front of us may have read it in the
 * other (RFC 9112, 11.2).  Each refusal says a reason for the log, and is
 * found at the same octet however the input is cut.
 */
#include "h1/h1_head.h"

#include "base/num.h"
#include "http/target.h"

/* Room for white space around a value, which the limits do not count. */
#define BLANKS_BYTES 64

/* The status that a request is to be answered with, and why. */
static unsigned refuse_head(struct lh_h1_head *head, unsigned status,
                            const char *why)
{
    head->why = why;
    return status;
}

/* --- lines ---------------------------------------------------------------- */

/* A line that comes in pieces grows in the arena; it is the arena's newest
 * piece, so that this rarely moves it. */
static enum lh_h1_line_result add_to_line(struct lh_h1_line *line,
                                          struct lh_arena *arena,
                                          const uint8_t *p, size_t n)
{
    if (arena && n) {
        if (!lh_arena_grow(arena, &line->p, line->n, n))
            return LH_H1_LINE_MEMORY;
        memcpy(line->p + line->n, p, n);
    }
    line->n += n;
    return LH_H1_LINE_MORE;
}

/* Only CRLF ends a line.  A bare LF or CR is refused (RFC 9112, 2.2), for
 * others take it for an end.  Control characters are looked for up to the
 * limit only, so that what is over it is too long, and not malformed, in
 * whatever pieces it came.  The limit may have become less than what has come.
 */
enum lh_h1_line_result lh_h1_line_feed(struct lh_h1_line *line,
                                       struct lh_arena *arena, uint64_t max,
                                       const uint8_t *p, size_t n, size_t *used)
{
    *used = 0;
    if (n == 0)
        return LH_H1_LINE_MORE;
    if (line->cr) {
        *used = 1;
        return p[0] == '\n' ? LH_H1_LINE_WHOLE : LH_H1_LINE_BAD;
    }
    const uint8_t *lf = memchr(p, '\n', n);
    size_t before = lf ? (size_t)(lf - p) : n;
    bool cr = before && p[before - 1] == '\r';
    size_t text = before - cr, room = lh_to_size(lh_limit_left(max, line->n));

    if (lh_has_control(p, lh_min(text, room)))
        return LH_H1_LINE_BAD;
    if (text > room) /* a CR just past the limit is bare, as no LF follows */
        return p[room] == '\r' ? LH_H1_LINE_BAD : LH_H1_LINE_LONG;
    if (lf && !cr)
        return LH_H1_LINE_BAD;
    if (add_to_line(line, arena, p, text) == LH_H1_LINE_MEMORY)
        return LH_H1_LINE_MEMORY;
    *used = before + (lf != NULL);
    line->cr = cr;
    return lf ? LH_H1_LINE_WHOLE : LH_H1_LINE_MORE;
}

/* One pass finds the end of the name and makes it lower case.  White space
 * before the colon is refused (RFC 9112, 5.1). */
bool lh_h1_field_parse(char *line, size_t n, struct lh_str *name,
                       struct lh_str *value)
{
    size_t i = 0, end = n;

    for (; i < n; i++) {
        uint8_t c = lh_token_lower[(uint8_t)line[i]];
        if (!c)
            break;
        line[i] = (char)c;
    }
    if (i == 0 || i == n || line[i] != ':')
        return false;
    *name = (struct lh_str){line, i++};
    while (i < end && lh_is_blank(line[i]))
        i++;
    while (end > i && lh_is_blank(line[end - 1]))
        end--;
    *value = (struct lh_str){line + i, end - i};
    return true;
}

/* --- the request line ----------------------------------------------------- */

/* A higher minor version is served as 1.1 (RFC 9110, 2.5).  HTTP/2's preface
 * is no request of HTTP/1: its client would not understand an answer. */
static unsigned parse_version(struct lh_h1_head *head, struct lh_request *r,
                              struct lh_str s)
{
    if (s.n != 8 || s.p[5] < '0' || s.p[5] > '9' || s.p[6] != '.' ||
        s.p[7] < '0' || s.p[7] > '9')
        return refuse_head(head, 400, "the version of HTTP is malformed");
    if (s.p[5] != '1') {
        bool preface = lh_str_equal(r->method, LH_STR("PRI"));
        return refuse_head(head, preface ? LH_H1_HEAD_SILENT : 505,
                           "a version of HTTP that is not spoken here");
    }
    r->version = s.p[7] == '0' ? LH_HTTP_1_0 : LH_HTTP_1_1;
    return 0;
}

/* The origin of an absolute-form may lack its "/". */
static bool complete_origin(struct lh_arena *a, struct lh_str *origin)
{
    char *p = NULL;

    if (origin->p[0] != '?')
        return true;
    if (!lh_arena_grow(a, &p, 0, origin->n + 1))
        return false;
    p[0] = '/';
    memcpy(p + 1, origin->p, origin->n);
    *origin = (struct lh_str){p, origin->n + 1};
    return true;
}

/* An absolute-form names the authority itself, which then wins over the host
 * field (RFC 9112, 3.2.2). */
static unsigned parse_target(struct lh_h1_head *head, struct lh_exchange *ex,
                             struct lh_str raw)
{
    struct lh_request *r = &ex->request;
    struct lh_target target;

    if (lh_str_equal(r->method, LH_STR("CONNECT")))
        return refuse_head(head, 501, "the method CONNECT");
    if (lh_target_parse(&target, raw) != LH_TARGET_OK)
        return refuse_head(head, 400, "the request target is malformed");
    if (target.origin.p[0] == '*' &&
        !lh_str_equal(r->method, LH_STR("OPTIONS")))
        return refuse_head(head, 400, "the target * is for OPTIONS alone");
    if (!complete_origin(&ex->arena, &target.origin))
        return refuse_head(head, LH_H1_HEAD_SILENT, NULL);
    head->from_target = target.authority.p != NULL;
    r->authority = target.authority;
    r->target = target.origin;
    switch (lh_target_path(&ex->arena, r->target, &r->path, &r->query)) {
    case LH_TARGET_OK:
        return 0;
    case LH_TARGET_BAD:
        return refuse_head(head, 400, "the path is malformed");
    case LH_TARGET_MEMORY:
        break;
    }
    return LH_H1_HEAD_SILENT;
}

/* What is not even the shape of a request line. */
static unsigned not_http(struct lh_h1_head *head)
{
    return refuse_head(head, head->first ? LH_H1_HEAD_SILENT : 400,
                       "no request line of HTTP");
}

/* Method, target and version between single spaces.  The last space counts,
 * so that a target with a space in it is refused as a target and not read as
 * a version. */
static unsigned parse_request_line(struct lh_h1_head *head,
                                   struct lh_exchange *ex, struct lh_str line)
{
    struct lh_request *r = &ex->request;
    const char *space = line.n ? memchr(line.p, ' ', line.n) : NULL;
    const char *last = line.n ? memrchr(line.p, ' ', line.n) : NULL;
    unsigned error;

    if (!space || space == last)
        return not_http(head);
    struct lh_str version = {last + 1, (size_t)(line.p + line.n - last - 1)};
    if (version.n < 5 || memcmp(version.p, "HTTP/", 5) != 0)
        return not_http(head);
    r->method = (struct lh_str){line.p, (size_t)(space - line.p)};
    if (!lh_field_name_valid(r->method))
        return refuse_head(head, 400, "the method is malformed");
    r->head = lh_str_equal(r->method, LH_STR("HEAD"));
    error = parse_version(head, r, version);
    if (error)
        return error;
    return parse_target(head, ex,
                        (struct lh_str){space + 1, (size_t)(last - space - 1)});
}

/* --- fields that concern the connection ----------------------------------- */

/* Exactly one, even where the target names the authority (RFC 9112, 3.2). */
static unsigned take_host(struct lh_h1_head *head, struct lh_request *r,
                          struct lh_str value)
{
    if (head->hosts++)
        return refuse_head(head, 400, "more than one host field");
    if (!lh_authority_valid(value))
        return refuse_head(head, 400, "the host field is malformed");
    if (!head->from_target)
        r->authority = value;
    return 0;
}

static void take_connection(struct lh_h1_head *head, struct lh_str value)
{
    struct lh_str option;

    while (lh_str_next_element(&value, &option)) {
        if (lh_str_equal_nocase(option, LH_STR("close")))
            head->close = true;
        else if (lh_str_equal_nocase(option, LH_STR("keep-alive")))
            head->keep_alive = true;
    }
}

/* Counts what check_codings decides on when the head is whole. */
static void take_coding(struct lh_h1_head *head, struct lh_str coding)
{
    head->codings++;
    head->chunked = lh_str_equal_nocase(coding, LH_STR("chunked"));
    head->has_chunked |= head->chunked;
    head->empty_coding |= coding.n == 0;
    head->unknown_coding |= !head->chunked;
}

/* Of other lists empty elements are ignored (RFC 9110, 5.6.1).  Here nobody
 * sends them, and parsers differ in what they make of one. */
static void take_codings(struct lh_h1_head *head, struct lh_str value)
{
    const char *comma;

    while (value.n && (comma = memchr(value.p, ',', value.n))) {
        size_t n = (size_t)(comma - value.p);
        take_coding(head, lh_str_trim((struct lh_str){value.p, n}));
        value = (struct lh_str){comma + 1, value.n - n - 1};
    }
    take_coding(head, lh_str_trim(value));
}

static void take_expect(struct lh_h1_head *head, struct lh_str value)
{
    struct lh_str expectation;

    while (lh_str_next_element(&value, &expectation)) {
        if (lh_str_equal_nocase(expectation, LH_STR("100-continue")))
            head->expects_continue = true;
        else
            head->expects_other = true;
    }
}

/* Looks at the few fields that concern framing and the connection, found by the
 * length of their name first.  *listed: scripts see it. */
static unsigned h1_take_field(struct lh_h1_head *head, struct lh_request *r,
                              struct lh_str name, struct lh_str value,
                              bool *listed)
{
    uint64_t length;

    switch (name.n) {
    case 4:
        if (memcmp(name.p, "host", 4) != 0)
            break;
        *listed = false;
        return take_host(head, r, value);
    case 6:
        if (memcmp(name.p, "expect", 6) == 0)
            take_expect(head, value);
        break;
    case 10:
        if (memcmp(name.p, "connection", 10) == 0)
            take_connection(head, value);
        break;
    case 14:
        if (memcmp(name.p, "content-length", 14) != 0)
            break;
        if (!lh_str_to_u64(value, LH_LENGTH_UNKNOWN - 1, &length))
            return refuse_head(head, 400, "content-length is no number");
        *listed = r->content_length == LH_LENGTH_UNKNOWN;
        if (!*listed && r->content_length != length)
            return refuse_head(head, 400, "content-length fields differ");
        r->content_length = length;
        break;
    case 17:
        if (memcmp(name.p, "transfer-encoding", 17) == 0)
            take_codings(head, value);
        break;
    }
    return 0;
}

/* The limit counts as HTTP/2's does: name, value and 32 octets for each field
 * (RFC 9113, 6.5.2). */
static unsigned parse_field(struct lh_h1_head *head, struct lh_exchange *ex)
{
    struct lh_str name, value;
    bool listed = true;

    if (!lh_h1_field_parse(head->line.p, head->line.n, &name, &value))
        return refuse_head(head, 400, "a field line is malformed");
    head->fields++;
    head->bytes += name.n + value.n + 32;
    if (head->bytes > ex->ctx->limits->header_bytes)
        return refuse_head(head, 431, "the fields are over header_bytes");
    unsigned error = h1_take_field(head, &ex->request, name, value, &listed);
    if (error || !listed)
        return error;
    if (!lh_fields_add(&ex->request.fields, &ex->arena, name, value))
        return LH_H1_HEAD_SILENT;
    return 0;
}

/* --- the whole ------------------------------------------------------------ */

/* How the body is delimited (RFC 9112, 6.3): what two parsers could see in two
 * ways is refused. */
static unsigned check_codings(struct lh_h1_head *head,
                              const struct lh_request *r)
{
    if (head->codings == 0)
        return 0;
    if (r->version == LH_HTTP_1_0 || r->content_length != LH_LENGTH_UNKNOWN)
        return refuse_head(head, 400,
                           "transfer-encoding with content-length or HTTP/1.0");
    if (head->empty_coding || (head->has_chunked && !head->chunked))
        return refuse_head(head, 400,
                           "transfer-encoding does not end in chunked");
    if (head->unknown_coding)
        return refuse_head(head, 501, "an unknown transfer-encoding");
    if (head->codings == 1 && head->chunked)
        return 0;
    return refuse_head(head, 400, "chunked more than once");
}

/* The head is whole: checks what only all of its fields together tell. */
static unsigned finish_head(struct lh_h1_head *head, struct lh_exchange *ex)
{
    struct lh_request *r = &ex->request;
    bool old = r->version == LH_HTTP_1_0;
    unsigned error = check_codings(head, r);

    if (error)
        return error;
    if (!old && head->hosts == 0)
        return refuse_head(head, 400, "no host field");
    if (!old && head->expects_other)
        return refuse_head(head, 417, "an unknown expectation");
    if (r->content_length != LH_LENGTH_UNKNOWN &&
        r->content_length > ex->ctx->limits->body_bytes)
        return refuse_head(head, 413, "content-length is over body_bytes");
    if (old) {
        head->expects_continue = false;
        head->close |= !head->keep_alive;
    }
    r->scheme = ex->peer->secure ? LH_STR("https") : LH_STR("http");
    r->half_close_allowed = old || head->close;
    return LH_H1_HEAD_WHOLE;
}

void lh_h1_head_init(struct lh_h1_head *head, bool first)
{
    *head = (struct lh_h1_head){.first = first};
}

/* What may not begin a line; 0 if all is well. */
static unsigned check_line_start(struct lh_h1_head *head,
                                 const lhttpd_limits_t *limits, uint8_t c)
{
    if (!head->in_fields && lh_token_lower[c])
        return 0;
    if (!head->in_fields) /* an empty line more than is forgiven, or no HTTP */
        return c == '\r' || c == '\n'
                   ? refuse_head(head, 400, "empty lines before a request")
                   : not_http(head);
    if (lh_is_blank((char)c)) /* obs-fold (RFC 9112, 5.2) */
        return refuse_head(head, 400, "a field line that is folded");
    if (c == '\r' || head->fields < limits->header_fields)
        return 0;
    return refuse_head(head, 431, "more fields than header_fields");
}

/* How long the line at hand may become.  A field's limit is what the others
 * have left, and one more octet, so that the check of the sum gives the
 * answer. */
static uint64_t line_max(const struct lh_h1_head *head,
                         const lhttpd_limits_t *limits)
{
    uint64_t all = limits->header_bytes, used = head->bytes + 32;

    if (!head->in_fields)
        return limits->request_line_bytes;
    if (all > UINT64_MAX / 2)
        return all;
    return (all > used ? all - used : 0) + 1 + BLANKS_BYTES;
}

static unsigned line_too_long(struct lh_h1_head *head)
{
    if (head->in_fields)
        return refuse_head(head, 431, "a field is over header_bytes");
    return refuse_head(head, 414,
                       "the request line is over request_line_bytes");
}

static unsigned whole_line(struct lh_h1_head *head, struct lh_exchange *ex)
{
    struct lh_str line = {head->line.p, head->line.n};
    unsigned error;

    if (head->in_fields && line.n == 0)
        return finish_head(head, ex);
    if (head->in_fields)
        error = parse_field(head, ex);
    else
        error = parse_request_line(head, ex, line);
    head->in_fields = true;
    head->line = (struct lh_h1_line){.n = 0};
    return error;
}

/* A line's first octet is checked before the rest has come, so that an
 * obviously wrong one is not waited for. */
unsigned lh_h1_head_feed(struct lh_h1_head *head, struct lh_exchange *ex,
                         const uint8_t *p, size_t n, size_t *used)
{
    const lhttpd_limits_t *limits = ex->ctx->limits;

    for (*used = 0; *used < n;) {
        size_t k;
        unsigned result = 0;
        if (head->line.n == 0 && !head->line.cr)
            result = check_line_start(head, limits, p[*used]);
        if (result)
            return result;
        switch (lh_h1_line_feed(&head->line, &ex->arena, line_max(head, limits),
                                p + *used, n - *used, &k)) {
        case LH_H1_LINE_MORE:
            break;
        case LH_H1_LINE_WHOLE:
            result = whole_line(head, ex);
            break;
        case LH_H1_LINE_LONG:
            return line_too_long(head);
        case LH_H1_LINE_BAD:
            return refuse_head(head, 400,
                               "a control character in the request's head");
        case LH_H1_LINE_MEMORY:
            return LH_H1_HEAD_SILENT;
        }
        *used += k;
        if (result)
            return result;
    }
    return LH_H1_HEAD_MORE;
}
