/* A heap that fails when told to: see heap.h. */
#include "lib/heap.h"

#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>

static void *(*real_hook)(void *old, size_t n);
static atomic_ulong count, fail_at;
static atomic_long live;

static void *counting_realloc(void *old, size_t n)
{
    if (n == 0) {
        void *none = real_hook(old, 0);
        live -= old != NULL; /* last: who sees it may take the hook away */
        return none;
    }
    if (++count == fail_at)
        return NULL;
    void *p = real_hook(old, n);
    live += p && !old;
    return p;
}

void test_heap_install(void)
{
    assert(!real_hook);
    real_hook = lh_realloc_hook;
    count = fail_at = 0;
    live = 0;
    lh_realloc_hook = counting_realloc;
}

void test_heap_uninstall(void)
{
    assert(real_hook);
    lh_realloc_hook = real_hook;
    real_hook = NULL;
}

void test_heap_fail_at(unsigned long n)
{
    count = 0;
    fail_at = n;
}

unsigned long test_heap_count(void)
{
    return count;
}

long test_heap_live(void)
{
    return live;
}

int test_heap_set_up(void **state)
{
    (void)state;
    test_heap_install();
    return 0;
}

int test_heap_tear_down(void **state)
{
    long left = live;

    (void)state;
    test_heap_uninstall();
    return left == 0 ? 0 : -1;
}
