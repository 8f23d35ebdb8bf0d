/* See utf8.h. */
#include "base/utf8.h"

#include <string.h>

/* The first octet that is not ASCII; most text is, and goes by words. */
static size_t skip_ascii(const uint8_t *p, size_t i, size_t n)
{
    uint64_t a, b;

    while (n - i >= sizeof(a) + sizeof(b)) {
        memcpy(&a, p + i, sizeof(a));
        memcpy(&b, p + i + sizeof(a), sizeof(b));
        if ((a | b) & 0x8080808080808080u)
            break;
        i += sizeof(a) + sizeof(b);
    }
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

/* What follows the first octet of a character.  The second octet's range keeps
 * out what a shorter sequence would say, surrogates, and what is beyond
 * U+10FFFF. */
static bool begin_character(struct lh_utf8 *u, uint8_t c)
{
    u->low = 0x80;
    u->high = 0xbf;
    if (c < 0xc2 || c > 0xf4)
        return false;
    u->need = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (c == 0xe0)
        u->low = 0xa0;
    else if (c == 0xed)
        u->high = 0x9f;
    else if (c == 0xf0)
        u->low = 0x90;
    else if (c == 0xf4)
        u->high = 0x8f;
    return true;
}

bool lh_utf8_feed(struct lh_utf8 *u, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (u->need == 0) {
            i = skip_ascii(p, i, n);
            if (i < n && !begin_character(u, p[i]))
                return false;
            continue;
        }
        if (p[i] < u->low || p[i] > u->high)
            return false;
        u->low = 0x80;
        u->high = 0xbf;
        u->need--;
    }
    return true;
}
