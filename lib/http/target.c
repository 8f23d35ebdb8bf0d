/*
 * The request target: see target.h.
 *
 * A path is decoded and resolved once, here, and all that follows (prefixes,
 * names, scripts) sees the result alone; so nothing behind can be led astray by
 * another spelling of the same path.  A path that climbs out of the root is an
 * error, not the root.
 */
#include "http/target.h"

#include "http/field.h"

/* What of a target's octets is no part of any form (RFC 9112, 3.2). */
static bool octets_valid(struct lh_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == '#')
            return false;
    }
    return true;
}

static bool starts_with(struct lh_str s, struct lh_str prefix)
{
    return s.n >= prefix.n &&
           lh_str_equal_nocase((struct lh_str){s.p, prefix.n}, prefix);
}

/* "http://host/path": servers must take it too (RFC 9112, 3.2.2).  Its
 * authority replaces the field Host. */
static enum lh_target_result parse_absolute(struct lh_target *t,
                                            struct lh_str raw, size_t scheme_n)
{
    size_t from = scheme_n + 3, to = from;

    while (to < raw.n && raw.p[to] != '/' && raw.p[to] != '?')
        to++;
    t->scheme = (struct lh_str){raw.p, scheme_n};
    t->authority = (struct lh_str){raw.p + from, to - from};
    t->origin = (struct lh_str){raw.p + to, raw.n - to};
    if (t->origin.n == 0)
        t->origin = LH_STR("/");
    return lh_authority_valid(t->authority) ? LH_TARGET_OK : LH_TARGET_BAD;
}

/* The forms of RFC 9112, 3.2, but for the one that CONNECT has: protocols
 * refuse that method before. */
enum lh_target_result lh_target_parse(struct lh_target *t, struct lh_str raw)
{
    *t = (struct lh_target){.origin = raw};
    if (raw.n == 0 || !octets_valid(raw))
        return LH_TARGET_BAD;
    if (raw.p[0] == '/' || (raw.n == 1 && raw.p[0] == '*'))
        return LH_TARGET_OK;
    if (starts_with(raw, LH_STR("http://")))
        return parse_absolute(t, raw, 4);
    if (starts_with(raw, LH_STR("https://")))
        return parse_absolute(t, raw, 5);
    return LH_TARGET_BAD;
}

/* Is there nothing to decode, collapse or resolve? */
static bool is_plain(struct lh_str path)
{
    char last = '\0';

    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        if (c == '%' || (last == '/' && (c == '/' || c == '.')))
            return false;
        last = c;
    }
    return path.n > 0;
}

/* Decodes one segment to `out`; *n is its length there.  An octet 0 is refused:
 * it would end the string of whoever opens a file by this path. */
static bool decode_segment(char *out, size_t *n, struct lh_str segment)
{
    size_t at = 0;

    for (size_t i = 0; i < segment.n; i++) {
        out[at++] = segment.p[i];
        if (segment.p[i] != '%')
            continue;
        if (segment.n - i < 3)
            return false;
        int high = lh_hex_digit(segment.p[i + 1]);
        int low = lh_hex_digit(segment.p[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return false;
        char c = (char)(high * 16 + low);
        if (c == '/')
            continue; /* an encoded slash does not separate: left as it is */
        out[at - 1] = c;
        i += 2;
    }
    *n = at;
    return true;
}

/* Takes the last segment of `path` away, with its "/"; false: there is none. */
static bool climb(const char *path, size_t *n)
{
    if (*n == 0)
        return false;
    while (path[--*n] != '/')
        ;
    return true;
}

/* `out`, of raw.n + 1 bytes, holds "/segment/segment" without a slash at the
 * end while this runs; *n is its length. */
static bool resolve(char *out, size_t *n, struct lh_str raw)
{
    bool slash = true; /* does the path end in one? */
    size_t at = 0;

    for (size_t i = 0; i < raw.n;) {
        size_t from = i + (raw.p[i] == '/'), to = from, length;
        while (to < raw.n && raw.p[to] != '/')
            to++;
        i = to;
        slash = true;
        if (!decode_segment(out + at + 1, &length,
                            (struct lh_str){raw.p + from, to - from}))
            return false;
        const char *segment = out + at + 1;
        if (length == 0 || (length == 1 && segment[0] == '.'))
            continue;
        if (length == 2 && segment[0] == '.' && segment[1] == '.') {
            if (!climb(out, &at))
                return false;
            continue;
        }
        out[at] = '/';
        at += 1 + length;
        slash = false;
    }
    if (slash)
        out[at++] = '/';
    *n = at;
    return true;
}

/* Most paths are plain: they stay where they are and cost no memory. */
enum lh_target_result lh_target_path(struct lh_arena *a, struct lh_str origin,
                                     struct lh_str *path, struct lh_str *query)
{
    const char *mark = origin.n ? memchr(origin.p, '?', origin.n) : NULL;
    char *out = NULL;

    *path = origin;
    *query = (struct lh_str){NULL, 0};
    if (origin.n == 1 && origin.p[0] == '*')
        return LH_TARGET_OK;
    if (mark) {
        path->n = (size_t)(mark - origin.p);
        *query = (struct lh_str){mark + 1, origin.n - path->n - 1};
    }
    if (is_plain(*path))
        return path->p[0] == '/' ? LH_TARGET_OK : LH_TARGET_BAD;
    if (path->n && path->p[0] != '/')
        return LH_TARGET_BAD;
    if (!lh_arena_grow(a, &out, 0, path->n + 2))
        return LH_TARGET_MEMORY;
    if (!resolve(out, &path->n, *path))
        return LH_TARGET_BAD;
    path->p = out;
    return LH_TARGET_OK;
}
