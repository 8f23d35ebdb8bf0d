/*
 * Lines of the access log: see access_line.h.  Whoever calls has made room for
 * the longest line that can come of an entry, so nothing here looks at room:
 * each octet from outside becomes six at most, and all else is shorter than
 * FIXED_BYTES.  What a connection's lines have in common is written once for
 * it, by lh_access_ends().
 */
#include "server/access_line.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/clock.h"

/* Names, numbers, dates, addresses and what is between them; what TLS a proxy
 * says that its client speaks is not among these. */
#define FIXED_BYTES 1024

/* "\u00ff" */
#define ESCAPED_BYTES 6

#define PROTOCOL_BYTES (sizeof("HTTP/1.1") - 1) /* and of the others */

/* What other servers write where a client went before it was answered. */
#define NO_STATUS 499

/* --- what both kinds are made of ------------------------------------------ */

static char *put_n(char *to, const char *p, size_t n)
{
    memcpy(to, p, n);
    return to + n;
}

#define PUT(to, literal) put_n(to, literal, sizeof(literal) - 1)

static char *put_terminated(char *to, const char *s)
{
    return put_n(to, s, strlen(s));
}

/* Two digits, with their leading zero. */
static char *put_pair(char *to, size_t n)
{
    return put_n(to, &lh_dec_pairs[2 * n], 2);
}

/* Most numbers of a line are small. */
static char *put_decimal(char *to, uint64_t n)
{
    unsigned small = (unsigned)n;

    if (n >= 1000)
        return to + lh_u64_to_dec(to, n);
    if (small >= 100) {
        *to++ = (char)('0' + small / 100);
        return put_pair(to, small % 100);
    }
    if (small >= 10)
        return put_pair(to, small);
    *to++ = (char)('0' + small);
    return to;
}

