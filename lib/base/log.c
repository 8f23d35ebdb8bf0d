/* The log: see log.h.  Where it goes by default: os/log_sink.c. */
#include "base/log.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Longer texts are cut, so that a client cannot fill a disk with one line. */
#define MESSAGE_BYTES 4096
#define ABOUT_BYTES   1024

/* Where cleaned text goes; a text that does not fit ends in "...". */
struct text {
    char *to;
    size_t n, room; /* room leaves space for the dots and the end */
};

/* False: it does not fit, and the dots say so; nothing may follow. */
static bool text_add(struct text *t, const void *p, size_t n)
{
    if (n > t->room - t->n) {
        memcpy(t->to + t->n, "...", 3);
        t->n += 3;
        return false;
    }
    memcpy(t->to + t->n, p, n);
    t->n += n;
    return true;
}

/* As "\x1b", which no terminal obeys. */
static bool put_escaped(struct text *t, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    char out[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};

    return text_add(t, out, sizeof(out));
}

/* U+0080 to U+009F. */
static bool is_control(const uint8_t *p)
{
    return p[0] == 0xc2 && p[1] < 0xa0;
}

/* Marks that change the order of what stands beside them, or end a line, in
 * many a viewer: U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069. */
static bool is_format_control(const uint8_t *p)
{
    if (p[0] != 0xe2)
        return false;
    return (p[1] == 0x80 &&
            ((p[2] >= 0xa8 && p[2] <= 0xae) || p[2] == 0x8e || p[2] == 0x8f)) ||
           (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

/* Those that begin a line, of a traceback say. */
static size_t tabs(const uint8_t *p, size_t n)
{
    size_t i = 0;

    while (i < n && p[i] == '\t')
        i++;
    return i;
}

/* Writes one character; returns how many octets of p it was, 0: no room. */
static size_t put_character(struct text *t, const uint8_t *p, size_t n)
{
    size_t length;

    if (*p == '\r' && n > 1 && p[1] == '\n')
        return 1;
    if (*p == '\n')
        return text_add(t, "; ", 2) ? 1 + tabs(p + 1, n - 1) : 0;
    if (*p >= 0x20 && *p < 0x7f)
        return text_add(t, p, 1);
    length = *p < 0x80 ? 0 : lh_utf8_length(p, n);
    if (length && !is_control(p) && !is_format_control(p))
        return text_add(t, p, length) ? length : 0;
    return put_escaped(t, *p);
}

void lh_log_clean(char *to, size_t room, struct lh_str from)
{
    struct text t = {.to = to, .room = room - sizeof("...")};
    const uint8_t *p = (const uint8_t *)from.p;
    size_t used, n = from.n;

    /* Line ends at the end are no separators. */
    while (n && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    for (; n; n -= used, p += used) {
        used = put_character(&t, p, n);
        if (!used)
            break;
    }
    t.to[t.n] = '\0';
}

/* Texts of clients are cut before they are cleaned, which costs time for each
 * of their octets.  NULL stays NULL. */
static const char *clean_about(char to[ABOUT_BYTES], struct lh_str s)
{
    if (!s.p)
        return NULL;
    s.n = s.n < ABOUT_BYTES ? s.n : ABOUT_BYTES;
    lh_log_clean(to, ABOUT_BYTES, s);
    return to;
}

void lh_log_text(const struct lh_log *log, lhttpd_log_level_t level,
                 const struct lh_log_about *about, struct lh_str text)
{
    char message[MESSAGE_BYTES + 1];
    char script[ABOUT_BYTES], client[ABOUT_BYTES], request[ABOUT_BYTES];
    lhttpd_log_entry_t entry = {
        .size = sizeof(entry), .level = level, .message = message};

    if (!lh_log_wants(log, level))
        return;
    lh_log_clean(message, sizeof(message), text);
    if (about) {
        entry.script = clean_about(script, lh_str_of(about->script));
        entry.client = clean_about(client, lh_str_of(about->client));
        entry.request = clean_about(request, about->request);
        entry.request_id = about->id;
    }
    log->fn(log->context, &entry);
}

void lh_log_args(const struct lh_log *log, lhttpd_log_level_t level,
                 const struct lh_log_about *about, const char *format,
                 va_list args)
{
    char raw[MESSAGE_BYTES + 1];

    if (!lh_log_wants(log, level))
        return;
    if (vsnprintf(raw, sizeof(raw), format, args) >= 0)
        lh_log_text(log, level, about,
                    (struct lh_str){raw, strnlen(raw, sizeof(raw))});
}

void lh_log(const struct lh_log *log, lhttpd_log_level_t level,
            const struct lh_log_about *about, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    lh_log_args(log, level, about, format, args);
    va_end(args);
}
