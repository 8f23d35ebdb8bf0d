/* See digest.h. */
#include "base/digest.h"

#include <bearssl.h>

void lh_sha1(const void *p, size_t n, uint8_t out[LH_SHA1_BYTES])
{
    br_sha1_context sha1;

    br_sha1_init(&sha1);
    br_sha1_update(&sha1, p, n);
    br_sha1_out(&sha1, out);
}

size_t lh_base64(const void *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *octets = p;
    size_t made = 0;

    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t bits = (uint32_t)octets[i] << 16;
        bits |= have > 1 ? (uint32_t)octets[i + 1] << 8 : 0;
        bits |= have > 2 ? octets[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            out[made++] = k > have ? '=' : digits[bits >> (18 - 6 * k) & 63];
    }
    return made;
}
