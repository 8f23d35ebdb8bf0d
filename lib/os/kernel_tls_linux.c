/* TLS in Linux (its Documentation/networking/tls.rst): see kernel_tls.h. */
#include "os/kernel_tls.h"

#include "os/fd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket without a peer is refused for that, unless there is nothing that it
 * could be refused by. */
bool lh_kernel_tls_is_there(void)
{
    static const char name[] = "tls";
    int fd = lh_fd_above(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    bool is_there;

    if (fd < 0)
        return false;
    is_there = setsockopt(fd, IPPROTO_TCP, TCP_ULP, name, sizeof(name)) == 0 ||
               errno == ENOTCONN;
    close(fd);
    return is_there;
}
