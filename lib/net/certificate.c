/*
 * Walks through certificates: see certificate.h.  Octets of a client's come
 * here before anything is known of them.
 */
#include "net/certificate.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

/* --- whose, when, what for ------------------------------------------------ */

/* RFC 5280, 4.2.1.12 (2.5.29.37 and purposes) and 4.2.1.6 (2.5.29.17), as they
 * are encoded. */
static const uint8_t oid_extended_usage[] = {0x55, 0x1D, 0x25};
static const uint8_t oid_any_usage[] = {0x55, 0x1D, 0x25, 0x00};
static const uint8_t oid_alternatives[] = {0x55, 0x1D, 0x11};
static const uint8_t oid_server_auth[] = {0x2B, 0x06, 0x01, 0x05,
                                          0x05, 0x07, 0x03, 0x01};
static const uint8_t oid_client_auth[] = {0x2B, 0x06, 0x01, 0x05,
                                          0x05, 0x07, 0x03, 0x02};

/* So many decimal digits; -1: others. */
static int take_digits(struct lh_der *text, int n)
{
    int value = 0;

    if (text->n < (size_t)n)
        return -1;
    for (; n > 0; n--, text->p++, text->n--) {
        if (*text->p < '0' || *text->p > '9')
            return -1;
        value = value * 10 + (*text->p - '0');
    }
    return value;
}

/* Days from 1970-01-01 on, in the Gregorian calendar: years that begin in March
 * have their leap day at the end. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;

    return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 -
           719468;
}

/* UTCTime, of which 50 means 1950, or GeneralizedTime (RFC 5280, 4.1.2.5); both
 * with seconds and "Z". */
static bool take_time(struct lh_der *from, int64_t *unix_s)
{
    struct lh_der text;
    uint8_t tag;

    if (!lh_der_next(from, &tag, &text) ||
        (tag != LH_DER_UTC_TIME && tag != LH_DER_TIME))
        return false;
    int year = take_digits(&text, tag == LH_DER_UTC_TIME ? 2 : 4);
    if (year >= 0 && tag == LH_DER_UTC_TIME)
        year += year < 50 ? 2000 : 1900;
    int month = take_digits(&text, 2), day = take_digits(&text, 2);
    int hour = take_digits(&text, 2), minute = take_digits(&text, 2);
    int second = take_digits(&text, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31 ||
        hour < 0 || minute < 0 || second < 0 || text.n != 1 || *text.p != 'Z')
        return false;
    *unix_s = days_since_1970(year, month, day) * 86400 + hour * INT64_C(3600) +
              minute * INT64_C(60) + second;
    return true;
}

/* A list of purposes. */
static bool allows(struct lh_der list, const uint8_t purpose[8])
{
    struct lh_der oid;

    while (lh_der_expect(&list, LH_DER_OID, &oid)) {
        if (lh_der_is(oid, purpose, sizeof(oid_client_auth)) ||
            lh_der_is(oid, oid_any_usage, sizeof(oid_any_usage)))
            return true;
    }
    return false;
}

/* Of those that are not known none is refused here: a critical one is the
 * library's to refuse.  Without a list of purposes a certificate is for all. */
static bool take_extensions(struct lh_der list,
                            struct lh_certificate *certificate)
{
    struct lh_der extension, oid, value, purposes;
    uint8_t tag;

    while (list.n) {
        if (!lh_der_expect(&list, LH_DER_SEQUENCE, &extension) ||
            !lh_der_expect(&extension, LH_DER_OID, &oid) ||
            !lh_der_next(&extension, &tag, &value))
            return false;
        if (tag == LH_DER_BOOLEAN && !lh_der_next(&extension, &tag, &value))
            return false;
        if (lh_der_is(oid, oid_alternatives, sizeof(oid_alternatives)) &&
            tag == LH_DER_OCTETS)
            (void)lh_der_expect(&value, LH_DER_SEQUENCE,
                                &certificate->alternatives);
        if (!lh_der_is(oid, oid_extended_usage, sizeof(oid_extended_usage)))
            continue;
        if (tag != LH_DER_OCTETS ||
            !lh_der_expect(&value, LH_DER_SEQUENCE, &purposes))
            return false;
        certificate->for_clients = allows(purposes, oid_client_auth);
        certificate->for_servers = allows(purposes, oid_server_auth);
    }
    return true;
}

