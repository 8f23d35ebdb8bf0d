/* Text and octets that become longer: see grow.h. */
#include "lib/grow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* There was never less room than this for n octets. */
static size_t room_for(size_t n)
{
    size_t room = 256;

    while (room < n)
        room *= 2;
    return room;
}

void *test_grow(void *p, size_t n, size_t more)
{
    if (p && n + more <= room_for(n))
        return p;
    p = realloc(p, room_for(n + more));
    assert_non_null(p);
    return p;
}
