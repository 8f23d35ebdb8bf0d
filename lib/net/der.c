/* Steps through DER: see der.h. */
#include "net/der.h"

#include <string.h>

bool lh_der_next(struct lh_der *from, uint8_t *tag, struct lh_der *content)
{
    size_t head = 2;

    if (from->n < head)
        return false;
    size_t n = from->p[1];
    if (n & 0x80) {
        size_t digits = n & 0x7F;
        head += digits;
        if (digits == 0 || digits > 3 || from->n < head)
            return false;
        n = 0;
        for (size_t i = 2; i < head; i++)
            n = n << 8 | from->p[i];
    }
    if (n > from->n - head)
        return false;
    *tag = from->p[0];
    *content = (struct lh_der){from->p + head, n};
    from->p += head + n;
    from->n -= head + n;
    return true;
}

bool lh_der_expect(struct lh_der *from, uint8_t wanted, struct lh_der *content)
{
    uint8_t tag;

    return lh_der_next(from, &tag, content) && tag == wanted;
}

bool lh_der_is(struct lh_der a, const uint8_t *oid, size_t n)
{
    return a.n == n && memcmp(a.p, oid, n) == 0;
}