/* What follows the public key, of which extensions alone are of interest. */
static bool take_rest(struct lh_der tbs, struct lh_certificate *certificate)
{
    struct lh_der part, extensions;
    uint8_t tag;

    while (tbs.n) {
        if (!lh_der_next(&tbs, &tag, &part))
            return false;
        if (tag == LH_DER_EXTENSIONS &&
            (!lh_der_expect(&part, LH_DER_SEQUENCE, &extensions) ||
             !take_extensions(extensions, certificate)))
            return false;
    }
    return true;
}

bool lh_certificate_read(const uint8_t *der, size_t n,
                         struct lh_certificate *certificate)
{
    struct lh_der all = {der, n}, outer, tbs, part, validity;
    uint8_t tag;

    certificate->for_clients = certificate->for_servers = true;
    certificate->alternatives = (struct lh_der){NULL, 0};
    return lh_der_expect(&all, LH_DER_SEQUENCE, &outer) &&
           lh_der_expect(&outer, LH_DER_SEQUENCE, &tbs) &&
           lh_der_next(&tbs, &tag, &part) && /* the version, or ... */
           (tag != LH_DER_VERSION ||
            lh_der_next(&tbs, &tag, &part)) && /* the serial number */
           lh_der_next(&tbs, &tag, &part) &&   /* algorithm */
           lh_der_next(&tbs, &tag, &part) &&   /* issuer */
           lh_der_expect(&tbs, LH_DER_SEQUENCE, &validity) &&
           take_time(&validity, &certificate->not_before) &&
           take_time(&validity, &certificate->not_after) &&
           lh_der_expect(&tbs, LH_DER_SEQUENCE, &certificate->subject) &&
           lh_der_next(&tbs, &tag, &part) && /* public key */
           take_rest(tbs, certificate);
}

/* --- whose a server's is -------------------------------------------------- */

/* Of a name's general form (RFC 5280, 4.2.1.6). */
#define TAG_DNS     0x82
#define TAG_ADDRESS 0x87

void lh_host_read(struct lh_host *host, const char *text)
{
    size_t n = strlen(text);

    *host = (struct lh_host){.is_address = false};
    host->is_address = lh_ip_parse(lh_str_of(text), &host->address);
    if (n && text[n - 1] == '.')
        n--;
    if (n < sizeof(host->name))
        memcpy(host->name, text, n);
}

/* Names have no zero, and are ASCII.  A star is all of the first label and
 * stands for one label (RFC 9525, 6.3). */
static bool is_dns_name_of(struct lh_str own, struct lh_str host)
{
    const char *dot;

    if (own.n == 0 || own.p[0] != '*')
        return own.n > 0 && lh_str_equal_nocase(own, host);
    if (own.n < 3 || own.p[1] != '.')
        return false;
    dot = memchr(host.p, '.', host.n);
    if (!dot || dot == host.p)
        return false;
    own = (struct lh_str){own.p + 1, own.n - 1};
    return lh_str_equal_nocase(
        own, (struct lh_str){dot, host.n - (size_t)(dot - host.p)});
}

/* Four octets or sixteen, in the network's order (RFC 5280, 4.2.1.6). */
static bool is_address_of(struct lh_der own, const struct lh_ip *address)
{
    struct lh_ip ip = {{0}};

    if (own.n != 4 && own.n != sizeof(ip.octets))
        return false;
    if (own.n == 4)
        ip = lh_ip_of_v4(own.p);
    else
        memcpy(ip.octets, own.p, own.n);
    return memcmp(ip.octets, address->octets, sizeof(ip.octets)) == 0;
}

