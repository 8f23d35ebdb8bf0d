/* What this process is and may use: see self.h. */
#include "os/self.h"

#include "os/self_thread.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

long lh_self_id(void)
{
    return (long)getpid();
}

/* A container or taskset may allow fewer than there are. */
unsigned lh_self_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

size_t lh_self_stack_bytes(void)
{
    const rlim_t least = (rlim_t)2 << 20, most = (rlim_t)64 << 20;
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur < least)
        return (size_t)least;
    return (size_t)(limit.rlim_cur < most ? limit.rlim_cur : most);
}

size_t lh_self_stack_left(void)
{
    size_t size = 0, most = lh_self_stack_bytes();
    void *low = NULL;

    if (!lh_self_stack(&low, &size))
        return most;
    size_t left = (size_t)((char *)__builtin_frame_address(0) - (char *)low);
    return left < size && left < most ? left : most;
}

uint64_t lh_self_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 256; /* what POSIX programs may count on, and more */
    return (uint64_t)limit.rlim_cur;
}
