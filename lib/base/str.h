/*
 * Slices of bytes that somebody else owns, and the small parsers and tests on
 * them.  ASCII only, no locale.
 */
#ifndef LH_BASE_STR_H
#define LH_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct lh_str {
    const char *p; /* not terminated; NULL: absent */
    size_t n;
};

#define LH_STR(literal) ((struct lh_str){literal, sizeof(literal) - 1})

static inline struct lh_str lh_str_of(const char *s)
{
    return (struct lh_str){s, s ? strlen(s) : 0};
}

static inline bool lh_str_equal(struct lh_str a, struct lh_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool lh_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline char lh_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool lh_str_equal_nocase(struct lh_str a, struct lh_str b);

/* Without the given white space (SP and HTAB) at both ends. */
struct lh_str lh_str_trim(struct lh_str s);

/* The next element of a comma-separated list, trimmed; *rest moves past it.
 * False when there is none left.  Empty elements are skipped (RFC 9110, 5.6.1).
 */
bool lh_str_next_element(struct lh_str *rest, struct lh_str *element);

/* Digits only, no sign, no white space; false past `max` or without digits. */
bool lh_str_to_u64(struct lh_str s, uint64_t max, uint64_t *value);
bool lh_str_hex_to_u64(struct lh_str s, uint64_t *value); /* 1 to 16 digits */

/* How many octets the valid UTF-8 character beyond ASCII has that begins at p
 * (RFC 3629, 4), of n that there are; 0: there is none. */
size_t lh_utf8_length(const uint8_t *p, size_t n);

/* 0 to 15, or -1. */
int lh_hex_digit(char c);

/* "00" to "99", one behind the other. */
extern const char lh_dec_pairs[201];

/* Writes a decimal number, returns its length (at most 20, not terminated). */
size_t lh_u64_to_dec(char *out, uint64_t value);

#endif