bool lh_certificate_is_of(const struct lh_certificate *certificate,
                          const struct lh_host *host)
{
    struct lh_der list = certificate->alternatives, one;
    struct lh_str name = lh_str_of(host->name);
    uint8_t tag;

    while (lh_der_next(&list, &tag, &one)) {
        struct lh_str own = {(const char *)one.p, one.n};
        if (tag == TAG_ADDRESS && host->is_address &&
            is_address_of(one, &host->address))
            return true;
        if (tag == TAG_DNS && !host->is_address && is_dns_name_of(own, name))
            return true;
    }
    return false;
}

/* --- names ---------------------------------------------------------------- */

/* Types that have a name in strings: those of RFC 4514, 3, and what OpenSSL
 * calls others that are usual. */
static const struct {
    uint8_t n;
    uint8_t oid[10];
    const char *name;
} types[] = {
    {3, {0x55, 4, 3}, "CN"},
    {3, {0x55, 4, 7}, "L"},
    {3, {0x55, 4, 8}, "ST"},
    {3, {0x55, 4, 10}, "O"},
    {3, {0x55, 4, 11}, "OU"},
    {3, {0x55, 4, 6}, "C"},
    {3, {0x55, 4, 9}, "STREET"},
    {10, {9, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 25}, "DC"},
    {10, {9, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 1, 1}, "UID"},
    {9, {0x2A, 0x86, 0x48, 0x86, 0xF7, 13, 1, 9, 1}, "emailAddress"},
    {3, {0x55, 4, 5}, "serialNumber"},
    {3, {0x55, 4, 4}, "SN"},
    {3, {0x55, 4, 42}, "GN"},
    {3, {0x55, 4, 12}, "title"},
};

/* The string so far; `n` may pass `room`, and then does not fit. */
struct text {
    char *p;
    size_t n, room;
};

static void put_char(struct text *t, char c)
{
    if (t->n < t->room)
        t->p[t->n] = c;
    t->n++;
}

static void put_dn_text(struct text *t, const char *s)
{
    while (*s)
        put_char(t, *s++);
}

static void put_octet_hex(struct text *t, uint8_t octet)
{
    static const char digits[] = "0123456789ABCDEF";

    put_char(t, digits[octet >> 4]);
    put_char(t, digits[octet & 15]);
}

/* "1.3.6.1": each number has seven bits an octet, the first two share one. */
static void put_dotted(struct text *t, struct lh_der oid)
{
    char number[48];
    uint64_t value = 0;
    bool first = true;

    for (size_t i = 0; i < oid.n; i++) {
        value = value << 7 | (oid.p[i] & 0x7F);
        if (oid.p[i] & 0x80)
            continue;
        if (first) {
            uint64_t top = value < 40 ? 0 : value < 80 ? 1 : 2;
            snprintf(number, sizeof(number), "%llu.%llu",
                     (unsigned long long)top,
                     (unsigned long long)(value - top * 40));
        } else {
            snprintf(number, sizeof(number), ".%llu",
                     (unsigned long long)value);
        }
        put_dn_text(t, number);
        first = false;
        value = 0;
    }
}

static const char *name_of_type(struct lh_der oid)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (lh_der_is(oid, types[i].oid, types[i].n))
            return types[i].name;
    }
    return NULL;
}

/* A character as UTF-8 (RFC 3629), escaped where RFC 4514, 2.4 wants it. */
static void put_dn_escaped(struct text *t, uint32_t c, bool first, bool last)
{
    if (c < 0x20 || c == 0x7F) {
        put_char(t, '\\');
        put_octet_hex(t, (uint8_t)c);
        return;
    }
    if ((c < 0x80 && strchr("\"+,;<>\\", (int)c)) ||
        (c == ' ' && (first || last)) || (c == '#' && first))
        put_char(t, '\\');
    if (c < 0x80) {
        put_char(t, (char)c);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    put_char(t, (char)(lead[more] | c >> 6 * more));
    while (more-- > 0)
        put_char(t, (char)(0x80 | (c >> 6 * more & 0x3F)));
}

/* Takes one character of UTF-8; false: it is none, or not the shortest. */
static bool take_utf8(struct lh_der *s, uint32_t *c)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t lead = *s->p;
    size_t more = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;

    if ((lead >= 0x80 && lead < 0xC0) || lead >= 0xF8 || s->n <= more)
        return false;
    *c = more ? lead & (0x3Fu >> more) : lead;
    for (size_t i = 1; i <= more; i++) {
        if ((s->p[i] & 0xC0) != 0x80)
            return false;
        *c = *c << 6 | (s->p[i] & 0x3F);
    }
    s->p += more + 1;
    s->n -= more + 1;
    return *c >= least[more] && *c <= 0x10FFFF && (*c & 0xFFFFF800) != 0xD800;
}

