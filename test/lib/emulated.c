/* Tests by an emulator: see emulated.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/emulated.h"

#include <stdlib.h>

#define SLOWER 20 /* by so much at most, on a machine that has more to do */

bool test_is_emulated(void)
{
    return getenv("LHTTPD_EMULATED") != NULL;
}

void test_not_emulated(const char *why)
{
    if (!test_is_emulated())
        return;
    print_message("skipped by the emulator: %s\n", why);
    skip();
}

int test_patience_ms(int ms)
{
    return test_is_emulated() ? ms * SLOWER : ms;
}
