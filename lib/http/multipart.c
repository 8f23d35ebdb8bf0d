/*
 * Forms with files: see multipart.h.
 *
 * What always holds: `matched` octets of the delimiter have come last, less
 * those that a line's end before them stands for (`unsent`), and were not given
 * to anybody.  A CR begins the delimiter and is nowhere else in it, so an octet
 * that does not fit can only begin it anew, and what had fitted is data.
 */
#include "http/multipart.h"

#include "base/mem.h"
#include "base/num.h"
#include "http/field.h"
#include "http/parameter.h"

#define HEAD_STEP ((size_t)512)

/* "\r\n" of the delimiter, where the line's end before it was the header's. */
#define LINE_END 2

static enum lh_multipart_event set_fault(struct lh_multipart *m,
                                         unsigned status, const char *why)
{
    m->state = LH_MULTIPART_FAULTY;
    m->status = status;
    m->why = why;
    return LH_MULTIPART_FAULT;
}

/* --- the boundary --------------------------------------------------------- */

/* bchars (RFC 2046, 5.1.1), without a blank at the end. */
static bool boundary_valid(struct lh_str s)
{
    static const char special[] = "'()+_,-./:=? ";

    if (s.n == 0 || s.n > LH_MULTIPART_BOUNDARY_MAX || s.p[s.n - 1] == ' ')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = lh_lower(s.p[i]);
        bool usual = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!usual && !(c && strchr(special, c)))
            return false;
    }
    return true;
}

/* NULL, or what is wrong.  Two boundaries may mean one to us and the other to
 * somebody between us and the client. */
static const char *take_boundary(struct lh_multipart *m, struct lh_str rest)
{
    struct lh_parameter p, boundary = {.value = {NULL, 0}};
    int r;

    while ((r = lh_parameter_next(&rest, &p)) > 0) {
        if (!lh_str_equal_nocase(p.name, LH_STR("boundary")))
            continue;
        if (boundary.value.p)
            return "the content-type has two boundaries";
        boundary = p;
    }
    if (r < 0)
        return "the content-type is malformed";
    if (!boundary.value.p)
        return "the content-type has no boundary";
    if (!boundary_valid(boundary.value))
        return "the boundary of the content-type is none";
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.value.p, boundary.value.n);
    memcpy(m->delimiter + 4 + boundary.value.n, "--", 2);
    m->delimiter_n = (uint8_t)(4 + boundary.value.n);
    return NULL;
}

/* The first boundary may be in the first line. */
bool lh_multipart_init(struct lh_multipart *m, struct lh_str content_type,
                       const struct lh_multipart_limits *limits)
{
    memset(m, 0, sizeof(*m));
    m->limits = *limits;
    m->matched = m->unsent = LINE_END;
    struct lh_str type = lh_parameter_subject(&content_type);
    if (!lh_str_equal_nocase(type, LH_STR("multipart/form-data"))) {
        set_fault(m, 415, "the content-type is not multipart/form-data");
        return false;
    }
    const char *why = take_boundary(m, content_type);
    if (why)
        set_fault(m, 400, why);
    return !why;
}

void lh_multipart_deinit(struct lh_multipart *m)
{
    lh_free(m->head);
    m->head = NULL;
}

/* --- data, and where it ends ---------------------------------------------- */

/* Octets that are no boundary. */
static enum lh_multipart_event tell_data(struct lh_multipart *m, const void *p,
                                         size_t n)
{
    m->part_bytes += n;
    if (m->state == LH_MULTIPART_PREAMBLE) {
        if (m->part_bytes > m->limits.header_bytes)
            return set_fault(m, 400, "no boundary within header_bytes");
        return LH_MULTIPART_MORE;
    }
    if (m->part_bytes > m->limits.part_bytes)
        return set_fault(m, 413, "longer than part_bytes");
    m->data = (struct lh_str){p, n};
    return n ? LH_MULTIPART_DATA : LH_MULTIPART_MORE;
}

