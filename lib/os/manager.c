/* The service manager: see manager.h. */
#include "os/manager.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/self.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FIRST_PASSED 3 /* behind the standard descriptors, by convention */

static void forget_variables(const char *const names[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        unsetenv(names[i]);
}

/* 0 where the variable is not there, 1 with its number, or LHTTPD_EINVAL. */
static int env_number(const char *name, uint64_t max, uint64_t *number,
                      struct lh_err *err)
{
    const char *text = getenv(name);

    if (!text)
        return 0;
    if (lh_str_to_u64(lh_str_of(text), max, number))
        return 1;
    return lh_err_set(err, LHTTPD_EINVAL, "%s=%.100s: not a number up to %llu",
                      name, text, (unsigned long long)max);
}

/* ---- sockets ---- */

static unsigned count_names(const char *names)
{
    unsigned n = 1;

    for (const char *p = names; *p; p++)
        n += *p == ':';
    return n;
}

static int take_names(struct lh_passed *passed, struct lh_err *err)
{
    const char *names = getenv("LISTEN_FDNAMES");

    if (!names || passed->n == 0)
        return 0;
    if (count_names(names) != passed->n)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "LISTEN_FDNAMES=%.100s: not %u names, as LISTEN_FDS "
                          "says",
                          names, passed->n);
    passed->names = lh_strdup(names);
    return passed->names ? 0 : lh_err_memory(err);
}

/* The variables are inherited by every child, the descriptors are for the
 * process whose number they bear. */
static int read_passed(struct lh_passed *passed, struct lh_err *err)
{
    uint64_t process, n;
    int r = env_number("LISTEN_PID", LONG_MAX, &process, err);

    if (r <= 0 || process != (uint64_t)lh_self_id())
        return r < 0 ? r : 0;
    r = env_number("LISTEN_FDS", INT_MAX - FIRST_PASSED, &n, err);
    if (r <= 0)
        return r;
    passed->first = FIRST_PASSED;
    passed->n = (unsigned)n;
    return take_names(passed, err);
}

int lh_manager_sockets(struct lh_passed *passed, struct lh_err *err)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_PIDFDID",
                                        "LISTEN_FDS", "LISTEN_FDNAMES"};

    *passed = (struct lh_passed){.n = 0};
    int r = read_passed(passed, err);
    forget_variables(names, sizeof(names) / sizeof(names[0]));
    return r;
}

/* ---- messages ---- */

/* As in sd_notify(3): a path, or "@" and a name outside of the file system.
 * Returns the address's length. */
static int parse_address(const char *text, struct sockaddr_un *address,
                         struct lh_err *err)
{
    size_t n = strlen(text), room = sizeof(address->sun_path) - 1;

    if ((*text != '/' && *text != '@') || n < 2 || n > room)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "NOTIFY_SOCKET=%.120s: not a path, nor '@' and a "
                          "name, of at most %zu octets",
                          text, room);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, text, n);
    if (*text == '@')
        address->sun_path[0] = '\0';
    return (int)(offsetof(struct sockaddr_un, sun_path) + n);
}

static int connect_to(const char *text, int *out, struct lh_err *err)
{
    const int type = SOCK_DGRAM | SOCK_CLOEXEC;
    struct sockaddr_un address;
    int n = parse_address(text, &address, err);

    if (n < 0)
        return n;
    int fd = lh_fd_above(socket(AF_UNIX, type, 0));
    int error = fd < 0 ? fd : 0;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, (socklen_t)n) < 0) {
        error = -errno;
        lh_fd_close(fd);
    }
    if (error < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM, "NOTIFY_SOCKET=%.120s: %s", text,
                          lh_sys_text(error));
    *out = fd;
    return 1;
}

/* Where WATCHDOG_PID is another process, that one is meant. */
static int read_watchdog(struct lh_manager *manager, struct lh_err *err)
{
    uint64_t process = (uint64_t)lh_self_id(), us = 0;
    int r = env_number("WATCHDOG_PID", LONG_MAX, &process, err);

    if (r < 0 || process != (uint64_t)lh_self_id())
        return r < 0 ? r : 0;
    r = env_number("WATCHDOG_USEC", UINT64_MAX - 1, &us, err);
    if (r <= 0)
        return r;
    if (us < 1000)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "WATCHDOG_USEC=%llu: less than a millisecond",
                          (unsigned long long)us);
    manager->watchdog_ms = us / 1000;
    return 0;
}

int lh_manager_connect(struct lh_manager *manager, struct lh_err *err)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_PID",
                                        "WATCHDOG_USEC"};
    const char *text = getenv("NOTIFY_SOCKET");
    int r = 0;

    *manager = (struct lh_manager){.fd = -1};
    if (text)
        r = read_watchdog(manager, err);
    if (text && r == 0)
        r = connect_to(text, &manager->fd, err);
    forget_variables(names, sizeof(names) / sizeof(names[0]));
    return r;
}

void lh_manager_close(struct lh_manager *manager)
{
    if (manager->fd >= 0)
        lh_fd_close(manager->fd);
    manager->fd = -1;
}

static int tell_now(const struct lh_manager *manager, const char *message)
{
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

    return send(manager->fd, message, strlen(message), flags) < 0 ? -errno : 0;
}

int lh_manager_tell(const struct lh_manager *manager, const char *message,
                    int patience_ms)
{
    struct pollfd room = {.fd = manager->fd, .events = POLLOUT};
    int r = tell_now(manager, message);

    if (r != -EAGAIN || patience_ms == 0 || poll(&room, 1, patience_ms) != 1)
        return r;
    return tell_now(manager, message);
}
