/*
 * The server name, the session and the versions in a ClientHello (RFC 5246,
 * 7.4.1.2): see hello.h.  The message is walked through once, as far as it has
 * come; nothing of it is kept but what is asked for.
 */
#include "net/hello.h"

#include <stdbool.h>
#include <string.h>

/* RFC 5246, A.1 and A.3. */
#define RECORD_HEADER_BYTES 5
#define RECORD_BYTES_MAX    16384
#define RECORD_ALERT        21
#define RECORD_HANDSHAKE    22
#define VERSION_MAJOR       3
#define ALERT_BYTES         2
#define WARNING             1

#define HELLO_REQUEST      0
#define CLIENT_HELLO       1
#define VERSION_BYTES      2
#define RANDOM_BYTES       32
#define EXTENSION_NAME     0  /* server_name (RFC 6066, 1.1) */
#define EXTENSION_VERSIONS 43 /* supported_versions (RFC 8446, 4.2.1) */
#define NAME_HOST          0  /* host_name (RFC 6066, 3) */

/* A place in the message, which goes on from record to record. */
struct reader {
    const uint8_t *p;
    size_t n;      /* octets from here on, records and all */
    size_t record; /* octets left of this record's payload */
    size_t left;   /* octets left of the message; SIZE_MAX: not known yet */
    bool bad;      /* no record may begin so, or the message ends too early */
};

static void hello_advance(struct reader *r, size_t n)
{
    r->p += n;
    r->n -= n;
}

/* Takes n octets that lie in one piece, as nearly all do, and returns them;
 * NULL: they do not, or not all are there. */
static const uint8_t *take_piece(struct reader *r, size_t n)
{
    const uint8_t *p = r->p;

    if (n > r->n || n > r->record || n > r->left)
        return NULL;
    hello_advance(r, n);
    r->record -= n;
    r->left -= n;
    return p;
}

static size_t size_of(const uint8_t *record)
{
    return (size_t)record[3] << 8 | record[4];
}

/* May these octets begin a record here?  An alert may, as long as it is a mere
 * warning. */
static bool begins_record(const uint8_t *p, size_t n)
{
    bool alert = n > 0 && p[0] == RECORD_ALERT;

    if (n > 0 && p[0] != RECORD_HANDSHAKE && !alert)
        return false;
    if (n > 1 && p[1] != VERSION_MAJOR)
        return false;
    if (n >= RECORD_HEADER_BYTES && size_of(p) > RECORD_BYTES_MAX)
        return false;
    return !alert || n <= RECORD_HEADER_BYTES ||
           (size_of(p) == ALERT_BYTES && p[RECORD_HEADER_BYTES] == WARNING);
}

/* To the next record of a handshake that has octets.  False: it has not come
 * yet, or what comes is bad. */
static bool next_record(struct reader *r)
{
    while (r->record == 0) {
        r->bad |= !begins_record(r->p, r->n);
        if (r->bad || r->n < RECORD_HEADER_BYTES)
            return false;
        size_t size = size_of(r->p);
        if (r->p[0] == RECORD_HANDSHAKE) {
            hello_advance(r, RECORD_HEADER_BYTES);
            r->record = size;
        } else if (r->n < RECORD_HEADER_BYTES + size) {
            return false;
        } else {
            hello_advance(r, RECORD_HEADER_BYTES + size);
        }
    }
    return true;
}

/* Takes n octets, to `to` if that is not NULL.  False: there are not so many,
 * or not yet. */
static bool hello_take(struct reader *r, uint8_t *to, size_t n)
{
    r->bad |= n > r->left;
    while (n && !r->bad) {
        if (!next_record(r) || r->n == 0)
            return false;
        size_t k = n < r->record ? n : r->record;
        k = k < r->n ? k : r->n;
        if (to)
            memcpy(to, r->p, k);
        to = to ? to + k : NULL;
        hello_advance(r, k);
        r->record -= k;
        r->left -= k;
        n -= k;
    }
    return !r->bad;
}

static bool skip(struct reader *r, size_t n)
{
    return take_piece(r, n) || hello_take(r, NULL, n);
}

/* A number of `width` octets, at most three. */
static bool number(struct reader *r, size_t width, size_t *value)
{
    uint8_t octets[3];
    const uint8_t *p = take_piece(r, width);

    *value = 0;
    if (!p && !hello_take(r, octets, width))
        return false;
    p = p ? p : octets;
    for (size_t i = 0; i < width; i++)
        *value = *value << 8 | p[i];
    return true;
}

/* Skips a list whose size stands before it. */
static bool skip_list(struct reader *r, size_t width)
{
    size_t n;

    return number(r, width, &n) && skip(r, n);
}

