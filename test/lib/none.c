/* What only Linux can do for tests, on other systems: see deny.h, uring.h. */
#include "lib/deny.h"
#include "lib/uring.h"

bool test_deny(long call, int argument, int error)
{
    (void)call;
    (void)argument;
    (void)error;
    return false;
}

bool test_deny_bits(long call, unsigned index, uint32_t bits, int error)
{
    (void)call;
    (void)index;
    (void)bits;
    (void)error;
    return false;
}

bool test_deny_code(void)
{
    return false;
}

bool test_jail(void)
{
    return false;
}

bool test_mount(const char *path, unsigned kib)
{
    (void)path;
    (void)kib;
    return false;
}

void test_unmount(const char *path)
{
    (void)path;
}

void test_uring_refuse(unsigned n)
{
    (void)n;
}

void test_uring_take(unsigned n)
{
    (void)n;
}

void test_uring_waits(bool yes)
{
    (void)yes;
}

bool test_uring_is_there(void)
{
    return false;
}
