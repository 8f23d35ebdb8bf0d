/* Slices of text, which own nothing and have no end mark: see str.h. */
#include "base/str.h"

bool lh_str_equal_nocase(struct lh_str a, struct lh_str b)
{
    if (a.n != b.n)
        return false;
    if (lh_str_equal(a, b))
        return true; /* mostly, and much faster than letter by letter */
    for (size_t i = 0; i < a.n; i++) {
        if (lh_lower(a.p[i]) != lh_lower(b.p[i]))
            return false;
    }
    return true;
}

struct lh_str lh_str_trim(struct lh_str s)
{
    while (s.n && lh_is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && lh_is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool lh_str_next_element(struct lh_str *rest, struct lh_str *element)
{
    /* Empty elements, as in "a, , b", are passed over (RFC 9110, 5.6.1). */
    while (rest->n) {
        const char *comma = memchr(rest->p, ',', rest->n);
        size_t n = comma ? (size_t)(comma - rest->p) : rest->n;

        *element = lh_str_trim((struct lh_str){rest->p, n});
        n += comma != NULL;
        rest->p += n;
        rest->n -= n;
        if (element->n)
            return true;
    }
    return false;
}

bool lh_str_to_u64(struct lh_str s, uint64_t max, uint64_t *value)
{
    /* v may grow by a digit while it is below `most`, or is `most` and the
     * digit at most `last`: so it never passes max, nor overflows. */
    uint64_t v = 0, most = max / 10, last = max % 10;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(s.p[i] - '0');
        if (digit > 9 || v > most || (v == most && digit > last))
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

int lh_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lh_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool lh_str_hex_to_u64(struct lh_str s, uint64_t *value)
{
    uint64_t v = 0;

    /* 16 digits of 4 bits fill the number; leading zeros count as digits. */
    if (s.n == 0 || s.n > 16)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        int digit = lh_hex_digit(s.p[i]);
        if (digit < 0)
            return false;
        v = v << 4 | (unsigned)digit;
    }
    *value = v;
    return true;
}

/* "00" to "99": a division for two digits is half as many. */
const char lh_dec_pairs[201] =
    "00010203040506070809101112131415161718192021222324"
    "25262728293031323334353637383940414243444546474849"
    "50515253545556575859606162636465666768697071727374"
    "75767778798081828384858687888990919293949596979899";

/* UINT64_MAX has 20. */
static size_t count_digits(uint64_t value)
{
    size_t n = 1;

    for (uint64_t power = 10; n < 20 && value >= power; power *= 10)
        n++;
    return n;
}

/* From the last digits to the first. */
size_t lh_u64_to_dec(char *out, uint64_t value)
{
    size_t n = count_digits(value);
    char *at = out + n;

    for (; value >= 100; value /= 100) {
        at -= 2;
        memcpy(at, lh_dec_pairs + 2 * (value % 100), 2);
    }
    if (value >= 10)
        memcpy(out, lh_dec_pairs + 2 * value, 2);
    else
        *out = (char)('0' + value);
    return n;
}

size_t lh_utf8_length(const uint8_t *p, size_t n)
{
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (p[0] < 0xc2 || p[0] > 0xf4 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    bool too_long =
        (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool not_a_character =
        (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return too_long || not_a_character ? 0 : length;
}