/* One that is too long counts as none: the engine refuses it. */
static bool hello_read_session(struct reader *r, struct lh_hello *hello)
{
    size_t n;

    if (!number(r, 1, &n))
        return false;
    bool fits = n <= sizeof(hello->session);
    hello->session_n = fits ? n : 0;
    return hello_take(r, fits ? hello->session : NULL, n);
}

static bool hello_read_suites(struct reader *r, struct lh_hello *hello)
{
    size_t n, suite;

    if (!number(r, 2, &n))
        return false;
    for (; n >= 2 && hello->suites_n < LH_HELLO_SUITES_MAX; n -= 2) {
        if (!number(r, 2, &suite))
            return false;
        hello->suites[hello->suites_n++] = (uint16_t)suite;
    }
    return skip(r, n);
}

/* ServerNameList; of several host names the last counts, as in the engine. */
static bool hello_read_names(struct reader *r, char *name)
{
    size_t list, type, n;

    if (!number(r, 2, &list))
        return false;
    for (; list > 0; list -= 3 + n) {
        if (!number(r, 1, &type) || !number(r, 2, &n))
            return false;
        if (n + 3 > list) {
            r->bad = true;
            return false;
        }
        bool wanted = type == NAME_HOST && n < LH_HELLO_NAME_BYTES;
        if (!hello_take(r, wanted ? (uint8_t *)name : NULL, n))
            return false;
        if (wanted)
            name[n] = '\0';
    }
    return true;
}

/* Is it one of TLS?  Clients mix in others (0x0A0A, RFC 8701) and drafts. */
static bool is_version(size_t value)
{
    return value >> 8 == VERSION_MAJOR;
}

/* They count in the place of the one in the message's head.  The engine knows
 * no such extension: one of another shape is not refused. */
static bool hello_read_versions(struct reader *r, size_t n,
                                struct lh_hello *hello)
{
    size_t list, version;
    bool first = true;

    if (n == 0 || !number(r, 1, &list))
        return n == 0;
    if (list + 1 != n)
        return skip(r, n - 1);
    for (; list > 1; list -= 2) {
        if (!number(r, 2, &version))
            return false;
        if (!is_version(version))
            continue;
        if (first || version < hello->version_min)
            hello->version_min = (unsigned)version;
        if (first || version > hello->version_max)
            hello->version_max = (unsigned)version;
        first = false;
    }
    return skip(r, list);
}

static bool hello_read_extension(struct reader *r, struct lh_hello *hello)
{
    size_t type, n;

    if (!number(r, 2, &type) || !number(r, 2, &n))
        return false;
    if (type == EXTENSION_NAME)
        return hello_read_names(r, hello->name);
    if (type == EXTENSION_VERSIONS)
        return hello_read_versions(r, n, hello);
    return skip(r, n);
}

static bool read_extensions(struct reader *r, struct lh_hello *hello)
{

    if (r->left == 0)
        return true; /* there need not be any */
    if (!skip(r, 2)) /* the size of all: they end with the message */
        return false;
    while (r->left) {
        if (!hello_read_extension(r, hello))
            return false;
    }
    return true;
}

static bool read_message(struct reader *r, struct lh_hello *hello)
{
    size_t type, n, version;

    do { /* the engine ignores a HelloRequest, which is empty */
        if (!number(r, 1, &type))
            return false;
        r->bad |= type != CLIENT_HELLO && type != HELLO_REQUEST;
        if (r->bad || !number(r, 3, &n))
            return false;
        r->bad |= type == HELLO_REQUEST && n > 0;
    } while (type == HELLO_REQUEST && !r->bad);
    r->left = n;
    if (!number(r, VERSION_BYTES, &version))
        return false;
    hello->version_min = hello->version_max = (unsigned)version;
    return skip(r, RANDOM_BYTES) && hello_read_session(r, hello) &&
           hello_read_suites(r, hello) && skip_list(r, 1) &&
           read_extensions(r, hello);
}

enum lh_hello_result lh_hello_read(const uint8_t *p, size_t n,
                                   struct lh_hello *hello)
{
    struct reader r = {.p = p, .n = n, .left = SIZE_MAX};

    *hello = (struct lh_hello){.name = ""};
    if (!read_message(&r, hello)) {
        *hello = (struct lh_hello){.name = ""};
        return r.bad ? LH_HELLO_BAD : LH_HELLO_MORE;
    }
    size_t end = strlen(hello->name);
    if (end && hello->name[end - 1] == '.')
        hello->name[end - 1] = '\0';
    return LH_HELLO_WHOLE;
}
