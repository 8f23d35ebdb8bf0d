/*
 * The PROXY protocol's header: see proxy.h.
 *
 * The result never depends on how the octets were cut: a prefix of a header is
 * MORE or already BAD for what stands in it, and what follows a header is not
 * looked at.
 */
#include "net/proxy.h"

#include "base/ip.h"

#include <stdio.h>
#include <string.h>

#define V1_BYTES_MAX 107 /* with its CRLF */
#define V2_HEAD      16  /* signature, command, family, length */
#define TLV_HEAD     3   /* type, length */
#define SSL_HEAD     5   /* of the value: bits, verification */

/* 2.2: the low half of the 13th octet, and the 14th's halves. */
enum { COMMAND_LOCAL, COMMAND_PROXY };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };
#define TRANSPORT_MAX 2 /* unspecified, stream, datagram */

/* What of the additional information is looked at (2.2.1 and following). */
enum {
    TLV_AUTHORITY = 0x02,
    TLV_CRC32C = 0x03,
    TLV_SSL = 0x20,
    TLV_SSL_VERSION = 0x21,
    TLV_SSL_CIPHER = 0x23,
};
#define SSL_CLIENT_SSL 0x01 /* the client connected over TLS */

static const uint8_t v2_signature[12] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                         '\n', 'Q',  'U',  'I',  'T', '\n'};
static const char v1_signature[] = "PROXY ";

static enum lh_proxy_result refuse(struct lh_proxy *proxy, const char *why)
{
    proxy->why = why;
    return LH_PROXY_BAD;
}

static bool has_signature(const uint8_t *p, size_t n, const void *signature,
                          size_t signature_n)
{
    return memcmp(p, signature, n < signature_n ? n : signature_n) == 0;
}

/* --- version 1 ------------------------------------------------------------ */

/* The next word, which one space ends, or the end of the line. */
static struct lh_str next_word(struct lh_str *line)
{
    const char *space = memchr(line->p, ' ', line->n);
    struct lh_str word = {line->p, space ? (size_t)(space - line->p) : line->n};
    size_t used = word.n + (space != NULL);

    line->p += used;
    line->n -= used;
    return word;
}

/* The family was named, so the other one's addresses are a mistake. */
static bool v1_address(struct lh_str word, bool v6, char out[LH_IP_TEXT_BYTES])
{
    struct lh_ip ip;

    if (!lh_ip_parse(word, &ip) || v6 != (memchr(word.p, ':', word.n) != NULL))
        return false;
    lh_ip_text(&ip, out);
    return true;
}

static bool v1_port(struct lh_str word, int *port)
{
    uint64_t value;

    if ((word.n > 1 && word.p[0] == '0') ||
        !lh_str_to_u64(word, UINT16_MAX, &value))
        return false;
    *port = (int)value;
    return true;
}

/* The line without its first word and its CRLF. */
static enum lh_proxy_result v1_line(struct lh_str line, struct lh_proxy *proxy)
{
    struct lh_sock_ends *ends = &proxy->ends;
    struct lh_str family = next_word(&line);
    bool v6 = lh_str_equal(family, LH_STR("TCP6"));

    if (lh_str_equal(family, LH_STR("UNKNOWN")))
        return LH_PROXY_WHOLE; /* the rest of the line has no meaning */
    if (!v6 && !lh_str_equal(family, LH_STR("TCP4")))
        return refuse(proxy, "its family is not TCP4, TCP6 or UNKNOWN");
    if (!v1_address(next_word(&line), v6, ends->remote) ||
        !v1_address(next_word(&line), v6, ends->local))
        return refuse(proxy, "an address in it is none of its family");
    if (!v1_port(next_word(&line), &ends->remote_port) ||
        !v1_port(line, &ends->local_port))
        return refuse(proxy, "a port in it is no number from 0 to 65535");
    proxy->conveys = true;
    return LH_PROXY_WHOLE;
}

