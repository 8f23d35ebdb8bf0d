/* Pipes and their like, read and written without waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/deny.h"
#include "lib/forked.h"
#include "os/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Skips a test of pipes that block: those are not waited for by RWF_NOWAIT,
 * which not every kernel has for pipes; what is done there is tested below. */
static void need_nowait(void)
{
    int fds[2];
    char octet;

    assert_int_equal(pipe(fds), 0);
    ssize_t r = lh_pipe_read(fds[0], &octet, 1);
    close(fds[0]);
    close(fds[1]);
    if (r == -EOPNOTSUPP) {
        print_message("skipped: this kernel has no RWF_NOWAIT for pipes\n");
        skip();
    }
}

static void an_empty_pipe_is_not_waited_for(void **state)
{
    char text[16] = "";
    int fds[2];

    (void)state;
    need_nowait();
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(lh_pipe_read(fds[0], text, sizeof(text)), -EAGAIN);
    assert_int_equal(write(fds[1], "hello", 5), 5);
    assert_int_equal(lh_pipe_read(fds[0], text, 2), 2);
    assert_int_equal(lh_pipe_read(fds[0], text + 2, 10), 3);
    assert_string_equal(text, "hello");
    close(fds[1]);
    assert_int_equal(lh_pipe_read(fds[0], text, sizeof(text)), 0);
    assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    close(fds[0]);
    assert_int_equal(lh_pipe_read(fds[0], text, sizeof(text)), -EBADF);
}

static void a_full_pipe_is_not_waited_for(void **state)
{
    static char much[1 << 20];
    size_t put = 0;
    ssize_t n;
    int fds[2];

    (void)state;
    need_nowait();
    assert_int_equal(pipe(fds), 0);
    while ((n = lh_pipe_write(fds[1], much, sizeof(much))) > 0) {
        put += (size_t)n;
        assert_true(put < sizeof(much));
    }
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    assert_true(read(fds[0], much, PIPE_BUF) > 0);
    assert_true(lh_pipe_write(fds[1], much, 1) > 0);
    close(fds[0]);
    assert_int_equal(lh_pipe_write(fds[1], much, 1), -EPIPE);
    close(fds[1]);
}

static void sockets_too(void **state)
{
    char text[16];
    int fds[2];

    (void)state;
    need_nowait();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(lh_pipe_read(fds[0], text, sizeof(text)), -EAGAIN);
    assert_int_equal(lh_pipe_write(fds[1], "abc", 3), 3);
    assert_int_equal(lh_pipe_read(fds[0], text, sizeof(text)), 3);
    close(fds[0]);
    close(fds[1]);
}

static void a_terminal_too(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char text[16] = "", name[64];

    (void)state;
    if (master < 0 || grantpt(master) || unlockpt(master) ||
        ptsname_r(master, name, sizeof(name)))
        skip();
    int slave = open(name, O_RDWR | O_NOCTTY);
    if (slave < 0)
        skip();
    /* Others may read there too. */
    assert_int_equal(lh_pipe_read(slave, text, sizeof(text)), -EOPNOTSUPP);
    assert_int_equal(lh_pipe_write(slave, text, sizeof(text)), -EOPNOTSUPP);
    lh_pipe_set_nonblocking(slave, true);
    assert_int_equal(lh_pipe_read(slave, text, sizeof(text)), -EAGAIN);
    assert_int_equal(write(master, "line\n", 5), 5);
    assert_int_equal(lh_pipe_read(slave, text, sizeof(text)), 5);
    assert_string_equal(text, "line\n");
    close(slave);
    close(master);
}

/* What older kernels do not know, and containers refuse. */
struct refusal {
    int error, file;
    void (*body)(void);
};

static int run_refused(void *arg)
{
    const struct refusal *r = arg;

    if (!test_deny(SYS_preadv2, TEST_ANY_ARGUMENT, r->error) ||
        !test_deny(SYS_pwritev2, TEST_ANY_ARGUMENT, r->error) ||
        !test_deny(SYS_memfd_create, TEST_ANY_ARGUMENT, r->error) ||
        (r->file && !test_deny(SYS_openat, TEST_ANY_ARGUMENT, r->error)))
        return TEST_CANNOT;
    r->body();
    return 0;
}

static void refused(int error, int file, void (*body)(void))
{
    struct refusal r = {error, file, body};

    assert_int_equal(test_forked(run_refused, &r), 0);
}

#define CHECK(what) TEST_FORKED_CHECK(what, strerror(errno))

static void moves_both_ways(void)
{
    char text[8];
    int fds[2];

    CHECK(pipe(fds) == 0);
    CHECK(lh_pipe_read(fds[0], text, sizeof(text)) == -EOPNOTSUPP);
    lh_pipe_set_nonblocking(fds[0], true);
    lh_pipe_set_nonblocking(fds[1], true);
    CHECK(lh_pipe_read(fds[0], text, sizeof(text)) == -EAGAIN);
    CHECK(lh_pipe_write(fds[1], "hello", 5) == 5);
    CHECK(lh_pipe_read(fds[0], text, sizeof(text)) == 5);
    close(fds[0]);
    CHECK(lh_pipe_write(fds[1], "hello", 5) == -EPIPE);
}

static void gives_a_text(void)
{
    static char much[200000], back[200001];
    size_t n = 0;
    ssize_t r;
    int fd = lh_pipe_text(much, sizeof(much));

    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    while ((r = read(fd, back + n, sizeof(back) - n)) > 0)
        n += (size_t)r;
    CHECK(r == 0 && n == sizeof(much));
    fd = lh_pipe_text("", 0);
    CHECK(fd >= 0 && read(fd, back, 1) == 0);
}

static void refused_calls_have_a_way_round(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        refused(i ? EPERM : ENOSYS, 0, moves_both_ways);
        refused(i ? EPERM : ENOSYS, 0, gives_a_text);
        refused(i ? EPERM : ENOSYS, 1, gives_a_text);
    }
}

static void a_text_is_read_from_its_start(void **state)
{
    char text[16] = "";
    int fd = lh_pipe_text("the text", 8);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof(text)), 8);
    assert_string_equal(text, "the text");
    assert_int_equal(read(fd, text, sizeof(text)), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_pipe_is_not_waited_for),
        cmocka_unit_test(a_full_pipe_is_not_waited_for),
        cmocka_unit_test(sockets_too),
        cmocka_unit_test(a_terminal_too),
        cmocka_unit_test(a_text_is_read_from_its_start),
        cmocka_unit_test(refused_calls_have_a_way_round),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
