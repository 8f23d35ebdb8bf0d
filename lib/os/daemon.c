/*
 * What makes this process a good server of its system: see daemon.h.  Only one
 * thread runs yet when these are called: they fork, and only the thread that
 * forks goes on in the child.
 */
#include "os/daemon.h"

#include "os/error.h"
#include "os/fd.h"
#include "os/self.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The words for a system call that failed, with what it was about if that
 * says more. */
static int fail_call(struct lh_err *err, const char *call, const char *what,
                     int error)
{
    return lh_err_set(err, LHTTPD_ESYSTEM, "%s%s%s: %s", call, *what ? " " : "",
                      what, lh_sys_text(error));
}

/* ---- what a process starts with ---- */

/* The highest number that is looked at where the kernel lists none. */
#define DESCRIPTORS_MAX 65536

static void close_on_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0 && !(flags & FD_CLOEXEC))
        fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

/* They stay open: a path such as /dev/fd/63, or a program's own convention,
 * may name one. */
static void keep_from_children(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U,
                4 /* CLOSE_RANGE_CLOEXEC */) == 0)
        return;
#endif
    uint64_t max = lh_self_descriptors();
    for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS_MAX && (uint64_t)fd < max;
         fd++)
        close_on_exec(fd);
}

/* What a shell or a supervisor left in disorder: standard streams that are
 * closed, descriptors that children would inherit, and a soft limit of
 * descriptors below the hard one. */
int lh_daemon_prepare(struct lh_err *err)
{
    struct rlimit files;
    int result = lh_fd_occupy_standard(err);

    if (result < 0)
        return result;
    keep_from_children();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    return 0;
}

/* ---- process 1 ---- */

/* Collects who has ended; with the server ends this process. */
static void collect_ended(pid_t server)
{
    int status;
    pid_t ended;

    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
        if (ended == server)
            _exit(WIFEXITED(status) ? WEXITSTATUS(status)
                                    : 128 + WTERMSIG(status));
    }
}

/* Signals that a process sent, not the kernel: a terminal's go to the whole
 * group, the server has them already. */
static void pass_on(pid_t server, const siginfo_t *signal)
{
    if (signal->si_code <= 0)
        kill(server, signal->si_signo);
}

static void supervise_server(pid_t server, const sigset_t *all)
{
    siginfo_t signal;

    for (;;) {
        if (sigwaitinfo(all, &signal) < 0)
            continue; /* it was stopped and goes on */
        if (signal.si_signo == SIGCHLD)
            collect_ended(server);
        else
            pass_on(server, &signal);
    }
}

/* Process 1 inherits all orphans of its container and has to collect them; so
 * the server runs in a child, and this process never returns. */
int lh_daemon_supervise(struct lh_err *err)
{
    sigset_t all, old;

    if (getpid() != 1)
        return 0;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    signal(SIGCHLD, SIG_DFL); /* ignored, it would hide how the server ended */
    pid_t child = fork();
    if (child > 0)
        supervise_server(child, &all);
    /* What would not end process 1 does not end who stands for it: these come
     * from outside, perhaps before the program handles them. */
    if (child == 0) {
        signal(SIGHUP, SIG_IGN);
        signal(SIGUSR1, SIG_IGN);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    return child < 0 ? fail_call(err, "fork", "", -errno) : 0;
}

/* ---- background ---- */

/* Who leads the background process's session until that is ready. */
static pid_t leader;

/* What comes is the status to end with: 0 from who is ready. */
static void wait_until_ready(int fd)
{
    unsigned char status;
    ssize_t n;

    do {
        n = read(fd, &status, 1);
    } while (n < 0 && errno == EINTR);
    /* Not exit(): what the program registered with atexit() and what waits in
     * stdio's buffers belongs to the child. */
    _exit(n == 1 ? status : EXIT_FAILURE);
}

/* How the background process has ended before it was ready, for the first
 * parent.  Does not return. */
static void tell_parent(pid_t child, int fd)
{
    unsigned char code = EXIT_FAILURE;
    int status;
    pid_t ended;

    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended == child && WIFEXITED(status) && WEXITSTATUS(status))
        code = (unsigned char)WEXITSTATUS(status);
    (void)!send(fd, &code, 1, MSG_NOSIGNAL);
    _exit(code);
}

/* Who leads a session without a terminal gets the next one that it opens, and
 * then its signals; who does not lead never does. */
static int leave_session_to_nobody(int fd, struct lh_err *err)
{
    leader = getpid();

    pid_t child = fork();
    if (child < 0)
        return fail_call(err, "fork", "", -errno);
    if (child > 0)
        tell_parent(child, fd);
    return 0;
}

/* The caller's shell waits until the server is ready, or has failed, by a
 * socket whose other end the background process has. */
int lh_daemon_start(lhttpd_daemon_t *daemon, struct lh_err *err)
{
    int ends[2];
    int result;

    if (getpid() == 1)
        return lh_err_set(err, LHTTPD_ESTATE,
                          "process 1 cannot go to the background: its system "
                          "or container would end; stay in the foreground");
    result = lh_fd_occupy_standard(err);
    if (result < 0)
        return result;
    daemon->notify_fd = daemon->null_fd = -1;
    int null = lh_fd_open_null();
    if (null < 0)
        return fail_call(err, "open", "/dev/null", null);
    daemon->null_fd = null;
    /* A socket rather than a pipe: sending can do without SIGPIPE. */
    int error = lh_fd_socketpair(ends);
    if (error < 0) {
        result = fail_call(err, "socketpair", "", error);
        goto err_after_null;
    }
    pid_t child = fork();
    if (child < 0) {
        result = fail_call(err, "fork", "", -errno);
        goto err_after_socketpair;
    }
    if (child > 0) {
        close(ends[1]);
        wait_until_ready(ends[0]);
    }
    close(ends[0]);
    daemon->notify_fd = ends[1];
    if (setsid() < 0)
        return fail_call(err, "setsid", "", -errno);
    return leave_session_to_nobody(ends[1], err);

err_after_socketpair:
    close(ends[0]);
    close(ends[1]);
err_after_null:
    close(daemon->null_fd);
    daemon->null_fd = -1;
    return result;
}

/* From here on nobody reads the standard streams; until then errors were seen
 * where the server was started. */
int lh_daemon_ready(lhttpd_daemon_t *daemon, struct lh_err *err)
{
    int result = 0;

    if (daemon->notify_fd <= 0 || daemon->null_fd <= 0)
        return lh_err_set(err, LHTTPD_ESTATE,
                          "this process was not put into the background");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && result == 0; fd++) {
        if (dup2(daemon->null_fd, fd) < 0)
            result = fail_call(err, "dup2", "/dev/null", -errno);
    }
    /* That the parent is gone (killed) is no reason to stop. */
    if (result == 0) {
        (void)!send(daemon->notify_fd, "", 1, MSG_NOSIGNAL);
        if (getppid() == leader) /* or it has gone already */
            kill(leader, SIGKILL);
    }
    close(daemon->notify_fd);
    close(daemon->null_fd);
    daemon->notify_fd = daemon->null_fd = -1;
    return result;
}