/* A line ends with CR LF; either alone is a mistake. */
static enum lh_proxy_result v1_read(const uint8_t *p, size_t n,
                                    struct lh_proxy *proxy)
{
    size_t most = n < V1_BYTES_MAX ? n : V1_BYTES_MAX, head = 6, end = head;

    if (!has_signature(p, n, v1_signature, head))
        return refuse(proxy, "what came first is no PROXY header");
    while (end < most && p[end] != '\r' && p[end] != '\n')
        end++;
    if (end + 1 >= V1_BYTES_MAX)
        return refuse(proxy, "it has no CR LF in its first 107 octets");
    if (end < most && p[end] == '\n')
        return refuse(proxy, "its line does not end with CR LF");
    if (end + 1 >= n)
        return LH_PROXY_MORE;
    if (p[end + 1] != '\n')
        return refuse(proxy, "its line does not end with CR LF");
    proxy->used = end + 2;
    return v1_line((struct lh_str){(const char *)p + head, end - head}, proxy);
}

/* --- version 2: what else it says ----------------------------------------- */

/* One type-length-value of a list. */
struct tlv {
    unsigned type;
    const uint8_t *value;
    size_t n;
};

/* Takes the next one off the list; false: it is longer than the list. */
static bool tlv_next(const uint8_t **p, size_t *n, struct tlv *tlv)
{
    if (*n < TLV_HEAD)
        return false;
    tlv->type = (*p)[0];
    tlv->n = (size_t)(*p)[1] << 8 | (*p)[2];
    tlv->value = *p + TLV_HEAD;
    if (tlv->n > *n - TLV_HEAD)
        return false;
    *p += TLV_HEAD + tlv->n;
    *n -= TLV_HEAD + tlv->n;
    return true;
}

/* CRC-32C (RFC 3720, B.4) over the header as it is with zeros in the place of
 * the sum.  Bit by bit: a header is short, and there is one a connection. */