/* Does the octet that does not fit come behind a whole delimiter? */
static bool ends_delimiter(const struct lh_multipart *m, uint8_t c)
{
    bool whole =
        m->matched == m->delimiter_n || m->matched == m->delimiter_n + 2;

    return whole && (c == '\r' || c == '\n' || c == ' ' || c == '\t');
}

static enum lh_multipart_event take_delimiter(struct lh_multipart *m)
{
    bool in_part = m->state == LH_MULTIPART_BODY;

    m->state =
        m->matched == m->delimiter_n ? LH_MULTIPART_PADDING : LH_MULTIPART_OVER;
    m->matched = 0;
    return in_part ? LH_MULTIPART_PART_END : LH_MULTIPART_MORE;
}

/* How many octets come before what may be a delimiter, as far as it is there.
 * Looking at more than its first octet keeps data of many line ends cheap. */
static size_t plain_octets(const struct lh_multipart *m, const uint8_t *p,
                           size_t n)
{
    size_t i = 0;

    while (i < n) {
        const uint8_t *cr = memchr(p + i, '\r', n - i);
        if (!cr)
            return n;
        i = (size_t)(cr - p);
        if (memcmp(cr, m->delimiter, lh_min(n - i, m->delimiter_n)) == 0)
            return i;
        i++;
    }
    return n;
}

/* The preamble, or a part. */
static enum lh_multipart_event
read_text(struct lh_multipart *m, const uint8_t *p, size_t n, size_t *used)
{
    size_t most = m->delimiter_n + 2u, i = 0;

    if (m->matched == 0) {
        *used = plain_octets(m, p, n);
        if (*used)
            return tell_data(m, p, *used);
    }
    while (i < n && m->matched < most &&
           p[i] == (uint8_t)m->delimiter[m->matched]) {
        m->matched++;
        i++;
    }
    *used = i;
    if (i == n)
        return LH_MULTIPART_MORE;
    if (ends_delimiter(m, p[i]))
        return take_delimiter(m);
    size_t from = m->unsent, held = m->matched - from;
    m->matched = m->unsent = 0;
    return tell_data(m, m->delimiter + from, held);
}

/* The rest of a boundary's line: blanks, CR, LF.  `matched` is 1 behind CR. */
static enum lh_multipart_event
read_padding(struct lh_multipart *m, const uint8_t *p, size_t n, size_t *used)
{
    size_t i = 0;

    while (m->matched == 0 && i < n && lh_is_blank((char)p[i]))
        i++;
    if (m->matched == 0 && i < n && p[i] == '\r') {
        m->matched = 1;
        i++;
    }
    *used = i;
    if (i == n)
        return LH_MULTIPART_MORE;
    if (m->matched == 0 || p[i] != '\n')
        return set_fault(m, 400,
                         "the line of a boundary does not end with CR LF");
    *used = i + 1;
    if (m->parts == m->limits.parts)
        return set_fault(m, 413, "more parts than parts allows");
    m->parts++;
    m->head_n = m->line_at = 0;
    m->state = LH_MULTIPART_HEAD;
    return LH_MULTIPART_MORE;
}

/* --- a part's header ------------------------------------------------------ */

/* In the header, which is ours to change. */
static char *writable(struct lh_str s)
{
    return (char *)(uintptr_t)s.p;
}

static struct lh_str form_name(const struct lh_parameter *p)
{
    struct lh_str s = p->value;

    s.n = lh_parameter_text(writable(s), p);
    s.n = lh_parameter_form_name(writable(s), s);
    return s;
}

