/* Child processes that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/emulated.h"
#include "lib/deny.h"
#include "os/child.h"
#include "os/evq.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000

#define NO_ERRORS "it forks, so that no error of exec comes back"

static int spawn(struct lh_child *child, const char *script, int out)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct lh_child_start start = {argv, NULL, NULL, -1, out, -1};
    struct lh_err err;

    return lh_child_spawn(child, &start, &err);
}

/* Waits as a worker does: by the event queue, or by asking. */
static void wait_end(struct lh_child *child)
{
    struct lh_event event;
    struct lh_evq q;

    if (child->ended_fd < 0) {
        for (int i = 0;
             i < test_patience_ms(WAIT_MS) && !lh_child_has_ended(child); i++)
            usleep(1000);
        assert_true(lh_child_reap(child));
        return;
    }
    assert_int_equal(lh_evq_init(&q), 0);
    assert_int_equal(lh_evq_add(&q, child->ended_fd, LH_EV_READ, 1), 0);
    assert_int_equal(lh_evq_wait(&q, &event, 1, test_patience_ms(WAIT_MS)), 1);
    lh_evq_forget(&q, child->ended_fd);
    lh_evq_deinit(&q);
    assert_true(lh_child_has_ended(child));
    assert_true(lh_child_reap(child));
}

static void ends_with(struct lh_child *child, enum lh_child_fate fate, int code)
{
    wait_end(child);
    assert_int_equal(child->fate, fate);
    assert_int_equal(child->code, code);
}

