/* Tests by an emulator: see emulated.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/emulated.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void test_is_executable(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[n > 0 ? n : 0] = '\0';
    if (strstr(path, "/test_") && !test_is_emulated())
        return;
    print_message("skipped: this program cannot be executed\n");
    skip();
}

void test_keeps_socket_times(void)
{
    if (sizeof(void *) == 4)
        test_not_emulated("it keeps no times of sockets");
}

int test_patience_ms(int ms)
{
    return test_is_emulated() ? ms * SLOWER : ms;
}