/* Printable ASCII but quote and backslash stands for itself in all formats. */
static bool is_plain_octet(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

#define EACH(octet) (0x0101010101010101u * (octet))

/* Of eight octets: EACH(0x80) of it is zero where all are plain.  None that is
 * borrows from its neighbour or carries into it, so the lowest one that is not
 * shows. */
static uint64_t odd_ones(uint64_t x)
{
    return x | (x + EACH(1)) | (x - EACH(0x20)) | ((x ^ EACH('"')) - EACH(1)) |
           ((x ^ EACH('\\')) - EACH(1));
}

/* Copies one word, and says what is odd in it. */
static uint64_t copy_word(char *to, const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    memcpy(to, &word, sizeof(word));
    return odd_ones(word);
}

/* Four to seven octets, as two halves that may overlap. */
static uint64_t copy_halves(char *to, const char *p, size_t n)
{
    uint32_t first, last;

    memcpy(&first, p, sizeof(first));
    memcpy(&last, p + n - sizeof(last), sizeof(last));
    memcpy(to, &first, sizeof(first));
    memcpy(to + n - sizeof(last), &last, sizeof(last));
    return odd_ones((uint64_t)first << 32 | last);
}

/* Two or three, likewise; an octet that is there twice is no odder. */
static uint64_t copy_quarters(char *to, const char *p, size_t n)
{
    uint16_t first, last;

    memcpy(&first, p, sizeof(first));
    memcpy(&last, p + n - sizeof(last), sizeof(last));
    memcpy(to, &first, sizeof(first));
    memcpy(to + n - sizeof(last), &last, sizeof(last));
    return odd_ones(((uint64_t)first << 16 | last) * 0x100000001u);
}

/* Copies a text whole; false: something in it needs an escape.  Most texts are
 * plain, so that is found out by the way; the last word may overlap. */
static bool copy_plain(char *to, const char *p, size_t n)
{
    const size_t word = sizeof(uint64_t);
    uint64_t odd = 0;

    for (size_t at = 0; at + word <= n; at += word)
        odd |= copy_word(to + at, p + at);
    if (n >= word)
        odd |= copy_word(to + n - word, p + n - word);
    else if (n >= word / 2)
        odd = copy_halves(to, p, n);
    else if (n >= word / 4)
        odd = copy_quarters(to, p, n);
    else if (n)
        odd = is_plain_octet((uint8_t)(*to = *p)) ? 0 : EACH(0x80);
    return !(odd & EACH(0x80));
}

/* Copies up to what needs an escape; *at moves there. */
static char *put_plain(char *to, const char **at, const char *end)
{
    const char *p = *at;

    while (p < end && is_plain_octet((uint8_t)*p))
        *to++ = *p++;
    *at = p;
    return to;
}

static char *put_hex_octet(char *to, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";

    *to++ = digits[c >> 4];
    *to++ = digits[c & 15];
    return to;
}

static const char *line_date(struct lh_access_dates *dates, int64_t unix_s,
                             bool iso)
{
    if (dates->unix_s != unix_s) {
        dates->unix_s = unix_s;
        lh_clock_clf_date(unix_s, dates->clf);
        lh_clock_iso_date(unix_s, dates->iso);
    }
    return iso ? dates->iso : dates->clf;
}

/* --- common and combined -------------------------------------------------- */

static char *put_clf(char *to, lhttpd_text_t text)
{
    if (!text.bytes)
        return PUT(to, "-");
    const char *p = text.p, *end = p + text.bytes;
    if (copy_plain(to, p, text.bytes))
        return to + text.bytes;
    for (;;) {
        to = put_plain(to, &p, end);
        if (p == end)
            return to;
        to = put_hex_octet(PUT(to, "\\x"), (uint8_t)*p++);
    }
}

/* A request of which nothing could be read is "-". */
static char *put_request_line(char *to, const lhttpd_access_t *e)
{
    if (!e->method.p)
        return PUT(to, "\"-\"");
    to = put_clf(PUT(to, "\""), e->method);
    to = put_clf(PUT(to, " "), e->target);
    to = put_n(PUT(to, " "), e->protocol, PROTOCOL_BYTES);
    return PUT(to, "\"");
}

static char *put_common(char *to, const lhttpd_access_t *e,
                        struct lh_access_dates *dates)
{
    int64_t unix_s = e->begun_unix_us / 1000000;

    to = put_terminated(to, e->client);
    to = PUT(to, " - - [");
    to = put_n(to, line_date(dates, unix_s, false), LH_CLOCK_CLF_BYTES - 1);
    to = put_request_line(PUT(to, "] "), e);
    to = put_decimal(PUT(to, " "), e->status ? e->status : NO_STATUS);
    return put_decimal(PUT(to, " "), e->sent_bytes);
}

static char *put_combined(char *to, const lhttpd_access_t *e,
                          struct lh_access_dates *dates)
{
    to = put_common(to, e, dates);
    to = put_clf(PUT(to, " \""), e->referrer);
    to = put_clf(PUT(to, "\" \""), e->user_agent);
    return PUT(to, "\"");
}

/* --- JSON ----------------------------------------------------------------- */

/* One character that is not plain; *at moves behind it. */
static char *put_json_character(char *to, const char **at, const char *end)
{
    const char *p = *at;
    uint8_t c = (uint8_t)*p;
    size_t n =
        c < 0x80 ? 1 : lh_utf8_length((const uint8_t *)p, (size_t)(end - p));

    *at = p + (n ? n : 1);
    if (!n)
        return PUT(to, "\\ufffd");
    if (n > 1)
        return put_n(to, p, n);
    if (c == '"' || c == '\\')
        return put_n(PUT(to, "\\"), p, 1);
    return put_hex_octet(PUT(to, "\\u00"), c);
}

static char *put_json_string(char *to, const char *p, size_t n)
{
    const char *end = p + n;

    to = PUT(to, "\"");
    if (copy_plain(to, p, n))
        return PUT(to + n, "\"");
    for (;;) {
        to = put_plain(to, &p, end);
        if (p == end)
            return PUT(to, "\"");
        to = put_json_character(to, &p, end);
    }
}

static char *put_words(char *to, const char *s)
{
    return put_json_string(to, s, strlen(s));
}

/* Words of ours, an address say, need no escape. */
static char *put_known(char *to, const char *s)
{
    to = put_terminated(PUT(to, "\""), s);
    return PUT(to, "\"");
}

/* What is named is a literal with its quotes and its colon, and the comma
 * before: so that its length is known while compiling. */
#define PUT_TEXT(to, name, text)                                               \
    ((text).p ? put_json_string(PUT(to, name), (text).p, (text).bytes) : (to))
#define PUT_WORDS(to, name, s) ((s) ? put_words(PUT(to, name), s) : (to))
#define PUT_KNOWN(to, name, s) put_known(PUT(to, name), s)
#define PUT_VALUE(to, name, n) put_decimal(PUT(to, name), n)

static char *put_line_time(char *to, int64_t unix_us,
                           struct lh_access_dates *dates)
{
    unsigned us = (unsigned)(unix_us % 1000000);

    to = PUT(to, "{\"begun\":\"");
    to = put_n(to, line_date(dates, unix_us / 1000000, true),
               LH_CLOCK_ISO_BYTES - 2);
    to = put_pair(PUT(to, "."), us / 10000);
    to = put_pair(to, us / 100 % 100);
    to = put_pair(to, us % 100);
    return PUT(to, "Z\"");
}

static char *put_ends(char *to, const lhttpd_access_t *e)
{
    to = PUT_KNOWN(to, ",\"client\":", e->client);
    if (e->client_port)
        to = PUT_VALUE(to, ",\"client_port\":", (uint64_t)e->client_port);
    to = PUT_KNOWN(to, ",\"server\":", e->server);
    if (e->server_port)
        to = PUT_VALUE(to, ",\"server_port\":", (uint64_t)e->server_port);
    if (!e->tls_protocol)
        return to;
    to = PUT_WORDS(to, ",\"tls_protocol\":", e->tls_protocol);
    to = PUT_WORDS(to, ",\"tls_cipher\":", e->tls_cipher);
    return PUT_WORDS(to, ",\"tls_server_name\":", e->tls_server_name);
}

static char *put_json(char *to, const lhttpd_access_t *e, struct lh_str ends,
                      struct lh_access_dates *dates)
{
    static const struct lh_str endings[] = {
        [LHTTPD_ENDED_COMPLETE] = {"complete", 8},
        [LHTTPD_ENDED_GONE] = {"gone", 4},
        [LHTTPD_ENDED_TIMEOUT] = {"timeout", 7},
        [LHTTPD_ENDED_CUT] = {"cut", 3},
    };

    to = put_line_time(to, e->begun_unix_us, dates);
    to = ends.p ? put_n(to, ends.p, ends.n) : put_ends(to, e);
    to = put_n(PUT(to, ",\"protocol\":\""), e->protocol, PROTOCOL_BYTES);
    to = PUT(to, "\"");
    to = PUT_TEXT(to, ",\"method\":", e->method);
    to = PUT_TEXT(to, ",\"authority\":", e->authority);
    to = PUT_TEXT(to, ",\"target\":", e->target);
    to = PUT_WORDS(to, ",\"prefix\":", e->prefix);
    to = PUT_VALUE(to, ",\"status\":", e->status);
    to = put_n(PUT(to, ",\"ending\":\""), endings[e->ending].p,
               endings[e->ending].n);
    to = PUT(to, "\"");
    to = PUT_VALUE(to, ",\"sent_bytes\":", e->sent_bytes);
    to = PUT_VALUE(to, ",\"received_bytes\":", e->received_bytes);
    to = PUT_VALUE(to, ",\"header_us\":", e->header_us);
    to = PUT_VALUE(to, ",\"total_us\":", e->total_us);
    to = PUT_TEXT(to, ",\"referrer\":", e->referrer);
    to = PUT_TEXT(to, ",\"user_agent\":", e->user_agent);
    to = PUT_TEXT(to, ",\"request_id\":", e->request_id);
    to = PUT_TEXT(to, ",\"traceparent\":", e->traceparent);
    return PUT(to, "}");
}

/* --- all of them ---------------------------------------------------------- */

bool lh_access_format_of(const char *name, enum lh_access_format *format)
{
    static const char *const names[] = {
        [LH_ACCESS_COMMON] = "common",
        [LH_ACCESS_COMBINED] = "combined",
        [LH_ACCESS_JSON] = "json",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *format = (enum lh_access_format)i;
            return true;
        }
    }
    return false;
}

