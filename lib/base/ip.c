/*
 * Numeric addresses and networks: see ip.h.
 *
 * What always holds: an address is 16 octets, and one of IPv4 is the last four
 * of them behind the octets `mapped`; what a network has behind its bits is
 * zero; and who gives a list that is wrong keeps the one that there was.
 */
#include "base/ip.h"

#include "base/mem.h"

#include <stdio.h>

/* Of an address, and what comes before an IPv4 one (RFC 4291, 2.5.5.2). */
#define V6_BITS     128
#define MAPPED_BITS 96

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

struct lh_network {
    struct lh_ip ip;
    unsigned bits; /* that count, of 128 */
};

/* --- addresses ------------------------------------------------------------ */

/* Four decimal numbers; a leading zero, which some take for octal, is refused.
 */
static bool parse_v4(struct lh_str s, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        const char *dot = i < 3 ? memchr(s.p, '.', s.n) : s.p + s.n;
        uint64_t value;
        if (!dot)
            return false;
        struct lh_str part = {s.p, (size_t)(dot - s.p)};
        if ((part.n > 1 && part.p[0] == '0') ||
            !lh_str_to_u64(part, 255, &value))
            return false;
        out[i] = (uint8_t)value;
        s.n -= part.n + (i < 3);
        s.p = dot + (i < 3);
    }
    return true;
}

/* The octets of an IPv6 address so far, and where "::" stands among them. */
struct v6 {
    uint8_t octets[16];
    size_t n, gap; /* gap: SIZE_MAX: there is none yet */
};

/* Sixteen octets at most: the counts are looked at before anything is written.
 * One group: 16 bits in hex, or at the end an IPv4 address. */
static bool v6_group(struct v6 *v6, struct lh_str group, bool last)
{
    uint64_t value;

    if (last && memchr(group.p, '.', group.n)) {
        if (v6->n > 12 || !parse_v4(group, v6->octets + v6->n))
            return false;
        v6->n += 4;
        return true;
    }
    if (v6->n > 14 || group.n > 4 || !lh_str_hex_to_u64(group, &value))
        return false;
    v6->octets[v6->n++] = (uint8_t)(value >> 8);
    v6->octets[v6->n++] = (uint8_t)value;
    return true;
}

/* At the second colon of "::". */
static bool v6_gap(struct v6 *v6)
{
    if (v6->gap != SIZE_MAX)
        return false;
    v6->gap = v6->n;
    return true;
}

static bool v6_groups(struct v6 *v6, struct lh_str s)
{
    size_t at = 0;

    if (s.n >= 2 && s.p[0] == ':' && s.p[1] == ':') {
        v6_gap(v6);
        at = 2;
    }
    while (at < s.n) {
        const char *colon = memchr(s.p + at, ':', s.n - at);
        size_t end = colon ? (size_t)(colon - s.p) : s.n;
        if (!v6_group(v6, (struct lh_str){s.p + at, end - at}, !colon))
            return false;
        at = end + (colon != NULL);
        if (!colon)
            continue;
        if (at == s.n)
            return false; /* a single colon at the end */
        if (s.p[at] != ':')
            continue;
        if (!v6_gap(v6))
            return false;
        at++;
    }
    return true;
}

/* "::" stands for one group of zeros or more. */
static bool parse_v6(struct lh_str s, struct lh_ip *ip)
{
    struct v6 v6 = {.gap = SIZE_MAX};

    if (!v6_groups(&v6, s))
        return false;
    if (v6.gap == SIZE_MAX ? v6.n != 16 : v6.n > 14)
        return false;
    size_t head = v6.gap == SIZE_MAX ? 16 : v6.gap, tail = v6.n - head;
    if (v6.gap == SIZE_MAX)
        tail = 0;
    memset(ip->octets, 0, sizeof(ip->octets));
    memcpy(ip->octets, v6.octets, head);
    memcpy(ip->octets + 16 - tail, v6.octets + head, tail);
    return true;
}

struct lh_ip lh_ip_of_v4(const uint8_t octets[4])
{
    struct lh_ip ip;

    memcpy(ip.octets, mapped, sizeof(mapped));
    memcpy(ip.octets + sizeof(mapped), octets, 4);
    return ip;
}

bool lh_ip_parse(struct lh_str text, struct lh_ip *ip)
{
    uint8_t octets[4];

    if (text.n == 0 || text.n >= LH_IP_TEXT_BYTES)
        return false;
    if (memchr(text.p, ':', text.n))
        return parse_v6(text, ip);
    if (!parse_v4(text, octets))
        return false;
    *ip = lh_ip_of_v4(octets);
    return true;
}

static bool is_v4(const struct lh_ip *ip)
{
    return memcmp(ip->octets, mapped, sizeof(mapped)) == 0;
}

static unsigned group_of(const struct lh_ip *ip, int i)
{
    const uint8_t *p = &ip->octets[(size_t)i * 2];

    return (unsigned)p[0] << 8 | p[1];
}

/* The first of the longest runs of zero groups that are longer than one; its
 * length, and where it begins. */
static int longest_zeros(const struct lh_ip *ip, int *begin)
{
    int best = 1;

    *begin = -1;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && group_of(ip, i + n) == 0)
            n++;
        if (n > best) {
            best = n;
            *begin = i;
        }
    }
    return *begin < 0 ? 0 : best;
}

