/*
 * Fields of a header or trailer section: see field.h.
 *
 * The fields are an array in the order in which they came, searched from its
 * start: there are some ten of them, and a limit says how many there can be.
 * `bytes` counts 32 octets a field besides name and value, as HTTP/2 does
 * (RFC 9113, 6.5.2), so that many small fields cost a client as much as they
 * cost us.
 */
#include "http/field.h"

#include <limits.h>

const struct lh_str lh_usual_names[LH_USUAL_NAMES] = {
    {"accept", 6},
    {"accept-encoding", 15},
    {"accept-language", 15},
    {"authorization", 13},
    {"cache-control", 13},
    {"connection", 10},
    {"content-length", 14},
    {"content-type", 12},
    {"cookie", 6},
    {"if-modified-since", 17},
    {"if-none-match", 13},
    {"origin", 6},
    {"pragma", 6},
    {"priority", 8},
    {"range", 5},
    {"referer", 7},
    {"sec-ch-ua", 9},
    {"sec-ch-ua-mobile", 16},
    {"sec-ch-ua-platform", 18},
    {"sec-fetch-dest", 14},
    {"sec-fetch-mode", 14},
    {"sec-fetch-site", 14},
    {"sec-fetch-user", 14},
    {"sec-websocket-extensions", 24},
    {"sec-websocket-key", 17},
    {"sec-websocket-protocol", 22},
    {"sec-websocket-version", 21},
    {"te", 2},
    {"upgrade", 7},
    {"upgrade-insecure-requests", 25},
    {"user-agent", 10},
    {"x-forwarded-for", 15},
    {"x-requested-with", 16},
};

/* An array that is outgrown stays in the arena until that goes: all of them
 * together are no longer than the last one. */
bool lh_fields_add(struct lh_fields *f, struct lh_arena *a, struct lh_str name,
                   struct lh_str value)
{
    if (f->n == f->room) {
        unsigned room = f->room ? f->room * 2 : 2;
        if (f->room > UINT_MAX / 4)
            return false;
        struct lh_field *v = lh_arena_alloc(a, room * sizeof(*v));
        if (!v)
            return false;
        if (f->n)
            memcpy(v, f->v, f->n * sizeof(*v));
        f->v = v;
        f->room = room;
    }
    f->v[f->n++] = (struct lh_field){name, value};
    f->bytes += name.n + value.n + 32;
    return true;
}

const struct lh_field *lh_fields_find(const struct lh_fields *f,
                                      struct lh_str name)
{
    for (unsigned i = 0; i < f->n; i++) {
        if (lh_str_equal(f->v[i].name, name))
            return &f->v[i];
    }
    return NULL;
}

/* The length of all values with `between` octets between each two. */
static size_t joined_bytes(const struct lh_fields *f, struct lh_str name,
                           size_t between, unsigned *count)
{
    size_t n = 0;

    *count = 0;
    for (unsigned i = 0; i < f->n; i++) {
        if (lh_str_equal(f->v[i].name, name)) {
            n += f->v[i].value.n + (*count ? between : 0);
            ++*count;
        }
    }
    return n;
}

static char *append_str(char *at, struct lh_str s)
{
    if (s.n)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

/* The usual case of one value costs no memory.  Cookies have a separator of
 * their own (RFC 9113, 8.2.3), for a comma may be part of one. */
struct lh_str lh_fields_join(const struct lh_fields *f, struct lh_arena *a,
                             struct lh_str name, bool *failed)
{
    struct lh_str between =
        lh_str_equal(name, LH_STR("cookie")) ? LH_STR("; ") : LH_STR(", ");
    unsigned count;
    size_t n = joined_bytes(f, name, between.n, &count);
    char *joined = NULL;

    *failed = false;
    if (count == 0)
        return (struct lh_str){NULL, 0};
    if (count == 1)
        return lh_fields_find(f, name)->value;
    if (!lh_arena_grow(a, &joined, 0, n)) {
        *failed = true;
        return (struct lh_str){NULL, 0};
    }
    char *at = joined;
    for (unsigned i = 0; i < f->n; i++) {
        if (!lh_str_equal(f->v[i].name, name))
            continue;
        if (at != joined || f->v + i != lh_fields_find(f, name))
            at = append_str(at, between);
        at = append_str(at, f->v[i].value);
    }
    return (struct lh_str){joined, n};
}

/* For each octet of a token (RFC 9110, 5.6.2) its small letter, 0 for others:
 * whether a name is valid and how it is compared is one look. */
const uint8_t lh_token_lower[256] = {
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0,   0,   0,   0,   0,
    0,   0,   0,   0,   0,   0,   0,   0,   0,   0,    0,   0,   0,   0,   0,
    0,   0,   0,   '!', 0,   '#', '$', '%', '&', '\'', 0,   0,   '*', '+', 0,
    '-', '.', 0,   '0', '1', '2', '3', '4', '5', '6',  '7', '8', '9', 0,   0,
    0,   0,   0,   0,   0,   'a', 'b', 'c', 'd', 'e',  'f', 'g', 'h', 'i', 'j',
    'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't',  'u', 'v', 'w', 'x', 'y',
    'z', 0,   0,   0,   '^', '_', '`', 'a', 'b', 'c',  'd', 'e', 'f', 'g', 'h',
    'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r',  's', 't', 'u', 'v', 'w',
    'x', 'y', 'z', 0,   '|', 0,   '~',
};

bool lh_field_name_valid(struct lh_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (!lh_token_lower[(uint8_t)name.p[i]])
            return false;
    }
    return name.n > 0;
}