/* NULL, or what is wrong.  Each may be there once. */
static const char *take_parameter(struct lh_multipart *m,
                                  const struct lh_parameter *p,
                                  struct lh_str *extended)
{
    if (lh_str_equal_nocase(p->name, LH_STR("name"))) {
        if (m->name.p)
            return "two names";
        m->name = form_name(p);
    } else if (lh_str_equal_nocase(p->name, LH_STR("filename"))) {
        if (m->filename.p)
            return "two names of the file";
        m->filename = form_name(p);
    } else if (lh_str_equal_nocase(p->name, LH_STR("filename*"))) {
        if (extended->p)
            return "two names of the file";
        *extended = p->value;
        if (p->quoted ||
            !lh_parameter_extended(writable(p->value), p->value, &extended->n))
            return "filename* is not UTF-8''...";
    }
    return NULL;
}

/* filename* says more than a filename (RFC 6266, 4.3). */
static const char *take_disposition(struct lh_multipart *m, struct lh_str rest)
{
    struct lh_str extended = {NULL, 0};
    struct lh_parameter p;
    const char *why = NULL;
    int r = 1;

    if (m->name.p)
        return "two content-dispositions";
    if (!lh_str_equal_nocase(lh_parameter_subject(&rest), LH_STR("form-data")))
        return "its content-disposition is not form-data";
    while (!why && (r = lh_parameter_next(&rest, &p)) > 0)
        why = take_parameter(m, &p, &extended);
    if (r < 0)
        return "its content-disposition is malformed";
    if (!why && !m->name.p)
        return "its content-disposition has no name";
    if (extended.p)
        m->filename = extended;
    return why;
}

/* In any case of letters. */
static bool begins_with(struct lh_str s, struct lh_str start)
{
    return s.n >= start.n &&
           lh_str_equal_nocase((struct lh_str){s.p, start.n}, start);
}

static const char *take_type(struct lh_multipart *m, struct lh_str value)
{
    if (m->type.p)
        return "two content-types";
    if (begins_with(value, LH_STR("multipart/")))
        return "it is multipart itself, which no browser sends "
               "(RFC 7578, 4.3)";
    m->type = value;
    return NULL;
}

/* What is encoded would reach the script as it is. */
static const char *check_encoding(struct lh_str value)
{
    bool plain = lh_str_equal_nocase(value, LH_STR("binary")) ||
                 lh_str_equal_nocase(value, LH_STR("8bit")) ||
                 lh_str_equal_nocase(value, LH_STR("7bit"));

    return plain ? NULL
                 : "it is encoded, which no browser does "
                   "(RFC 7578, 4.7)";
}

/* A line without its end. */
static const char *take_line(struct lh_multipart *m, struct lh_str line)
{
    const char *colon = memchr(line.p, ':', line.n);

    if (!colon)
        return "a line of its header is no field";
    struct lh_str name = {line.p, (size_t)(colon - line.p)};
    struct lh_str value = {colon + 1, line.n - name.n - 1};
    value = lh_str_trim(value);
    if (!lh_field_name_valid(name))
        return "a line of its header is no field";
    if (lh_has_control((const uint8_t *)value.p, value.n))
        return "its header has a control character";
    if (lh_str_equal_nocase(name, LH_STR("content-disposition")))
        return take_disposition(m, value);
    if (lh_str_equal_nocase(name, LH_STR("content-type")))
        return take_type(m, value);
    if (lh_str_equal_nocase(name, LH_STR("content-transfer-encoding")))
        return check_encoding(value);
    return NULL;
}

/* The header is whole: its last line is empty. */
static enum lh_multipart_event take_part_head(struct lh_multipart *m)
{
    struct lh_str rest = {m->head, m->head_n - LINE_END};
    const char *why = NULL;

    m->name = m->filename = m->type = (struct lh_str){NULL, 0};
    while (rest.n && !why) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = (size_t)(end - rest.p) + 1;
        why = take_line(m, (struct lh_str){rest.p, n - LINE_END});
        rest = (struct lh_str){rest.p + n, rest.n - n};
    }
    if (!why && !m->name.p)
        why = "its header has no content-disposition";
    if (why)
        return set_fault(m, 400, why);
    if (m->name.n > m->limits.name_bytes ||
        m->filename.n > m->limits.name_bytes)
        return set_fault(m, 413, "its name is longer than name_bytes");
    m->state = LH_MULTIPART_BODY;
    m->matched = m->unsent = LINE_END;
    m->part_bytes = 0;
    return LH_MULTIPART_PART;
}

