/* Where nobody has tried TLS in the kernel: see kernel_tls.h. */
#include "os/kernel_tls.h"

bool lh_kernel_tls_is_there(void)
{
    return false;
}
