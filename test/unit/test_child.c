/* Child processes that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/child.h"
#include "os/evq.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000

static int spawn(struct lh_child *child, const char *script, int out)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct lh_child_start start = {argv, NULL, NULL, -1, out, -1};
    struct lh_err err;
    int error;

    return lh_child_spawn(child, &start, &error, &err);
}

/* Waits as a worker does: by the event queue. */
static int wait_end(struct lh_child *child)
{
    struct lh_event event;
    struct lh_evq q;
    int status = -1;

    assert_int_equal(lh_evq_init(&q), 0);
    assert_int_equal(lh_evq_add(&q, child->ended_fd, LH_EV_READ, 1), 0);
    assert_int_equal(lh_evq_wait(&q, &event, 1, WAIT_MS), 1);
    lh_evq_forget(&q, child->ended_fd);
    lh_evq_deinit(&q);
    assert_true(lh_child_has_ended(child));
    assert_true(lh_child_reap(child, &status));
    return status;
}

static void reports_its_end_and_status(void **state)
{
    struct lh_child child;

    (void)state;
    assert_int_equal(spawn(&child, "exit 7", -1), 0);
    int status = wait_end(&child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(child.pid, -1);
    lh_child_signal(&child, SIGKILL); /* of nobody any more */
    assert_true(lh_child_reap(&child, &status));
}

static void writes_to_its_pipe(void **state)
{
    struct lh_child child;
    char text[64] = "";
    int fds[2];

    (void)state;
    assert_int_equal(lh_child_pipe(fds), 0);
    assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(spawn(&child, "echo hello; cat", fds[1]), 0);
    close(fds[1]);
    assert_int_equal(read(fds[0], text, sizeof(text) - 1), 6);
    assert_string_equal(text, "hello\n");
    assert_int_equal(read(fds[0], text, sizeof(text)), 0);
    close(fds[0]);
    wait_end(&child);
}

static void a_running_child_is_not_waited_for(void **state)
{
    struct lh_child child;
    int status;

    (void)state;
    assert_int_equal(spawn(&child, "sleep 1000 & wait", -1), 0);
    assert_false(lh_child_reap(&child, &status));
    lh_child_signal(&child, SIGTERM); /* reaches its own children too */
    status = wait_end(&child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
    assert_int_equal(spawn(&child, "trap '' TERM; sleep 1000", -1), 0);
    lh_child_end(&child);
    assert_int_equal(child.pid, -1);
}

/* The child of the next test: moves to its parent's process group. */
static int leave_group(void)
{
    if (setpgid(0, getpgid(getppid())) < 0 || write(1, "!", 1) != 1)
        return 1;
    return pause();
}

static void one_that_left_its_group_is_signalled(void **state)
{
    const char *argv[] = {"/proc/self/exe", "leave its group", NULL};
    struct lh_child_start start = {argv, NULL, NULL, -1, -1, -1};
    struct lh_child child;
    struct lh_err err;
    int fds[2], error, status;
    char octet;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lh_child_pipe(fds), 0);
        start.out = fds[1];
        assert_int_equal(lh_child_spawn(&child, &start, &error, &err), 0);
        close(fds[1]);
        assert_int_equal(read(fds[0], &octet, 1), 1);
        close(fds[0]);
        assert_false(lh_child_has_ended(&child));
        if (i == 1) {
            lh_child_end(&child);
            continue;
        }
        lh_child_signal(&child, SIGTERM);
        status = wait_end(&child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGTERM);
    }
}

/* What workers block and programs ignore does not reach a child. */
static void signals_are_as_a_program_expects(void **state)
{
    struct lh_child child;
    sigset_t all, old;

    (void)state;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    assert_int_equal(spawn(&child,
                           "s=$(cat /proc/self/status);"
                           "case $s in *SigBlk:?0000000000000000*"
                           "SigIgn:?????????[08]0000000*) exit 3;; esac",
                           -1),
                     0);
    assert_int_equal(WEXITSTATUS(wait_end(&child)), 3);
    signal(SIGPIPE, before);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void a_missing_program_is_an_error(void **state)
{
    const char *argv[] = {"/no/such/program", NULL};
    struct lh_child_start start = {argv, NULL, NULL, -1, -1, -1};
    struct lh_child child;
    struct lh_err err;
    int error;

    (void)state;
    assert_int_equal(lh_child_spawn(&child, &start, &error, &err),
                     LHTTPD_ESYSTEM);
    assert_int_equal(error, ENOENT);
    assert_non_null(strstr(err.text, "/no/such/program"));
}

static void directory_and_environment(void **state)
{
    const char *argv[] = {"sh", "-c", "test $(pwd)$X = /abc", NULL};
    const char *env[] = {"X=abc", "PATH=/usr/bin:/bin", NULL};
    struct lh_child_start start = {argv, env, "/", -1, -1, -1};
    struct lh_child child;
    struct lh_err err;
    int error;

    (void)state;
    assert_int_equal(lh_child_spawn(&child, &start, &error, &err), 0);
    assert_int_equal(wait_end(&child), 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return leave_group();

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_its_end_and_status),
        cmocka_unit_test(writes_to_its_pipe),
        cmocka_unit_test(a_running_child_is_not_waited_for),
        cmocka_unit_test(one_that_left_its_group_is_signalled),
        cmocka_unit_test(signals_are_as_a_program_expects),
        cmocka_unit_test(a_missing_program_is_an_error),
        cmocka_unit_test(directory_and_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