/* The room doubles, within header_bytes, and is kept for the next header. */
static bool add_to_head(struct lh_multipart *m, const uint8_t *p, size_t n)
{
    size_t room = m->head_room ? m->head_room : HEAD_STEP;

    while (room - m->head_n < n)
        room *= 2;
    if (room != m->head_room) {
        char *head = lh_realloc(m->head, room);
        if (!head)
            return false;
        m->head = head;
        m->head_room = room;
    }
    memcpy(m->head + m->head_n, p, n);
    m->head_n += n;
    return true;
}

/* Line by line, so that an empty one is seen. */
static enum lh_multipart_event
read_head(struct lh_multipart *m, const uint8_t *p, size_t n, size_t *used)
{
    const uint8_t *end = memchr(p, '\n', n);
    size_t take = end ? (size_t)(end - p) + 1 : n;

    *used = take;
    if (take > m->limits.header_bytes - m->head_n)
        return set_fault(m, 413, "its header is longer than header_bytes");
    if (!add_to_head(m, p, take))
        return set_fault(m, 500, "not enough memory");
    if (!end)
        return LH_MULTIPART_MORE;
    size_t line = m->head_n - m->line_at;
    m->line_at = m->head_n;
    if (line < LINE_END || m->head[m->head_n - LINE_END] != '\r')
        return set_fault(m, 400,
                         "a line of its header does not end with CR LF");
    return line == LINE_END ? take_part_head(m) : LH_MULTIPART_MORE;
}

/* --- all of it ------------------------------------------------------------ */

static enum lh_multipart_event
read_step(struct lh_multipart *m, const uint8_t *p, size_t n, size_t *used)
{
    switch (m->state) {
    case LH_MULTIPART_PREAMBLE:
    case LH_MULTIPART_BODY:
        return read_text(m, p, n, used);
    case LH_MULTIPART_PADDING:
        return read_padding(m, p, n, used);
    case LH_MULTIPART_HEAD:
        return read_head(m, p, n, used);
    case LH_MULTIPART_OVER:
    case LH_MULTIPART_FAULTY:
        break;
    }
    return LH_MULTIPART_MORE;
}

static bool form_is_over(const struct lh_multipart *m)
{
    return m->state == LH_MULTIPART_OVER || m->state == LH_MULTIPART_FAULTY;
}

static enum lh_multipart_event over_event(const struct lh_multipart *m)
{
    return m->state == LH_MULTIPART_OVER ? LH_MULTIPART_END
                                         : LH_MULTIPART_FAULT;
}

enum lh_multipart_event lh_multipart_read(struct lh_multipart *m,
                                          const uint8_t *p, size_t n,
                                          size_t *used)
{
    enum lh_multipart_event event = LH_MULTIPART_MORE;

    *used = 0;
    while (event == LH_MULTIPART_MORE && *used < n && !form_is_over(m)) {
        size_t step = 0;
        event = read_step(m, p + *used, n - *used, &step);
        *used += step;
    }
    return event == LH_MULTIPART_MORE && form_is_over(m) ? over_event(m)
                                                         : event;
}

enum lh_multipart_event lh_multipart_finish(struct lh_multipart *m)
{
    bool text =
        m->state == LH_MULTIPART_PREAMBLE || m->state == LH_MULTIPART_BODY;

    if (form_is_over(m))
        return over_event(m);
    if (text && m->matched == m->delimiter_n + 2) {
        enum lh_multipart_event event = take_delimiter(m);
        return event == LH_MULTIPART_MORE ? LH_MULTIPART_END : event;
    }
    return set_fault(m, 400,
                     m->parts ? "the body ends before its last boundary"
                              : "the body ends before its first boundary");
}
