/*
 * Is it UTF-8 (RFC 3629)?  Asked of octets in any pieces; a wrong octet is told
 * as soon as it has come.
 */
#ifndef LH_BASE_UTF8_H
#define LH_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zeroes at the start of a text. */
struct lh_utf8 {
    uint8_t need;      /* octets that the present character still needs */
    uint8_t low, high; /* between which the next of them is */
};

/* False: these octets cannot follow. */
bool lh_utf8_feed(struct lh_utf8 *u, const uint8_t *p, size_t n);

/* May the text end here? */
static inline bool lh_utf8_ends(const struct lh_utf8 *u)
{
    return u->need == 0;
}

#endif
