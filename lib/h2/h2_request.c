/*
 * From a decoded section to a request: see h2_request.h.  The first fault
 * counts, and the rest of the section is only read over.  A fault below zero
 * is the stream's error, one above it a status that the request is answered
 * with.
 */
#include "h2/h2_request.h"

#include "http/target.h"

void lh_h2_reader_init(struct lh_h2_reader *r, struct lh_request *request,
                       struct lh_arena *arena, const lhttpd_limits_t *limits,
                       bool trailers)
{
    *r = (struct lh_h2_reader){
        .request = request,
        .arena = arena,
        .limits = limits,
        .trailers = trailers,
    };
}

/* The first fault counts. */
static void note_request_fault(struct lh_h2_reader *r, int what,
                               const char *why)
{
    if (r->fault)
        return;
    r->fault = what;
    r->why = why;
}

static int refuse_section(struct lh_h2_reader *r, int what, const char *why)
{
    r->why = why;
    return what;
}

static struct lh_str copy_to_arena(struct lh_h2_reader *r, struct lh_str s)
{
    struct lh_str made = lh_arena_copy(r->arena, s.p, s.n);

    if (!made.p)
        note_request_fault(r, LH_H2_REQUEST_MEMORY, "out of memory");
    return made;
}

/* --- pseudo-fields (RFC 9113, 8.3) ---------------------------------------- */

/* The four of a request (RFC 9113, 8.3.1), and that of an extended CONNECT (RFC
 * 8441, 4); all others are malformed. */
static struct lh_str *pseudo_of(struct lh_h2_reader *r, struct lh_str name)
{
    struct lh_request *q = r->request;

    if (lh_str_equal(name, LH_STR(":method")))
        return &q->method;
    if (lh_str_equal(name, LH_STR(":scheme")))
        return &q->scheme;
    if (lh_str_equal(name, LH_STR(":authority")))
        return &q->authority;
    if (lh_str_equal(name, LH_STR(":path")))
        return &q->target;
    if (lh_str_equal(name, LH_STR(":protocol")))
        return &r->protocol;
    return NULL;
}

/* Each once, and before the others (RFC 9113, 8.3). */
static void pseudo_field(struct lh_h2_reader *r, struct lh_str name,
                         struct lh_str value)
{
    struct lh_str *to = pseudo_of(r, name);

    if (!to || to->p || r->regular || r->trailers)
        note_request_fault(
            r, LH_H2_REQUEST_MALFORMED,
            "a pseudo-field that is unknown, twice or out of place");
    else
        *to = copy_to_arena(r, value);
}

/* --- the others ----------------------------------------------------------- */

/* Tokens in lower case: capital letters are malformed (RFC 9113, 8.2.1). */
static bool name_valid(struct lh_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = (uint8_t)name.p[i];
        if (c == 0 || lh_token_lower[c] != c)
            return false;
    }
    return name.n > 0;
}

/* The decoder's strings do not last, so both are copied. */
static void keep_field(struct lh_h2_reader *r, struct lh_str name,
                       struct lh_str value)
{
    struct lh_fields *fields =
        r->trailers ? &r->request->trailers : &r->request->fields;
    struct lh_str own_name = copy_to_arena(r, name),
                  own_value = copy_to_arena(r, value);

    if (!own_name.p || !own_value.p ||
        !lh_fields_add(fields, r->arena, own_name, own_value))
        note_request_fault(r, LH_H2_REQUEST_MEMORY, "out of memory");
}

/* Several are the same as one if they are equal (RFC 9110, 8.6). */
static void content_length(struct lh_h2_reader *r, struct lh_str name,
                           struct lh_str value)
{
    uint64_t *length = &r->request->content_length, n;

    if (!lh_str_to_u64(value, LH_LENGTH_UNKNOWN - 1, &n) ||
        (*length != LH_LENGTH_UNKNOWN && *length != n)) {
        note_request_fault(r, LH_H2_REQUEST_MALFORMED,
                           "content-length is no number, or two differ");
        return;
    }
    if (*length == LH_LENGTH_UNKNOWN)
        keep_field(r, name, value);
    *length = n;
}

