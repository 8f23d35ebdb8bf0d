/* A plain TCP client: see client.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/client.h"
#include "lib/emulated.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 20000

int test_client_connect(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

void test_client_send(int fd, const char *text)
{
    size_t n = strlen(text);

    while (n) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        assert_true(sent > 0);
        text += sent;
        n -= (size_t)sent;
    }
}

/* At least one byte, or 0 at the end (a reset counts as one). */
static size_t read_some(int fd, char *out, size_t room)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, test_patience_ms(WAIT_MS)), 1);
    ssize_t n = recv(fd, out, room, 0);
    return n > 0 ? (size_t)n : 0;
}

size_t test_client_read_all(int fd, char *out, size_t room)
{
    size_t n = 0, got;

    while (n < room - 1 && (got = read_some(fd, out + n, room - 1 - n)) > 0)
        n += got;
    out[n] = '\0';
    return n;
}

void test_client_read_until(int fd, char *out, size_t room, const char *text)
{
    size_t n = 0;

    out[0] = '\0';
    while (!strstr(out, text)) {
        size_t got = read_some(fd, out + n, room - 1 - n);
        assert_true(got > 0);
        n += got;
        out[n] = '\0';
    }
}

size_t test_client_ask(int port, const char *request, char *out, size_t room)
{
    int fd = test_client_connect(port);

    test_client_send(fd, request);
    size_t n = test_client_read_all(fd, out, room);
    close(fd);
    return n;
}
