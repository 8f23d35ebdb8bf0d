/* Parameters of a field: see parameter.h. */
#include "http/parameter.h"

#include "base/utf8.h"
#include "http/field.h"

static struct lh_str without_first(struct lh_str s, size_t n)
{
    return (struct lh_str){s.p + n, s.n - n};
}

struct lh_str lh_parameter_subject(struct lh_str *rest)
{
    const char *end = rest->n ? memchr(rest->p, ';', rest->n) : NULL;
    struct lh_str subject = {rest->p, end ? (size_t)(end - rest->p) : rest->n};

    if (subject.n)
        *rest = without_first(*rest, subject.n);
    return lh_str_trim(subject);
}

/* Does the backslash at i escape?  A name may end with one that does not: then
 * the quote behind it is the last octet there is. */
static bool is_escape(struct lh_str s, size_t i)
{
    if (s.p[i] != '\\' || i + 1 == s.n)
        return false;
    return s.p[i + 1] == '\\' || (s.p[i + 1] == '"' && i + 2 < s.n);
}

/* `s` begins with the quote. */
static int take_quoted_value(struct lh_str s, struct lh_str *rest,
                             struct lh_parameter *parameter)
{
    size_t i = 1;

    while (i < s.n && s.p[i] != '"')
        i += is_escape(s, i) ? 2 : 1;
    if (i >= s.n)
        return -1;
    parameter->value = (struct lh_str){s.p + 1, i - 1};
    parameter->quoted = true;
    *rest = without_first(s, i + 1);
    return 1;
}

/* A token, or whatever ends with a blank or the next parameter. */
static int take_plain_value(struct lh_str s, struct lh_str *rest,
                            struct lh_parameter *parameter)
{
    struct lh_str value = lh_parameter_subject(&s);

    for (size_t i = 0; i < value.n; i++)
        if (lh_is_blank(value.p[i]) || value.p[i] == '"')
            return -1;
    parameter->value = value;
    parameter->quoted = false;
    *rest = s;
    return value.n ? 1 : -1;
}

/* Empty ones, as behind a last semicolon, are skipped. */
int lh_parameter_next(struct lh_str *rest, struct lh_parameter *parameter)
{
    struct lh_str s = lh_str_trim(*rest);

    if (s.n && *s.p != ';')
        return -1;
    while (s.n && (*s.p == ';' || lh_is_blank(*s.p)))
        s = without_first(s, 1);
    if (!s.n)
        return 0;
    const char *equals = memchr(s.p, '=', s.n);
    if (!equals)
        return -1;
    parameter->name = (struct lh_str){s.p, (size_t)(equals - s.p)};
    if (!lh_field_name_valid(parameter->name))
        return -1;
    s = without_first(s, parameter->name.n + 1);
    if (s.n && *s.p == '"')
        return take_quoted_value(s, rest, parameter);
    return take_plain_value(s, rest, parameter);
}

size_t lh_parameter_text(char *out, const struct lh_parameter *parameter)
{
    struct lh_str s = parameter->value;
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool escape = parameter->quoted && s.p[i] == '\\' && i + 1 < s.n &&
                      (s.p[i + 1] == '\\' || s.p[i + 1] == '"');
        i += escape;
        out[n++] = s.p[i];
    }
    return n;
}

/* The octet that %XX at i stands for; -1: there is none. */
static int octet_at(struct lh_str s, size_t i)
{
    if (s.p[i] != '%' || s.n - i < 3)
        return -1;
    int high = lh_hex_digit(s.p[i + 1]), low = lh_hex_digit(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Browsers escape these three octets and no others in the names of forms and
 * files, not even the percent sign (HTML, "multipart/form-data"). */
size_t lh_parameter_form_name(char *out, struct lh_str text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        int octet = octet_at(text, i);
        char c = text.p[i];
        if (octet == '"' || octet == '\r' || octet == '\n') {
            c = (char)octet;
            i += 2;
        }
        out[n++] = c;
    }
    return n;
}

/* What comes out is never longer than what was read, so both may be one place.
 */
bool lh_parameter_extended(char *out, struct lh_str value, size_t *n)
{
    static const struct lh_str charset = {"utf-8'", 6};
    struct lh_utf8 utf8 = {0, 0, 0};

    *n = 0;
    if (value.n < charset.n ||
        !lh_str_equal_nocase((struct lh_str){value.p, charset.n}, charset))
        return false;
    struct lh_str s = without_first(value, charset.n);
    const char *language_end = s.n ? memchr(s.p, '\'', s.n) : NULL;
    if (!language_end)
        return false;
    s = without_first(s, (size_t)(language_end - s.p) + 1);
    for (size_t i = 0; i < s.n; i++) {
        int octet = octet_at(s, i);
        char c = s.p[i];
        if (octet < 0 && c == '%')
            return false;
        if (octet >= 0) {
            c = (char)octet;
            i += 2;
        }
        out[(*n)++] = c;
    }
    return !lh_has_control((const uint8_t *)out, *n) &&
           lh_utf8_feed(&utf8, (const uint8_t *)out, *n) && lh_utf8_ends(&utf8);
}