static void host(struct lh_h2_reader *r, struct lh_str value)
{
    if (r->host.p)
        note_request_fault(r, LH_H2_REQUEST_MALFORMED,
                           "more than one host field");
    else
        r->host = copy_to_arena(r, value);
}

/* Room for n octets of the cookie's value, and for some more, so that one in
 * many pieces is moved rarely. */
static bool make_cookie_room(struct lh_h2_reader *r, struct lh_str *value,
                             size_t n)
{
    char *own = (char *)(uintptr_t)value->p;
    size_t more = n + n / 2 - r->cookie_room;

    if (n <= r->cookie_room)
        return true;
    if (!lh_arena_grow(r->arena, &own, r->cookie_room, more))
        return false;
    value->p = own;
    r->cookie_room += more;
    return true;
}

/* Those that come in several fields are one (RFC 9113, 8.2.3). */
static void add_cookie(struct lh_h2_reader *r, struct lh_str name,
                       struct lh_str value)
{
    struct lh_fields *fields = &r->request->fields;

    if (!r->cookie) {
        keep_field(r, name, value);
        r->cookie = fields->n;
        r->cookie_room = value.n;
        return;
    }
    struct lh_str *all = &fields->v[r->cookie - 1].value;
    size_t n = all->n + 2 + value.n;
    if (!make_cookie_room(r, all, n)) {
        note_request_fault(r, LH_H2_REQUEST_MEMORY, "out of memory");
        return;
    }
    char *end = (char *)(uintptr_t)all->p + all->n;
    memcpy(end, "; ", 2);
    memcpy(end + 2, value.p, value.n);
    fields->bytes += n - all->n;
    all->n = n;
}

/* An expectation that is not known is answered with 417 (RFC 9110, 10.1.1). */
static void expect(struct lh_h2_reader *r, struct lh_str name,
                   struct lh_str value)
{
    if (lh_str_equal_nocase(value, LH_STR("100-continue")))
        r->expects_continue = true;
    else
        note_request_fault(r, 417, "an unknown expectation");
    keep_field(r, name, value);
}

static void request_field(struct lh_h2_reader *r, struct lh_str name,
                          struct lh_str value)
{
    if (lh_str_equal(name, LH_STR("content-length"))) {
        content_length(r, name, value);
    } else if (lh_str_equal(name, LH_STR("host"))) {
        host(r, value);
    } else if (lh_str_equal(name, LH_STR("expect"))) {
        expect(r, name, value);
    } else if (lh_str_equal(name, LH_STR("cookie"))) {
        add_cookie(r, name, value);
    } else {
        if (!r->priority.p && lh_str_equal(name, LH_STR("priority")))
            r->priority = copy_to_arena(r, value);
        keep_field(r, name, value);
    }
}

/* Fields about framing or routing are dropped, as HTTP/1 does: a handler might
 * merge them with the header section (RFC 9110, 6.5.1). */
static void trailer_field(struct lh_h2_reader *r, struct lh_str name,
                          struct lh_str value)
{
    if (!lh_field_is_header_only(name))
        keep_field(r, name, value);
}

/* Checks come before any copy: what is malformed takes no memory. */
void lh_h2_reader_field(struct lh_h2_reader *r, struct lh_str name,
                        struct lh_str value)
{
    if (!r->request || r->fault < 0)
        return;
    if (name.n && name.p[0] == ':') {
        pseudo_field(r, name, value);
        return;
    }
    r->regular = true;
    if (!name_valid(name) || !lh_field_value_valid(value) ||
        lh_field_is_connection_specific(name) ||
        (lh_str_equal(name, LH_STR("te")) &&
         !lh_str_equal_nocase(value, LH_STR("trailers"))))
        note_request_fault(r, LH_H2_REQUEST_MALFORMED,
                           "a field that is malformed or about the connection");
    else if (r->trailers)
        trailer_field(r, name, value);
    else
        request_field(r, name, value);
}

/* --- the whole ------------------------------------------------------------ */

/* ":authority" wins, but a "host" that says something else is a trap (8.3.1).
 */