static size_t length_of_line(const char *s)
{
    return s ? strlen(s) : 0;
}

static size_t most_of_ends(const lhttpd_access_t *e)
{
    return length_of_line(e->tls_protocol) + length_of_line(e->tls_cipher) +
           length_of_line(e->tls_server_name);
}

char *lh_access_ends(const lhttpd_access_t *e, uint16_t *bytes)
{
    size_t most = FIXED_BYTES + ESCAPED_BYTES * most_of_ends(e);
    char *text = most <= UINT16_MAX ? lh_alloc(most) : NULL;

    if (!text)
        return NULL;
    *bytes = (uint16_t)(put_ends(text, e) - text);
    char *fitting = lh_realloc(text, *bytes);
    return fitting ? fitting : text;
}

size_t lh_access_line_most(enum lh_access_format format,
                           const lhttpd_access_t *e, struct lh_str ends)
{
    size_t n = e->method.bytes + e->target.bytes + e->referrer.bytes +
               e->user_agent.bytes;

    if (format == LH_ACCESS_JSON)
        n += e->authority.bytes + e->request_id.bytes + e->traceparent.bytes +
             length_of_line(e->prefix) + (ends.p ? 0 : most_of_ends(e));
    return FIXED_BYTES + ends.n + ESCAPED_BYTES * n;
}

size_t lh_access_line(char *to, enum lh_access_format format,
                      const lhttpd_access_t *e, struct lh_str ends,
                      struct lh_access_dates *dates)
{
    char *end = format == LH_ACCESS_JSON       ? put_json(to, e, ends, dates)
                : format == LH_ACCESS_COMBINED ? put_combined(to, e, dates)
                                               : put_common(to, e, dates);

    end = PUT(end, "\n");
    return (size_t)(end - to);
}
