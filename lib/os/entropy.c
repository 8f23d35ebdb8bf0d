/* Random bytes from the kernel: see entropy.h. */
#include "os/entropy.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

int lh_entropy(void *out, size_t n)
{
    uint8_t *to = out;

    while (n) {
        ssize_t got = getrandom(to, n, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            to += got;
            n -= (size_t)got;
        }
    }
    return 0;
}
