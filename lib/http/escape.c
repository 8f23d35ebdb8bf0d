/* Escapes for HTML and URLs: see escape.h. */
#include "http/escape.h"

#include <stddef.h>

const char *lh_escape_html(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

bool lh_escape_is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

void lh_escape_octet(char out[3], char c)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char octet = (unsigned char)c;

    out[0] = '%';
    out[1] = digits[octet >> 4];
    out[2] = digits[octet & 15];
}
