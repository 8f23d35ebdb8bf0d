/*
 * Whatever we open never has the numbers 0 to 2, also in a process that has
 * closed them.  Such a process is a child here; the test looks at it.
 */
#include "os/fd.h"

#include "lhttpd.h"
#include "os/aio.h"
#include "os/child.h"
#include "os/evq.h"
#include "os/read_file.h"
#include "os/pipe.h"
#include "os/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int told; /* the test's own standard error, out of the way */
static struct lh_err err;

/* In children cmocka's own checks would return into the parent's tests. */
#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            dprintf(told, "line %d: %s: %s\n", __LINE__, #what, err.text);     \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* One of ours: not a standard one, and children do not get it. */
#define OURS(fd)                                                               \
    CHECK((fd) > STDERR_FILENO && (fcntl(fd, F_GETFD) & FD_CLOEXEC) &&         \
          !is_open(0) && !is_open(1) && !is_open(2))

static pid_t without_standard(void (*body)(void))
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (child > 0)
        return child;
    told = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    for (int fd = 0; fd < 100; fd++) /* who ran the test left some, too */
        close(fd);
    alarm(100);
    body();
    _exit(0);
}

static void in_child(void (*body)(void))
{
    int status = -1;
    pid_t child = without_standard(body);

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void open_plain_ones(void)
{
    int fds[2];

    OURS(lh_fd_open_null());
    CHECK(lh_fd_pipe(fds, 0) == 0);
    OURS(fds[0]);
    OURS(fds[1]);
    OURS(lh_fd_duplicate(fds[0]));
    CHECK(lh_fd_socketpair(fds) == 0);
    OURS(fds[0]);
    OURS(fds[1]);
    ssize_t room = lh_pipe_open(fds);
    if (room != -EOPNOTSUPP) { /* FreeBSD cannot splice */
        CHECK(room > 0);
        OURS(fds[0]);
        OURS(fds[1]);
    }
    OURS(lh_pipe_text("text", 4));
    CHECK(lh_child_pipe(fds) == 0);
    OURS(fds[0]);
    OURS(fds[1]);
    errno = EMFILE;
    CHECK(lh_fd_above(-1) == -EMFILE);
}

static void open_sockets(void)
{
    struct lh_sock_address where;
    struct lh_sock_ends ends;
    struct sockaddr_in to = {.sin_family = AF_INET};
    int listener = lh_sock_listen("127.0.0.1", 0, NULL, &where, &err);

    OURS(listener);
    int client = lh_fd_above(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    to.sin_port = htons((uint16_t)where.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(client, (void *)&to, sizeof(to)) == 0);
    CHECK(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, -1) == 1);
    OURS(lh_sock_accept(listener, &ends));
}

static void open_queue_and_child(void)
{
    static const char *const argv[] = {"true", NULL};
    const struct lh_child_start start = {
        .argv = argv, .in = -1, .out = -1, .error = -1};
    struct lh_child child;
    struct lh_evq q;

    CHECK(lh_evq_init(&q) == 0);
    OURS(q.fd);
    if (q.wake_fd >= 0)
        OURS(q.wake_fd);
    CHECK(lh_child_spawn(&child, &start, &err) == 0);
    if (child.ended_fd >= 0)
        OURS(child.ended_fd);
    lh_child_end(&child);
}

static void note(struct lh_aio_op *op)
{
    op->p = op;
}

static void open_by(const char *way)
{
    struct lh_aio_op op = {.kind = LH_AIO_OPEN,
                           .path = "/dev/null",
                           .flags = O_RDONLY,
                           .complete = note};
    struct lh_aio *aio;

    if (lh_aio_new(&aio, way, &err) < 0)
        return; /* this kernel has no io_uring */
    OURS(lh_aio_fd(aio));
    lh_aio_add(aio, &op);
    lh_aio_submit(aio);
    while (!op.p) {
        struct pollfd done = {.fd = lh_aio_fd(aio), .events = POLLIN};
        CHECK(poll(&done, 1, -1) == 1);
        lh_aio_deliver(aio);
    }
    OURS((int)op.result);
    close((int)op.result);
    lh_aio_free(aio);
}

static void open_files(void)
{
    open_by("threads");
    open_by("uring");
}

static void test_each(void **state)
{
    (void)state;
    in_child(open_plain_ones);
    in_child(open_sockets);
    in_child(open_queue_and_child);
    in_child(open_files);
}

static void hold(void)
{
    struct lh_fd_hold held;

    CHECK(lh_fd_open_null() == 3);
    lh_fd_hold(&held);
    CHECK(held.n == 3 && is_open(0) && is_open(1) && is_open(2));
    CHECK(!is_open(4));
    lh_fd_release(&held);
    CHECK(!is_open(0) && !is_open(1) && !is_open(2) && is_open(3));
    CHECK(lh_fd_occupy_standard(&err) == 0);
    for (int fd = 0; fd <= 2; fd++)
        CHECK(fcntl(fd, F_GETFD) == 0); /* children get it */
    CHECK(!is_open(4));
    lh_fd_hold(&held);
    CHECK(held.n == 0 && !is_open(4));
}

static void test_hold_and_occupy(void **state)
{
    (void)state;
    in_child(hold);
}

/* In a jail without /dev/null something as empty takes its place. */
static char jail[] = "/tmp/lhttpd-jail-XXXXXX";

static void be_in_a_jail(void)
{
    char byte = 'x';

    CHECK(chroot(jail) == 0 && chdir("/") == 0);
    CHECK(lh_fd_occupy_standard(&err) == 0);
    for (int fd = 0; fd <= 2; fd++) {
        CHECK(fcntl(fd, F_GETFD) == 0);
        CHECK(read(fd, &byte, 1) == 0);
        CHECK(write(fd, &byte, 1) < 0 && errno == ENOTCONN);
    }
}

static void test_jail(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(jail));
    in_child(be_in_a_jail);
    assert_int_equal(rmdir(jail), 0);
}

