/*
 * Forwarded requests: see forwarded.h.
 *
 * Fields are read from the left, for quotes can be told only so, into a ring of
 * the last hops; then the hops are walked from the right.  What is left of the
 * first address that is not trusted has no influence on the result, whatever it
 * is, but within the same line of a "forwarded" that cannot be read.
 */
#include "http/forwarded.h"

/* One proxy, and whom it says to have served. */
struct hop {
    struct lh_str node;  /* .p NULL: it does not say */
    struct lh_str proto; /* likewise */
    bool bad;            /* a line that cannot be read */
};

struct hops {
    struct hop ring[LH_FORWARDED_HOPS];
    size_t n; /* that there were, which may be more */
};

static void hops_add(struct hops *hops, struct hop hop)
{
    hops->ring[hops->n++ % LH_FORWARDED_HOPS] = hop;
}

/* Counted from the right, from 0 on; NULL: there are not so many, or too many.
 */
static const struct hop *hop_at(const struct hops *hops, size_t i)
{
    if (i >= hops->n || i >= LH_FORWARDED_HOPS)
        return NULL;
    return &hops->ring[(hops->n - 1 - i) % LH_FORWARDED_HOPS];
}

/* --- who (RFC 7239, 6) ---------------------------------------------------- */

enum node_kind { NODE_ADDRESS, NODE_HIDDEN, NODE_BAD };

static bool is_hidden_name(struct lh_str s)
{
    if (s.n < 2 || s.p[0] != '_')
        return false;
    for (size_t i = 1; i < s.n; i++) {
        char c = lh_lower(s.p[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' &&
            c != '_' && c != '-')
            return false;
    }
    return true;
}

/* What follows an address: nothing, or ":" and a port. */
static bool node_port(struct lh_str s, int *port)
{
    uint64_t value;

    *port = 0;
    if (s.n == 0)
        return true;
    if (s.p[0] != ':')
        return false;
    s.p++;
    s.n--;
    if (is_hidden_name(s))
        return true;
    if (s.n > 5 || !lh_str_to_u64(s, UINT16_MAX, &value))
        return false;
    *port = (int)value;
    return true;
}

/* Splits at the end of the address; *s keeps the rest.  An IPv6 address without
 * brackets has no port. */
static struct lh_str node_address(struct lh_str *s, bool brackets_only)
{
    const char *end = s->p + s->n, *colon = memchr(s->p, ':', s->n), *cut = end;
    struct lh_str address;

    if (s->n && s->p[0] == '[') {
        cut = memchr(s->p, ']', s->n);
        if (!cut)
            return (struct lh_str){NULL, 0};
        address = (struct lh_str){s->p + 1, (size_t)(cut - s->p) - 1};
        cut++;
    } else {
        bool several =
            colon && memchr(colon + 1, ':', (size_t)(end - colon - 1));
        if (several && brackets_only)
            return (struct lh_str){NULL, 0};
        if (colon && !several)
            cut = colon;
        address = (struct lh_str){s->p, (size_t)(cut - s->p)};
    }
    *s = (struct lh_str){cut, (size_t)(end - cut)};
    return address;
}

/* nginx says "unix:" of the other end of a unix socket. */
static enum node_kind read_node(struct lh_str s, bool brackets_only,
                                struct lh_forwarded *out)
{
    struct lh_ip ip;
    int port;

    if (lh_str_equal(s, LH_STR("unix:"))) {
        memcpy(out->addr, "unix", sizeof("unix"));
        out->port = 0;
        return NODE_ADDRESS;
    }
    bool bracket = s.n && s.p[0] == '[';
    struct lh_str address = node_address(&s, brackets_only);
    if (!address.p || !node_port(s, &port))
        return NODE_BAD;
    if (!bracket && (lh_str_equal_nocase(address, LH_STR("unknown")) ||
                     is_hidden_name(address)))
        return NODE_HIDDEN;
    if (!lh_ip_parse(address, &ip) ||
        (bracket && !memchr(address.p, ':', address.n)))
        return NODE_BAD;
    lh_ip_text(&ip, out->addr);
    out->port = port;
    return NODE_ADDRESS;
}

static struct lh_str scheme_of(struct lh_str proto)
{
    static const struct lh_str schemes[] = {{"https", 5}, {"http", 4}};

    for (size_t i = 0; i < 2; i++) {
        if (lh_str_equal_nocase(proto, schemes[i]))
            return schemes[i];
    }
    return (struct lh_str){NULL, 0};
}

/* --- the walk ------------------------------------------------------------- */

/* Goes from the nearest hop to the client.  How many hops it went, of which the
 * last one knows the client best; SIZE_MAX: a hop cannot be understood. */
static size_t walk_hops(const struct hops *hops,
                        const struct lh_networks *trusted, bool brackets_only,
                        struct lh_forwarded *out)
{
    const struct hop *hop;
    size_t n = 0;

    while ((hop = hop_at(hops, n)) != NULL) {
        struct lh_forwarded found = {.port = 0};
        enum node_kind kind = NODE_HIDDEN;
        n++;
        if (!hop->bad && hop->node.p)
            kind = read_node(hop->node, brackets_only, &found);
        if (hop->bad || kind == NODE_BAD)
            return SIZE_MAX;
        if (kind == NODE_HIDDEN)
            return n;
        memcpy(out->addr, found.addr, sizeof(out->addr));
        out->port = found.port;
        if (!lh_networks_have_text(trusted, out->addr))
            return n;
    }
    return hops->n > LH_FORWARDED_HOPS ? SIZE_MAX : n;
}

/* --- x-forwarded-for ------------------------------------------------------ */

static void gather_x(const struct lh_fields *fields, struct lh_str name,
                     struct hops *hops)
{
    for (unsigned i = 0; i < fields->n; i++) {
        struct lh_str rest = fields->v[i].value, element;
        if (!lh_str_equal(fields->v[i].name, name))
            continue;
        while (lh_str_next_element(&rest, &element))
            hops_add(hops, (struct hop){.node = element});
    }
}

/* The protocol that the hop which told the client was asked by: its own element
 * where each hop adds one, the only one where each sets it. */
static struct lh_str x_scheme(const struct lh_fields *fields, size_t hops_n)
{
    struct hops protos = {.n = 0};
    size_t i = hops_n ? hops_n - 1 : 0;

    gather_x(fields, LH_STR("x-forwarded-proto"), &protos);
    if (protos.n == 0)
        return (struct lh_str){NULL, 0};
    const struct hop *hop = hop_at(&protos, i < protos.n ? i : protos.n - 1);
    return hop ? scheme_of(hop->node) : (struct lh_str){NULL, 0};
}

static void read_x(const struct lh_fields *fields,
                   const struct lh_networks *trusted, struct lh_forwarded *out)
{
    struct hops hops = {.n = 0};

    gather_x(fields, LH_STR("x-forwarded-for"), &hops);
    size_t n = walk_hops(&hops, trusted, false, out);
    if (n == SIZE_MAX)
        *out = (struct lh_forwarded){.port = 0};
    else
        out->scheme = x_scheme(fields, n);
}

/* --- forwarded (RFC 7239, 4) ---------------------------------------------- */

/* What is left of a field's value. */
struct reader {
    const char *p, *end;
};

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && lh_is_blank(*r->p))
        r->p++;
}