/* As RFC 5952 wants it, so that one address has one text: small letters, no
 * leading zeros, "::" for the longest run of zeros. */
void lh_ip_text(const struct lh_ip *ip, char out[LH_IP_TEXT_BYTES])
{
    const uint8_t *v4 = ip->octets + sizeof(mapped);
    size_t n = 0;
    int begin;

    if (is_v4(ip)) {
        snprintf(out, LH_IP_TEXT_BYTES, "%u.%u.%u.%u", v4[0], v4[1], v4[2],
                 v4[3]);
        return;
    }
    int zeros = longest_zeros(ip, &begin);
    for (int i = 0; i < 8; i++) {
        if (i == begin) {
            n += (size_t)snprintf(out + n, LH_IP_TEXT_BYTES - n, "::");
            i += zeros - 1;
            continue;
        }
        bool colon = i > 0 && i != begin + zeros;
        if (begin < 0)
            colon = i > 0;
        n += (size_t)snprintf(out + n, LH_IP_TEXT_BYTES - n, "%s%x",
                              colon ? ":" : "", group_of(ip, i));
    }
}

/* --- networks ------------------------------------------------------------- */

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* "10.0.0.1/8" is a slip of somebody who meant one of two things. */
static bool has_host_bits(const struct lh_network *net)
{
    for (unsigned i = net->bits; i < V6_BITS; i++) {
        if (net->ip.octets[i / 8] & 0x80 >> i % 8)
            return true;
    }
    return false;
}

/* NULL, or what is wrong.  "::ffff:10.0.0.0/104" counts its bits as IPv6 does,
 * "10.0.0.0/8" as IPv4. */
static const char *parse_network(struct lh_str s, struct lh_network *net)
{
    const char *slash = memchr(s.p, '/', s.n);
    struct lh_str address = {s.p, slash ? (size_t)(slash - s.p) : s.n};
    uint64_t bits = V6_BITS;

    if (!lh_ip_parse(address, &net->ip))
        return "is no numeric address, network or \"unix:\"";
    bool v4 = is_v4(&net->ip) && !memchr(address.p, ':', address.n);
    if (slash) {
        struct lh_str digits = {slash + 1, s.n - address.n - 1};
        if (!lh_str_to_u64(digits, v4 ? 32 : V6_BITS, &bits))
            return v4 ? "has no number of bits from 0 to 32 behind its slash"
                      : "has no number of bits from 0 to 128 behind its slash";
        bits += v4 ? MAPPED_BITS : 0;
    }
    net->bits = (unsigned)bits;
    return has_host_bits(net) ? "is an address inside of its network: its bits "
                                "behind the network's must be zero"
                              : NULL;
}

static int add_network(struct lh_networks *networks, struct lh_str s,
                       struct lh_err *err)
{
    size_t room = (networks->n + 1) * sizeof(struct lh_network);

    if (lh_str_equal(s, LH_STR("unix:"))) {
        networks->unix_sockets = true;
        return 0;
    }
    struct lh_network *v = lh_realloc(networks->v, room);
    if (!v)
        return lh_err_memory(err);
    networks->v = v;
    const char *why = parse_network(s, &v[networks->n]);
    if (why)
        return lh_err_set(err, LHTTPD_EINVAL, "\"%.*s\" %s",
                          (int)(s.n < 60 ? s.n : 60), s.p, why);
    networks->n++;
    return 0;
}

int lh_networks_parse(struct lh_networks *networks, const char *text,
                      struct lh_err *err)
{
    struct lh_networks parsed = {0};
    struct lh_str rest = lh_str_of(text), element;
    int r = 0;

    while (r == 0 && lh_str_next_element(&rest, &element))
        r = add_network(&parsed, element, err);
    if (r == 0 && lh_networks_empty(&parsed))
        r = lh_err_set(err, LHTTPD_EINVAL,
                       "no address: addresses, networks as 10.0.0.0/8, or "
                       "unix: are wanted, with commas between them");
    if (r < 0) {
        lh_networks_deinit(&parsed);
        return r;
    }
    lh_networks_deinit(networks);
    *networks = parsed;
    return 0;
}

void lh_networks_deinit(struct lh_networks *networks)
{
    lh_free(networks->v);
    *networks = (struct lh_networks){0};
}

bool lh_networks_empty(const struct lh_networks *networks)
{
    return networks->n == 0 && !networks->unix_sockets;
}

/* A network of IPv6, "::/0" even, has no IPv4 addresses, though these are kept
 * as IPv6. */
bool lh_networks_have(const struct lh_networks *networks,
                      const struct lh_ip *ip)
{
    for (size_t i = 0; i < networks->n; i++) {
        const struct lh_network *net = &networks->v[i];
        if (net->bits < MAPPED_BITS && is_v4(ip))
            continue;
        if (bits_equal(net->ip.octets, ip->octets, net->bits))
            return true;
    }
    return false;
}

bool lh_networks_have_text(const struct lh_networks *networks,
                           const char *address)
{
    struct lh_ip ip;

    if (strcmp(address, "unix") == 0)
        return networks->unix_sockets;
    return lh_ip_parse(lh_str_of(address), &ip) &&
           lh_networks_have(networks, &ip);
}
