/* What the system lets a process do with its memory: see memory.h. */
#include "os/memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define PROBE_BYTES 4096

/* Asked by doing it, since there are many ways to refuse it and each is told
 * elsewhere. */
bool lh_memory_becomes_code(void)
{
    char *p = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return false;
    *p = 0;
    bool can = mprotect(p, PROBE_BYTES, PROT_READ | PROT_EXEC) == 0;
    munmap(p, PROBE_BYTES);
    return can;
}

/* RLIM_INFINITY is how the system says that there is no limit. */
static bool is_finite(const struct rlimit *limit)
{
    return limit->rlim_cur != RLIM_INFINITY;
}

bool lh_memory_is_limited(void)
{
    struct rlimit space, data;

    return (getrlimit(RLIMIT_AS, &space) == 0 && is_finite(&space)) ||
           (getrlimit(RLIMIT_DATA, &data) == 0 && is_finite(&data));
}

void *lh_memory_reserve(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void lh_memory_release(void *p, size_t n)
{
    if (p)
        munmap(p, n);
}

void lh_memory_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