#define EACH(octet) (0x0101010101010101u * (octet))

/* Of eight octets: EACH(0x80) of it is not zero where one of them is below 0x20
 * or is 0x7f.  HTAB counts, and so, rarely, does an octet above such a one. */
static uint64_t likely_controls(const uint8_t *p)
{
    uint64_t x;

    memcpy(&x, p, sizeof(x));
    return ((x - EACH(0x20)) | ((x ^ EACH(0x7f)) - EACH(1))) & ~x;
}

static bool has_control_octet(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
            return true;
    }
    return false;
}

/* Most texts have none, which is found out eight octets at a time; the last
 * eight may overlap. */
bool lh_has_control(const uint8_t *p, size_t n)
{
    uint64_t likely = 0;

    if (n < 8)
        return has_control_octet(p, n);
    for (size_t i = 0; i + 8 < n; i += 8)
        likely |= likely_controls(p + i);
    likely |= likely_controls(p + n - 8);
    return likely & EACH(0x80) && has_control_octet(p, n);
}

bool lh_field_value_valid(struct lh_str value)
{
    if (value.n &&
        (lh_is_blank(value.p[0]) || lh_is_blank(value.p[value.n - 1])))
        return false;
    return !lh_has_control((const uint8_t *)value.p, value.n);
}

/* What speaks of the connection and not of the message (RFC 9113, 8.2.2): the
 * protocols write these themselves.  The length tells most names apart. */
bool lh_field_is_connection_specific(struct lh_str name)
{
    switch (name.n) {
    case 7:
        return lh_str_equal_nocase(name, LH_STR("upgrade"));
    case 10:
        return lh_str_equal_nocase(name, LH_STR("connection")) ||
               lh_str_equal_nocase(name, LH_STR("keep-alive"));
    case 16:
        return lh_str_equal_nocase(name, LH_STR("proxy-connection"));
    case 17:
        return lh_str_equal_nocase(name, LH_STR("transfer-encoding"));
    default:
        return false;
    }
}

/* What a trailer must not have (RFC 9110, 6.5.1): it frames or routes. */
bool lh_field_is_header_only(struct lh_str name)
{
    return lh_str_equal_nocase(name, LH_STR("content-length")) ||
           lh_str_equal_nocase(name, LH_STR("host")) ||
           lh_field_is_connection_specific(name);
}

/* --- authority (RFC 3986, 3.2) -------------------------------------------- */

/* One bit for each ASCII octet that a registered name has as it is: unreserved
 * and sub-delims (RFC 3986, 2.2 and 2.3). */
static const uint32_t name_bits[4] = {
    0, 0x2bff7fd2, /* ! $ & ' ( ) * + , - . 0-9 ; = */
    0x87fffffe,    /* A-Z _ */
    0x47fffffe,    /* a-z ~ */
};

/* What may follow the host: nothing, or ":" and a port that may be empty. */
static bool port_valid(struct lh_str s)
{
    uint64_t port;

    if (s.n == 0)
        return true;
    if (s.p[0] != ':')
        return false;
    s.p++;
    s.n--;
    return s.n == 0 || lh_str_to_u64(s, 65535, &port);
}

/* The length of an IP literal "[...]" at the start, 0 if it is none. */
static size_t literal_bytes(struct lh_str s)
{
    unsigned colons = 0;

    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == ']')
            return colons >= 2 ? i + 1 : 0;
        if (s.p[i] == ':')
            colons++;
        else if (s.p[i] != '.' && lh_hex_digit(s.p[i]) < 0)
            return 0;
    }
    return 0;
}

/* The length of a registered name or IPv4 address at the start. */
static size_t name_bytes(struct lh_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 128 && (name_bits[c >> 5] >> (c & 31) & 1))
            continue;
        if (c != '%')
            return i;
        if (s.n - i < 3 || lh_hex_digit(s.p[i + 1]) < 0 ||
            lh_hex_digit(s.p[i + 2]) < 0)
            return 0;
        i += 2;
    }
    return s.n;
}

/* Strict, since what it lets through decides which mapping and certificate a
 * client meets: no user information, no empty host. */
bool lh_authority_valid(struct lh_str authority)
{
    size_t n;

    if (authority.n == 0)
        return false;
    n = authority.p[0] == '[' ? literal_bytes(authority)
                              : name_bytes(authority);
    return n > 0 &&
           port_valid((struct lh_str){authority.p + n, authority.n - n});
}