static uint32_t crc32c(const uint8_t *p, size_t n, const uint8_t *sum)
{
    uint32_t crc = UINT32_MAX;

    for (const uint8_t *at = p; at < p + n; at++) {
        crc ^= at >= sum && at < sum + 4 ? 0 : *at;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

static bool sum_is_right(const uint8_t *p, size_t n, const struct tlv *tlv)
{
    const uint8_t *s = tlv->value;

    if (tlv->n != 4)
        return false;
    uint32_t sum = (uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 |
                   (uint32_t)s[2] << 8 | s[3];
    return crc32c(p, n, s) == sum;
}

/* Scripts and the log are told what is printable only. */
static struct lh_str printable(const struct tlv *tlv)
{
    for (size_t i = 0; i < tlv->n; i++) {
        if (tlv->value[i] <= ' ' || tlv->value[i] > '~')
            return (struct lh_str){NULL, 0};
    }
    return (struct lh_str){tlv->n ? (const char *)tlv->value : NULL, tlv->n};
}

static bool ssl_read(const struct tlv *ssl, struct lh_proxy *proxy)
{
    const uint8_t *p = ssl->value + SSL_HEAD;
    struct tlv tlv;

    if (ssl->n < SSL_HEAD)
        return false;
    proxy->secure = ssl->value[0] & SSL_CLIENT_SSL;
    for (size_t n = ssl->n - SSL_HEAD; n > 0;) {
        if (!tlv_next(&p, &n, &tlv))
            return false;
        if (tlv.type == TLV_SSL_VERSION)
            proxy->protocol = printable(&tlv);
        else if (tlv.type == TLV_SSL_CIPHER)
            proxy->cipher = printable(&tlv);
    }
    return true;
}

/* `from` is where the list begins in the header. */
static enum lh_proxy_result v2_tlvs(const uint8_t *header, size_t from,
                                    struct lh_proxy *proxy)
{
    const uint8_t *p = header + from;
    struct tlv tlv;

    for (size_t n = proxy->used - from; n > 0;) {
        if (!tlv_next(&p, &n, &tlv))
            return refuse(proxy, "its additional information is cut");
        if (tlv.type == TLV_AUTHORITY)
            proxy->server_name = printable(&tlv);
        if (tlv.type == TLV_SSL && !ssl_read(&tlv, proxy))
            return refuse(proxy, "its information on TLS is cut");
        if (tlv.type == TLV_CRC32C && !sum_is_right(header, proxy->used, &tlv))
            return refuse(proxy, "its checksum is wrong");
    }
    return LH_PROXY_WHOLE;
}

/* --- version 2: addresses ------------------------------------------------- */

static void v2_address(const uint8_t *p, bool v6, char out[LH_IP_TEXT_BYTES])
{
    struct lh_ip ip;

    if (v6)
        memcpy(ip.octets, p, sizeof(ip.octets));
    else
        ip = lh_ip_of_v4(p);
    lh_ip_text(&ip, out);
}

/* Octets that the addresses of a family take. */
static size_t v2_addresses_size(unsigned family)
{
    static const size_t sizes[] = {
        [FAMILY_UNSPEC] = 0,
        [FAMILY_INET] = 12,
        [FAMILY_INET6] = 36,
        [FAMILY_UNIX] = 216,
    };

    return sizes[family];
}

/* Source, destination, and where they have them their ports. */
static void v2_addresses(const uint8_t *p, unsigned family,
                         struct lh_sock_ends *ends)
{
    bool v6 = family == FAMILY_INET6;
    size_t n = v6 ? 16 : 4;

    if (family == FAMILY_UNIX) {
        *ends = (struct lh_sock_ends){.local = "unix", .remote = "unix"};
        return;
    }
    v2_address(p, v6, ends->remote);
    v2_address(p + n, v6, ends->local);
    p += 2 * n;
    ends->remote_port = p[0] << 8 | p[1];
    ends->local_port = p[2] << 8 | p[3];
}

/* Once the header is whole.  Of a proxy's own connection nothing is looked at,
 * whatever family it names. */
static enum lh_proxy_result v2_whole(const uint8_t *p, struct lh_proxy *proxy)
{
    unsigned family = p[13] >> 4;
    size_t size = v2_addresses_size(family);

    if ((p[12] & 0x0F) == COMMAND_LOCAL)
        return LH_PROXY_WHOLE;
    if (family == FAMILY_UNSPEC)
        return LH_PROXY_WHOLE;
    if (V2_HEAD + size > proxy->used)
        return refuse(proxy, "it is too short for the addresses of its family");
    v2_addresses(p + V2_HEAD, family, &proxy->ends);
    proxy->conveys = true;
    return v2_tlvs(p, V2_HEAD + size, proxy);
}

static enum lh_proxy_result v2_read(const uint8_t *p, size_t n,
                                    struct lh_proxy *proxy)
{
    if (!has_signature(p, n, v2_signature, sizeof(v2_signature)))
        return refuse(proxy, "what came first is no PROXY header");
    if (n > 12 && p[12] >> 4 != 2)
        return refuse(proxy, "its version is not 2");
    if (n > 12 && (p[12] & 0x0F) > COMMAND_PROXY)
        return refuse(proxy, "its command is neither LOCAL nor PROXY");
    if (n > 13 && (p[13] >> 4 > FAMILY_UNIX || (p[13] & 0x0F) > TRANSPORT_MAX))
        return refuse(proxy, "its family is not known");
    if (n < V2_HEAD)
        return LH_PROXY_MORE;
    proxy->used = V2_HEAD + ((size_t)p[14] << 8 | p[15]);
    if (proxy->used > LH_PROXY_BYTES_MAX)
        return refuse(proxy, "it is longer than 16 KiB");
    return n < proxy->used ? LH_PROXY_MORE : v2_whole(p, proxy);
}

enum lh_proxy_result lh_proxy_read(const uint8_t *p, size_t n,
                                   struct lh_proxy *proxy)
{
    *proxy = (struct lh_proxy){0};
    if (n == 0)
        return LH_PROXY_MORE;
    return p[0] == v2_signature[0] ? v2_read(p, n, proxy)
                                   : v1_read(p, n, proxy);
}