static bool settle_authority(struct lh_h2_reader *r)
{
    struct lh_request *q = r->request;

    if (!q->authority.p)
        q->authority = r->host;
    else if (r->host.p && !lh_str_equal_nocase(r->host, q->authority))
        return false;
    return q->authority.p && lh_authority_valid(q->authority);
}

static bool scheme_valid(struct lh_str scheme)
{
    return lh_str_equal_nocase(scheme, LH_STR("http")) ||
           lh_str_equal_nocase(scheme, LH_STR("https"));
}

/* CONNECT has neither scheme nor path (8.5); it is not served.  An extended one
 * has both, as any other request. */
static int finish_connect(struct lh_h2_reader *r)
{
    struct lh_request *q = r->request;

    if (q->scheme.p || q->target.p || !settle_authority(r))
        return refuse_section(r, LH_H2_REQUEST_MALFORMED,
                              "CONNECT with a scheme or path, or to no host");
    q->scheme = LH_STR("http");
    q->target = q->path = LH_STR("*");
    return refuse_section(r, 501, "the method CONNECT");
}

/* Origin-form, or "*" with OPTIONS (8.3.1). */
static int finish_target(struct lh_h2_reader *r)
{
    struct lh_request *q = r->request;
    struct lh_target parts;

    if (lh_target_parse(&parts, q->target) != LH_TARGET_OK)
        return refuse_section(r, LH_H2_REQUEST_MALFORMED, ":path is malformed");
    if (q->target.p[0] == '*' ? !lh_str_equal(q->method, LH_STR("OPTIONS"))
                              : q->target.p[0] != '/')
        return refuse_section(r, LH_H2_REQUEST_MALFORMED,
                              ":path is not one of its method");
    if (q->method.n + q->target.n > r->limits->request_line_bytes)
        return refuse_section(r, 414, ":path is over request_line_bytes");
    switch (lh_target_path(r->arena, q->target, &q->path, &q->query)) {
    case LH_TARGET_OK:
        return LH_H2_REQUEST_OK;
    case LH_TARGET_BAD:
        q->path = LH_STR("/");
        return refuse_section(r, 400, "the path is malformed");
    case LH_TARGET_MEMORY:
        break;
    }
    return LH_H2_REQUEST_MEMORY;
}

/* Checks what only the whole section tells, in the order in which HTTP/1
 * finds it too. */
static int finish_request(struct lh_h2_reader *r)
{
    struct lh_request *q = r->request;

    q->version = LH_HTTP_2;
    if (!q->method.p || !lh_field_name_valid(q->method))
        return refuse_section(r, LH_H2_REQUEST_MALFORMED,
                              "no :method, or a malformed one");
    q->head = lh_str_equal(q->method, LH_STR("HEAD"));
    bool connects = lh_str_equal(q->method, LH_STR("CONNECT"));
    if (connects && !r->protocol.p)
        return finish_connect(r);
    q->extended_connect = r->protocol.p != NULL;
    q->to_websocket = lh_str_equal_nocase(r->protocol, LH_STR("websocket"));
    if (r->protocol.p && (!connects || !lh_field_name_valid(r->protocol)))
        return refuse_section(r, LH_H2_REQUEST_MALFORMED,
                              ":protocol without CONNECT, or a malformed one");
    if (!q->scheme.p || !scheme_valid(q->scheme) || !q->target.p ||
        !settle_authority(r))
        return refuse_section(r, LH_H2_REQUEST_MALFORMED,
                              "no valid :scheme, :path or :authority");
    int result = finish_target(r);
    if (result == LH_H2_REQUEST_OK && lh_str_equal(q->method, LH_STR("TRACE")))
        result = refuse_section(r, 501, "the method TRACE");
    if (result == LH_H2_REQUEST_OK && q->content_length != LH_LENGTH_UNKNOWN &&
        q->content_length > r->limits->body_bytes)
        result = refuse_section(r, 413, "content-length is over body_bytes");
    return result;
}

int lh_h2_reader_finish(struct lh_h2_reader *r)
{
    if (r->fault < 0)
        return r->fault;
    if (r->trailers)
        return LH_H2_REQUEST_OK;
    const char *why = r->why;
    int result = finish_request(r);
    if (result < 0 || !r->fault)
        return result;
    r->why = why;
    return r->fault;
}