static bool take_char(struct reader *r, char c)
{
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static struct lh_str take_token(struct reader *r)
{
    const char *begin = r->p;

    while (r->p < r->end && lh_token_lower[(unsigned char)*r->p])
        r->p++;
    return (struct lh_str){begin, (size_t)(r->p - begin)};
}

/* Behind its first quote.  No value that counts needs a backslash, so they are
 * left in. */
static bool take_quoted(struct reader *r, struct lh_str *value)
{
    const char *begin = r->p;

    while (r->p < r->end && *r->p != '"')
        r->p += *r->p == '\\' && r->p + 1 < r->end ? 2 : 1;
    *value = (struct lh_str){begin, (size_t)(r->p - begin)};
    return take_char(r, '"');
}

/* A parameter may stand once in an element. */
static bool set_once(struct lh_str *to, struct lh_str value)
{
    if (to->p)
        return false;
    *to = value;
    return true;
}

/* name=value */
static bool take_pair(struct reader *r, struct hop *hop)
{
    struct lh_str name = take_token(r), value;

    if (name.n == 0 || !take_char(r, '='))
        return false;
    if (take_char(r, '"')) {
        if (!take_quoted(r, &value))
            return false;
    } else {
        value = take_token(r);
        if (value.n == 0)
            return false;
    }
    if (lh_str_equal_nocase(name, LH_STR("for")))
        return set_once(&hop->node, value);
    if (lh_str_equal_nocase(name, LH_STR("proto")))
        return set_once(&hop->proto, value);
    return true;
}

/* Pairs with semicolons between them, up to a comma or the end; each may be
 * left out.  *any: there was one. */
static bool take_element(struct reader *r, struct hop *hop, bool *any)
{
    *hop = (struct hop){.bad = false};
    *any = false;
    for (;;) {
        skip_blanks(r);
        if (r->p < r->end && *r->p != ';' && *r->p != ',') {
            if (!take_pair(r, hop))
                return false;
            *any = true;
        }
        skip_blanks(r);
        if (!take_char(r, ';'))
            return r->p == r->end || *r->p == ',';
    }
}

/* One line of the field. */
static void gather_line(struct lh_str line, struct hops *hops)
{
    struct reader r = {line.p, line.p + line.n};
    struct hop hop;
    bool any;

    do {
        if (!take_element(&r, &hop, &any)) {
            hops_add(hops, (struct hop){.bad = true});
            return;
        }
        if (any)
            hops_add(hops, hop);
    } while (take_char(&r, ','));
}

static void read_rfc7239(const struct lh_fields *fields,
                         const struct lh_networks *trusted,
                         struct lh_forwarded *out)
{
    struct hops hops = {.n = 0};

    for (unsigned i = 0; i < fields->n; i++) {
        if (lh_str_equal(fields->v[i].name, LH_STR("forwarded")))
            gather_line(fields->v[i].value, &hops);
    }
    size_t n = walk_hops(&hops, trusted, true, out);
    if (n == SIZE_MAX)
        *out = (struct lh_forwarded){.port = 0};
    else if (n > 0)
        out->scheme = scheme_of(hop_at(&hops, n - 1)->proto);
}

/* --- either --------------------------------------------------------------- */

void lh_forwarded_read(const struct lh_fields *fields, enum lh_forwarded_by by,
                       const struct lh_networks *trusted,
                       struct lh_forwarded *out)
{
    *out = (struct lh_forwarded){.port = 0};
    if (by == LH_FORWARDED_X)
        read_x(fields, trusted, out);
    else
        read_rfc7239(fields, trusted, out);
}