static void reports_its_end_and_status(void **state)
{
    struct lh_child child;

    (void)state;
    assert_int_equal(spawn(&child, "exit 7", -1), 0);
    ends_with(&child, LH_CHILD_EXITED, 7);
    assert_int_equal(child.pid, -1);
    lh_child_signal(&child, SIGKILL); /* of nobody any more */
    assert_true(lh_child_reap(&child));
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

    (void)state;
    assert_int_equal(spawn(&child, "sleep 1000; exit 1", -1), 0);
    assert_false(lh_child_reap(&child));
    lh_child_signal(&child, SIGTERM); /* reaches its own children too */
    ends_with(&child, LH_CHILD_KILLED, SIGTERM);
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
    int fds[2];
    char octet;

    (void)state;
    test_is_executable();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lh_child_pipe(fds), 0);
        start.out = fds[1];
        assert_int_equal(lh_child_spawn(&child, &start, &err), 0);
        close(fds[1]);
        assert_int_equal(read(fds[0], &octet, 1), 1);
        close(fds[0]);
        assert_false(lh_child_has_ended(&child));
        if (i == 1) {
            lh_child_end(&child);
            continue;
        }
        lh_child_signal(&child, SIGTERM);
        ends_with(&child, LH_CHILD_KILLED, SIGTERM);
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
    ends_with(&child, LH_CHILD_EXITED, 3);
    signal(SIGPIPE, before);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void a_missing_program_is_an_error(void **state)
{
    const char *argv[] = {"/no/such/program", NULL};
    struct lh_child_start start = {argv, NULL, NULL, -1, -1, -1};
    struct lh_child child;
    struct lh_err err;

    (void)state;
    test_not_emulated(NO_ERRORS);
    assert_int_equal(lh_child_spawn(&child, &start, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/no/such/program"));
}

static void directory_and_environment(void **state)
{
    const char *argv[] = {"sh", "-c", "test $(pwd)$X = /abc", NULL};
    const char *env[] = {"X=abc", "PATH=/usr/bin:/bin", NULL};
    struct lh_child_start start = {argv, env, "/", -1, -1, -1};
    struct lh_child child;
    struct lh_err err;

    (void)state;
    assert_int_equal(lh_child_spawn(&child, &start, &err), 0);
    ends_with(&child, LH_CHILD_EXITED, 0);
}

static void the_directory_is_named(void **state)
{
    static const struct {
        const char *program, *directory, *names;
        int error;
    } cases[] = {
        {"/bin/true", "/no/such/place", "directory /no/such/place", ENOENT},
        {"/bin/true", "/etc/passwd", "directory /etc/passwd", ENOTDIR},
        {"/no/program", "/", "/no/program", ENOENT},
    };

    (void)state;
    test_not_emulated(NO_ERRORS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *argv[] = {cases[i].program, NULL};
        struct lh_child_start start = {argv, NULL, cases[i].directory,
                                       -1,   -1,   -1};
        struct lh_child child;
        struct lh_err err;

        assert_int_equal(lh_child_spawn(&child, &start, &err), -cases[i].error);
        assert_memory_equal(err.text, cases[i].names, strlen(cases[i].names));
    }
}

/* A program that is there, unlike what it names as its interpreter. */
static void a_missing_interpreter_is_named(void **state)
{
    char path[] = "/tmp/lhttpd-child-XXXXXX";
    const char *argv[] = {path, NULL};
    struct lh_child_start start = {argv, NULL, NULL, -1, -1, -1};
    static const char text[] = "#!/no/such/interpreter\n";
    struct lh_child child;
    struct lh_err err;
    int fd = mkstemp(path);

    (void)state;
    test_not_emulated(NO_ERRORS);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    assert_int_equal(lh_child_spawn(&child, &start, &err), -ENOENT);
    unlink(path);
    assert_non_null(strstr(err.text, "interpreter"));
}

/* --- a program that collects children itself ------------------------------ */

static void sleep_until_collected(pid_t pid)
{
    siginfo_t info;

    for (int i = 0; i < test_patience_ms(WAIT_MS); i++) {
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
            return;
        usleep(1000);
    }
    fail();
}

static void an_end_that_others_saw_is_unknown(void **state)
{
    struct lh_child child;
    int status;

    (void)state;
    assert_int_equal(spawn(&child, "exit 3", -1), 0);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    ends_with(&child, LH_CHILD_UNKNOWN, 0);
    signal(SIGCHLD, SIG_IGN);
    assert_int_equal(spawn(&child, "kill -9 $$", -1), 0);
    sleep_until_collected(child.pid);
    ends_with(&child, LH_CHILD_UNKNOWN, 0);
    signal(SIGCHLD, SIG_DFL);
}

/* What was seen in time is known, whoever collects then. */
static void an_end_that_we_saw_first_is_known(void **state)
{
    struct lh_child child;
    int status;

    (void)state;
    assert_int_equal(spawn(&child, "exit 3", -1), 0);
    for (int i = 0;
         i < test_patience_ms(WAIT_MS) && !lh_child_has_ended(&child); i++)
        usleep(1000);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_true(lh_child_reap(&child));
    assert_int_equal(child.fate, LH_CHILD_EXITED);
    assert_int_equal(child.code, 3);
}

/* Another process has got the number. */
static void a_number_that_was_given_anew_gets_no_signal(void **state)
{
    struct lh_child child, other;
    int status;

    (void)state;
    assert_int_equal(spawn(&other, "sleep 1000", -1), 0);
    assert_int_equal(spawn(&child, "exit 0", -1), 0);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    if (child.ended_fd >= 0) {
        child.pid = other.pid;
        lh_child_signal(&child, SIGKILL);
        lh_child_end(&child);
    } else {
        assert_true(lh_child_has_ended(&child));
        child.pid = other.pid;
        lh_child_signal(&child, SIGKILL);
        assert_true(lh_child_reap(&child));
    }
    usleep(20000); /* what it must not have got would have ended it by now */
    assert_false(lh_child_has_ended(&other));
    lh_child_end(&other);
}

/* Descriptors that are not closed on exec, as scripts may have them. */
static void no_further_descriptor_is_open(void **state)
{
    struct lh_child child;
    int open_ones[20];

    (void)state;
    for (int i = 0; i < 20; i++)
        open_ones[i] = dup(STDIN_FILENO);
    assert_int_equal(spawn(&child,
                           "for fd in 3 4 5 6 7 8 9; do"
                           " if (: <&$fd) 2>&-; then exit $fd; fi; done",
                           -1),
                     0);
    for (int i = 0; i < 20; i++)
        close(open_ones[i]);
    ends_with(&child, LH_CHILD_EXITED, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reports_its_end_and_status),
    cmocka_unit_test(writes_to_its_pipe),
    cmocka_unit_test(a_running_child_is_not_waited_for),
    cmocka_unit_test(one_that_left_its_group_is_signalled),
    cmocka_unit_test(signals_are_as_a_program_expects),
    cmocka_unit_test(a_missing_program_is_an_error),
    cmocka_unit_test(directory_and_environment),
    cmocka_unit_test(the_directory_is_named),
    cmocka_unit_test(a_missing_interpreter_is_named),
    cmocka_unit_test(an_end_that_others_saw_is_unknown),
    cmocka_unit_test(an_end_that_we_saw_first_is_known),
    cmocka_unit_test(a_number_that_was_given_anew_gets_no_signal),
    cmocka_unit_test(no_further_descriptor_is_open),
};

/* In a jail without /dev and /proc there are the same children. */
static void reads_nothing_and_writes_nowhere(void **state)
{
    static const char script[] = "read line && exit 1;"
                                 "(echo lost) 2>/dev/nowhere; exit 5";
    struct lh_child child;

    (void)state;
    assert_int_not_equal(access("/dev/null", F_OK), 0);
    assert_int_equal(spawn(&child, script, -1), 0);
    ends_with(&child, LH_CHILD_EXITED, 5);
}

static const struct CMUnitTest jail_tests[] = {
    cmocka_unit_test(reports_its_end_and_status),
    cmocka_unit_test(a_running_child_is_not_waited_for),
    cmocka_unit_test(no_further_descriptor_is_open),
    cmocka_unit_test(reads_nothing_and_writes_nowhere),
};

/* What a system may refuse; the tests have to pass all the same. */
static const struct refusal {
    const char *name;
    int error;
    long calls[5];
    bool jail; /* no /dev, no /proc */
} refusals[] = {
    {"Linux 5.2", ENOSYS, {SYS_pidfd_open, SYS_close_range, -1}, false},
    {"Linux 5.0", ENOSYS, {SYS_pidfd_open, SYS_pidfd_send_signal, -1}, false},
    {"a container", EPERM, {SYS_pidfd_open, SYS_close_range, -1}, false},
    {"no signals by descriptor", EPERM, {SYS_pidfd_send_signal, -1}, false},
    {"a jail", 0, {-1}, true},
    {"an old jail", ENOSYS, {SYS_pidfd_open, SYS_close_range, -1}, true},
};

/* False: not allowed here. */
static bool confine(const struct refusal *r)
{
    if (r->jail && !test_jail())
        return false;
    for (const long *call = r->calls; *call >= 0; call++)
        if (!test_deny(*call, TEST_ANY_ARGUMENT, r->error))
            return false;
    return true;
}

static int run_refused(const struct refusal *r)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        if (!confine(r))
            _exit(0);
        _exit(r->jail
                  ? cmocka_run_group_tests_name(r->name, jail_tests, NULL, NULL)
                  : cmocka_run_group_tests_name(r->name, tests, NULL, NULL));
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 1;
    return 0;
}

int main(int argc, char **argv)
{
    int failed;

    (void)argv;
    if (argc > 1)
        return leave_group();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        failed += run_refused(&refusals[i]);
    return failed;
}