/* One of a fixed number of octets, big endian. */
static bool take_wide(struct lh_der *s, size_t octets, uint32_t *c)
{
    if (s->n < octets)
        return false;
    *c = 0;
    for (size_t i = 0; i < octets; i++)
        *c = *c << 8 | s->p[i];
    s->p += octets;
    s->n -= octets;
    return *c <= 0x10FFFF && (*c & 0xFFFFF800) != 0xD800;
}

/* Octets a character of the string types (X.680, 8.4), 0: UTF-8; -1: no string.
 */
static int width_of(uint8_t tag)
{
    switch (tag) {
    case 0x0C:
        return 0;
    case 0x12: /* digits, printable, T.61 taken for Latin 1, IA5, visible */
    case 0x13:
    case 0x14:
    case 0x16:
    case 0x1A:
        return 1;
    case 0x1E:
        return 2;
    case 0x1C:
        return 4;
    default:
        return -1;
    }
}

/* False: it is no string, and nothing was written that counts. */
static bool put_string(struct text *t, uint8_t tag, struct lh_der s)
{
    int width = width_of(tag);
    bool first = true;
    uint32_t c;

    if (width < 0)
        return false;
    while (s.n) {
        bool taken =
            width ? take_wide(&s, (size_t)width, &c) : take_utf8(&s, &c);
        if (!taken)
            return false;
        put_dn_escaped(t, c, first, s.n == 0);
        first = false;
    }
    return true;
}

/* What is no string is told as it is encoded: "#04024869". */
static void put_value(struct text *t, struct lh_der whole, uint8_t tag,
                      struct lh_der content)
{
    size_t begin = t->n;

    if (put_string(t, tag, content))
        return;
    t->n = begin;
    put_char(t, '#');
    for (size_t i = 0; i < whole.n; i++)
        put_octet_hex(t, whole.p[i]);
}

/* One set: pairs with "+" between them. */
static bool put_set(struct text *t, struct lh_der set)
{
    struct lh_der pair, oid, value, whole;
    uint8_t tag;

    for (bool first = true; set.n; first = false) {
        if (!lh_der_expect(&set, LH_DER_SEQUENCE, &pair) ||
            !lh_der_expect(&pair, LH_DER_OID, &oid))
            return false;
        whole = pair;
        if (!lh_der_next(&pair, &tag, &value) || pair.n)
            return false;
        const char *name = name_of_type(oid);
        if (!first)
            put_char(t, '+');
        if (name)
            put_dn_text(t, name);
        else
            put_dotted(t, oid);
        put_char(t, '=');
        put_value(t, whole, tag, value);
    }
    return true;
}

/* Sets stand in the opposite order in a string. */
#define SETS_MAX 64

size_t lh_certificate_name(struct lh_der name, char *out, size_t room)
{
    struct text t = {.p = out, .room = room};
    struct lh_der sets[SETS_MAX];
    size_t n = 0;

    for (; name.n; n++) {
        if (n == SETS_MAX || !lh_der_expect(&name, LH_DER_SET, &sets[n]))
            return SIZE_MAX;
    }
    for (size_t i = n; i > 0; i--) {
        if (i < n)
            put_char(&t, ',');
        if (!put_set(&t, sets[i - 1]))
            return SIZE_MAX;
    }
    if (t.n >= room)
        return SIZE_MAX;
    out[t.n] = '\0';
    return t.n;
}