/* ---- a whole server ------------------------------------------------------ */

static char path[] = "/tmp/lhttpd-fd-XXXXXX";

static const char script[] =
    "httpd.register_handler('/', function()\n"
    "  local f = assert(httpd.open('/proc/self/stat'))\n"
    "  local p = assert(io.popen('readlink /proc/self/fd/0 "
    "/proc/self/fd/2'))\n"
    "  local words = httpd.read(p, 'a')\n"
    "  httpd.write(nil, (words:gsub('\\n', ' ')))\n"
    "end)\n";

/* The size of the kernel's table; 0: this system does not tell. */
static unsigned table_size(void)
{
    char line[200];
    unsigned size = 0;
    FILE *status = fopen("/proc/self/status", "r");

    while (status && fgets(line, sizeof(line), status))
        sscanf(line, "FDSize: %u", &size);
    if (status)
        fclose(status);
    return size;
}

/* Enough for its connections: else accept() would have to enlarge it. */
static bool has_room(void)
{
    unsigned half = (unsigned)lh_fd_limit() / 2;

    return table_size() == 0 || table_size() >= (half < 65536 ? half : 65536);
}

static void serve(void)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_server_t *s;
    char where[100];

    snprintf(where, sizeof(where), "unix:%s", path);
    config.workers = 2;
    CHECK(lhttpd_server_create(&s, &config) == 0);
    CHECK(lhttpd_server_listen(s, where, 0, 0) == 0);
    CHECK(lhttpd_server_map_source(s, "/", "x.lua", script,
                                   sizeof(script) - 1) == 0);
    CHECK(lhttpd_server_start(s) == 0);
    CHECK(has_room());
    lhttpd_server_wait(s); /* until SIGKILL */
}

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(to.sun_path, path, sizeof(path));
    for (int i = 0; connect(fd, (void *)&to, sizeof(to)) < 0; i++) {
        assert_true(i < 2000);
        usleep(10000);
    }
    return fd;
}

static void test_server(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    char answer[2000], name[50];
    size_t n = 0;
    ssize_t r = 1;

    (void)state;
    assert_int_equal(close(mkstemp(path)), 0);
    assert_int_equal(unlink(path), 0);
    pid_t child = without_standard(serve);
    int fd = dial();
    assert_true(write(fd, request, sizeof(request) - 1) > 0);
    for (answer[0] = '\0'; r > 0 && !strstr(answer, "null /dev/null ");
         n += (size_t)r) {
        r = read(fd, answer + n, sizeof(answer) - 1 - n);
        assert_true(r > 0);
        answer[n + (size_t)r] = '\0';
    }
    for (int i = 0; i <= 2; i++) { /* while its client is connected */
        snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)child, i);
        assert_int_equal(readlink(name, answer, sizeof(answer)), -1);
        assert_int_equal(errno, ENOENT);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(fd);
    unlink(path);
}

/* In a child, which has a table of its own. */
static void test_room(void **state)
{
    unsigned n = (unsigned)lh_fd_limit();
    int status;

    (void)state;
    if (!table_size())
        skip();
    if (n > 9000)
        n = 9000;
    pid_t child = fork();
    if (child == 0) {
        int before = dup(0);
        bool small = table_size() < n;
        lh_fd_make_room(n);
        bool made = table_size() >= n;
        int after = dup(0);
        lh_fd_make_room(UINT64_MAX);
        _exit(small && made && after == before + 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),   cmocka_unit_test(test_hold_and_occupy),
        cmocka_unit_test(test_jail),   cmocka_unit_test(test_room),
        cmocka_unit_test(test_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
