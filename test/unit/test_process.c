/*
 * Privileges, background and numbers.  What changes the process is run in a
 * forked child; what only root can do is skipped for others.
 */
#include "os/daemon.h"
#include "os/self.h"
#include "os/user.h"

#include "lib/emulated.h"
#include "lib/deny.h"
#include "lib/forked.h"
#include "lib/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

#define CHECK(what) TEST_FORKED_CHECK(what, err.text)

static struct lh_err err;

static int call(void *body)
{
    (*(void (**)(void))body)();
    return 0;
}

static void in_child(void (*body)(void))
{
    assert_int_equal(test_forked(call, &body), 0);
}

static void need_root(void)
{
    if (geteuid() == 0)
        return;
    print_message("only root can do this\n");
    skip();
}

/* ---- users ---- */

static void check_ids(uid_t uid, gid_t gid)
{
    uid_t u[3];
    gid_t g[3];

    CHECK(getresuid(&u[0], &u[1], &u[2]) == 0);
    CHECK(getresgid(&g[0], &g[1], &g[2]) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(u[i] == uid && g[i] == gid);
    CHECK(setuid(0) < 0 && setgid(0) < 0);
}

static void become_numbers(void)
{
    gid_t groups[8] = {0};

    CHECK(lh_user_confine("12345:54321", NULL, &err) == 0);
    check_ids(12345, 54321);
    CHECK(getgroups(8, groups) == 1 && groups[0] == 54321);
    /* A second time it is this user already. */
    CHECK(lh_user_confine("12345:54321", NULL, &err) == 0);
    CHECK(lh_user_confine("12345:1", NULL, &err) == LHTTPD_EUSER);
    CHECK(lh_user_confine("0:0", NULL, &err) == LHTTPD_EUSER);
    CHECK(strstr(err.text, "cannot become user '0:0': only root can"));
    CHECK(lh_user_confine(NULL, "/tmp", &err) == LHTTPD_ESYSTEM);
    CHECK(strstr(err.text, "chroot /tmp: only root can; start as root, or "
                           "without a root directory"));
}

static void become_name(void)
{
    struct passwd *entry = getpwnam("nobody");

    CHECK(entry && entry->pw_uid != 0);
    CHECK(lh_user_confine("nobody", NULL, &err) == 0);
    check_ids(entry->pw_uid, entry->pw_gid);
}

static void become_uid(void)
{
    struct passwd *entry = getpwnam("nobody");
    char number[20];

    CHECK(entry);
    snprintf(number, sizeof(number), "%u", (unsigned)entry->pw_uid);
    CHECK(lh_user_confine(number, NULL, &err) == 0);
    check_ids(entry->pw_uid, entry->pw_gid);
}

static void test_become(void **state)
{
    (void)state;
    need_root();
    in_child(become_numbers);
    in_child(become_name);
    in_child(become_uid);
}

static void stay_root(void)
{
    CHECK(lh_user_confine("0:0", NULL, &err) == 0);
    CHECK(geteuid() == 0);
}

static void test_root_may_stay(void **state)
{
    (void)state;
    need_root();
    in_child(stay_root);
}

static void refuse_users(void)
{
    static const char *const bad[] = {
        "no such user", "",           ":",       "1:",           ":1",
        "1:x",          "x:1",        "-1:1",    "4294967295:1", "1:4294967295",
        "1:2:3",        "4000000000", "nobody:1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err.text[0] = '\0';
        /* Of two numbers nothing but other ones can come. */
        CHECK(lh_user_confine(bad[i], "/", &err) ==
              (strchr(bad[i], ':') ? LHTTPD_EINVAL : LHTTPD_EUSER));
        CHECK(strlen(err.text) > 10);
    }
    CHECK(lh_user_confine("no such user", NULL, &err) == LHTTPD_EUSER);
    CHECK(strcmp(err.text, "there is no user 'no such user'") == 0);
    CHECK(lh_user_confine("4000000000", NULL, &err) == LHTTPD_EUSER);
    CHECK(strstr(err.text, "uid:gid"));
}

static void refuse_without_root(void)
{
    char self[60];

    CHECK(geteuid() != 0 || setresgid(NOBODY, NOBODY, NOBODY) == 0);
    CHECK(geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0);
    CHECK(lh_user_confine("0:0", NULL, &err) == LHTTPD_EUSER);
    CHECK(strstr(err.text, "only root can; start as root"));
    CHECK(lh_user_confine("root", "/", &err) == LHTTPD_EUSER);
    snprintf(self, sizeof(self), "%u:%u", (unsigned)getuid(),
             (unsigned)getgid());
    CHECK(lh_user_confine(self, NULL, &err) == 0);
    CHECK(lh_user_confine(NULL, NULL, &err) == 0);
}

static void test_refusals(void **state)
{
    (void)state;
    in_child(refuse_users);
    in_child(refuse_without_root);
}

static void no_memory(void)
{
    test_heap_install();
    test_heap_fail_at(1);
    CHECK(lh_user_confine("nobody", NULL, &err) == LHTTPD_ENOMEM);
    CHECK(test_heap_live() == 0);
}

static void test_no_memory(void **state)
{
    (void)state;
    in_child(no_memory);
}

/* ---- chroot ---- */

static char directory[] = "/tmp/test_process.XXXXXX";

static void enter_root(void)
{
    struct stat inside, outside;
    char cwd[100];

    CHECK(stat(directory, &outside) == 0);
    CHECK(lh_user_confine("nobody", directory, &err) == 0);
    CHECK(stat("/", &inside) == 0);
    CHECK(inside.st_ino == outside.st_ino && inside.st_dev == outside.st_dev);
    CHECK(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
    CHECK(stat("/proc", &inside) < 0);
    CHECK(geteuid() != 0);
}

static void no_such_root(void)
{
    CHECK(lh_user_confine("12345:1", "/nonexistent", &err) == LHTTPD_ESYSTEM);
    CHECK(strcmp(err.text, "chroot /nonexistent: No such file or directory") ==
          0);
    CHECK(geteuid() == 0);
}

static void test_chroot(void **state)
{
    (void)state;
    test_not_emulated("it looks into a root directory of its own");
    need_root();
    assert_non_null(mkdtemp(directory));
    in_child(enter_root);
    in_child(no_such_root);
    assert_int_equal(rmdir(directory), 0);
}

/* ---- what a process starts with ---- */

static void prepare(void)
{
    struct rlimit limit = {0, 0};
    int fd = fcntl(STDERR_FILENO, F_DUPFD, 50);

    CHECK(fd >= 50 && fcntl(fd, F_GETFD) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    close(STDIN_FILENO);
    CHECK(lh_daemon_prepare(&err) == 0);
    CHECK(fcntl(STDIN_FILENO, F_GETFD) == 0);
    CHECK(fcntl(STDERR_FILENO, F_GETFD) == 0);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(limit.rlim_cur == limit.rlim_max);
    CHECK(lh_daemon_supervise(&err) == 0); /* is none of our business */
}

/* As on a kernel before 5.9. */
static void prepare_one_by_one(void)
{
    if (test_deny(SYS_close_range, TEST_ANY_ARGUMENT, ENOSYS))
        prepare();
}

static void test_prepare(void **state)
{
    (void)state;
    in_child(prepare);
    in_child(prepare_one_by_one);
}

/* ---- background ---- */

static int report[2]; /* from the background process to the test */

/* Runs `body` in a process that goes to the background first; returns the exit
 * status that a shell would see. */
static int run_daemon(void (*body)(lhttpd_daemon_t *daemon))
{
    int status = -1;
    pid_t child;

    assert_int_equal(pipe(report), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        lhttpd_daemon_t daemon = lhttpd_daemon_init();
        close(report[0]);
        CHECK(lh_daemon_start(&daemon, &err) == 0);
        body(&daemon);
        test_forked_end(0);
    }
    close(report[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* What the background process wrote until it ended. */
static void read_report(char *out, size_t room)
{
    size_t n = 0;
    ssize_t got;

    while ((got = read(report[0], out + n, room - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    close(report[0]);
}

static bool is_null_device(int fd)
{
    struct stat null, status;

    return stat("/dev/null", &null) == 0 && fstat(fd, &status) == 0 &&
           null.st_rdev == status.st_rdev && S_ISCHR(status.st_mode);
}

static void serve(lhttpd_daemon_t *daemon)
{
    bool fine = getsid(0) != getpid() && daemon->notify_fd > 2 &&
                daemon->null_fd > 2 &&
                (fcntl(daemon->notify_fd, F_GETFD) & FD_CLOEXEC) &&
                (fcntl(daemon->null_fd, F_GETFD) & FD_CLOEXEC);

    fine = fine && lh_daemon_ready(daemon, &err) == 0 &&
           daemon->notify_fd == -1 && daemon->null_fd == -1;
    for (int fd = 0; fd <= 2; fd++)
        fine = fine && is_null_device(fd) && !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    /* A second time is a mistake that is told. */
    fine = fine && lh_daemon_ready(daemon, &err) == LHTTPD_ESTATE;
    (void)!write(report[1], fine ? "fine" : err.text, 4);
}

static void test_daemon_ready(void **state)
{
    char words[100];

    (void)state;
    assert_int_equal(run_daemon(serve), 0);
    read_report(words, sizeof(words));
    assert_string_equal(words, "fine");
}

/* Who led its session would have the terminal's signals from now on. */
static void open_terminal(lhttpd_daemon_t *daemon)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    int slave = -1;

    if (master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0)
        slave = open(ptsname(master), O_RDWR);
    bool fine = slave >= 0 && open("/dev/tty", O_RDWR) < 0 && errno == ENXIO;
    lh_daemon_ready(daemon, &err);
    (void)!write(report[1], fine ? "fine" : "tty!", 4);
}

static void test_daemon_has_no_terminal(void **state)
{
    char words[100];

    (void)state;
    assert_int_equal(run_daemon(open_terminal), 0);
    read_report(words, sizeof(words));
    assert_string_equal(words, "fine");
}

static void give_up(lhttpd_daemon_t *daemon)
{
    (void)daemon;
    _exit(0); /* whatever its own status */
}

static void be_killed(lhttpd_daemon_t *daemon)
{
    (void)daemon;
    kill(getpid(), SIGKILL);
}

static void test_daemon_fails(void **state)
{
    (void)state;
    assert_int_equal(run_daemon(give_up), 1);
    close(report[0]);
    assert_int_equal(run_daemon(be_killed), 1);
    close(report[0]);
}

/* Started without standard descriptors, ours must not take their numbers. */
static void daemon_without_standard(void)
{
    lhttpd_daemon_t daemon = lhttpd_daemon_init();

    for (int fd = 0; fd <= 2; fd++)
        close(fd);
    if (lh_daemon_start(&daemon, &err) != 0)
        _exit(2);
    serve(&daemon);
    test_forked_end(0);
}

static void test_daemon_without_standard(void **state)
{
    char words[100];
    int status = -1;

    (void)state;
    assert_int_equal(pipe(report), 0);
    assert_true(report[1] > 2);
    pid_t child = fork();
    if (child == 0) {
        close(report[0]);
        daemon_without_standard();
    }
    close(report[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    read_report(words, sizeof(words));
    assert_string_equal(words, "fine");
}

/* The parent was killed meanwhile: no SIGPIPE, no error. */
static void lose_parent(void)
{
    lhttpd_daemon_t daemon = lhttpd_daemon_init();
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    close(ends[0]);
    daemon.null_fd = open("/dev/null", O_RDWR);
    daemon.notify_fd = ends[1];
    CHECK(lh_daemon_ready(&daemon, &err) == 0);
}

static void test_daemon_without_parent(void **state)
{
    (void)state;
    in_child(lose_parent);
}

static void no_process_left(void)
{
    lhttpd_daemon_t daemon = lhttpd_daemon_init();
    struct rlimit few = {3, 3};

    /* No descriptor to be had: an error, and nothing is left open. */
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    CHECK(lh_daemon_start(&daemon, &err) == LHTTPD_ESYSTEM);
    CHECK(strstr(err.text, "open /dev/null: "));
    CHECK(daemon.null_fd == -1 && daemon.notify_fd == -1);
    CHECK(lh_daemon_ready(&daemon, &err) == LHTTPD_ESTATE);
}

static void test_daemon_errors(void **state)
{
    (void)state;
    in_child(no_process_left);
}

/* ---- numbers ---- */

static void one_cpu(void)
{
    cpu_set_t all, one;

    CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    CHECK(lh_self_cpus() == (unsigned)CPU_COUNT(&all));
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
    CHECK(lh_self_cpus() == 1);
}

static void fewer_descriptors(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 77;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(lh_self_descriptors() == 77);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(limit.rlim_cur == 77); /* read, not raised */
}

static void test_numbers(void **state)
{
    (void)state;
    in_child(one_cpu);
    in_child(fewer_descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_become),
        cmocka_unit_test(test_root_may_stay),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_chroot),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_daemon_ready),
        cmocka_unit_test(test_daemon_has_no_terminal),
        cmocka_unit_test(test_daemon_fails),
        cmocka_unit_test(test_daemon_without_standard),
        cmocka_unit_test(test_daemon_without_parent),
        cmocka_unit_test(test_daemon_errors),
        cmocka_unit_test(test_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
