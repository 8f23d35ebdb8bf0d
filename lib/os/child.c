/*
 * Child processes that nobody waits for: see child.h.  As long as `pid` is not
 * -1 the child was not reaped here.  Its number is used only after the kernel
 * has said that it is still its own (has_its_number), and its descriptor, where
 * there is one, needs no such care.
 */
#include "os/child.h"

#include "os/child_close.h"
#include "os/child_watch.h"
#include "os/error.h"
#include "os/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often is asked for an end that the kernel does not report. */
#define LOOK_MS 64

extern char **environ;

/* --- its descriptors ------------------------------------------------------ */

static int fill_actions(posix_spawn_file_actions_t *actions,
                        const struct lh_child_start *start, int null)
{
    const int from[] = {start->in, start->out, start->error};
    int r = 0;

    for (int fd = STDIN_FILENO; r == 0 && fd <= STDERR_FILENO; fd++)
        r = posix_spawn_file_actions_adddup2(
            actions, from[fd] < 0 ? null : from[fd], fd);
    if (r == 0)
        r = lh_child_close_others(actions);
    if (r == 0 && start->directory)
        r = posix_spawn_file_actions_addchdir_np(actions, start->directory);
    return r;
}

/* --- starting ------------------------------------------------------------- */

/* Workers block signals, and a program may ignore some. */
static void fill_attributes(posix_spawnattr_t *attributes, short more)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes, (short)(POSIX_SPAWN_SETSIGMASK |
                                                 POSIX_SPAWN_SETSIGDEF | more));
}

/* 0 or a negative errno; inside, posix_spawn's functions return it
 * positive. */
static int spawn_child(pid_t *pid, const struct lh_child_start *start, int null)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *const *env = (char *const *)start->env;
    int r = posix_spawn_file_actions_init(&actions);

    if (r != 0)
        return -r;
    r = posix_spawnattr_init(&attributes);
    if (r != 0)
        goto err_after_actions;
    fill_attributes(&attributes, POSIX_SPAWN_SETPGROUP);
    r = fill_actions(&actions, start, null);
    if (r == 0)
        r = posix_spawnp(pid, start->argv[0], &actions, &attributes,
                         (char *const *)start->argv, env ? env : environ);
    posix_spawnattr_destroy(&attributes);
err_after_actions:
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* 0: nothing is wrong with it; or a negative errno. */
static int directory_error(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = 0;

    if (fd < 0)
        return -errno;
    if (faccessat(fd, ".", X_OK, AT_EACCESS) < 0)
        error = -errno;
    close(fd);
    return error;
}

/* The number alone does not tell what it is about. */
static int spawn_blame(const struct lh_child_start *start, int error,
                       struct lh_err *err)
{
    const char *program = start->argv[0], *what = "";
    int of_directory = start->directory ? directory_error(start->directory) : 0;

    if (of_directory < 0) {
        lh_err_set(err, LHTTPD_ESYSTEM, "directory %s: %s", start->directory,
                   lh_sys_text(of_directory));
        return of_directory;
    }
    if (error == -ENOENT && program[0] == '/' && access(program, F_OK) == 0)
        what = ": the interpreter or the dynamic loader that it names";
    lh_err_set(err, LHTTPD_ESYSTEM, "%s: %s%s", program, lh_sys_text(error),
               what);
    return error;
}

int lh_child_spawn(struct lh_child *child, const struct lh_child_start *start,
                   struct lh_err *err)
{
    bool all_given = start->in >= 0 && start->out >= 0 && start->error >= 0;
    int null = all_given ? -1 : lh_fd_open_null();

    *child = (struct lh_child){.pid = -1, .ended_fd = -1};
    if (!all_given && null < 0) {
        lh_err_set(err, LHTTPD_ESYSTEM, "%s: /dev/null: %s", start->argv[0],
                   lh_sys_text(null));
        return null;
    }
    int error = spawn_child(&child->pid, start, null);
    if (null >= 0)
        close(null);
    if (error < 0) {
        child->pid = -1;
        return spawn_blame(start, error, err);
    }
    child->ended_fd = lh_child_watch(child->pid);
    return 0;
}

int lh_child_pipe(int fds[2])
{
    return lh_fd_pipe(fds, 0);
}

/* --- its end -------------------------------------------------------------- */

/* 0 or a negative errno. */
static int wait_for(const struct lh_child *child, int options, siginfo_t *info)
{
    int r = -EINVAL;

    *info = (siginfo_t){.si_pid = 0};
    if (child->ended_fd >= 0)
        r = lh_child_wait_by(child->ended_fd, info, options);
    if (r != -EINVAL)
        return r;
    r = waitid(P_PID, (id_t)child->pid, info, options);
    return r == 0 ? 0 : -errno;
}

/* Asked without reaping, so that its number stays its own.  FreeBSD tells all
 * 32 bits of what was given to exit(), of which a status has 8. */
bool lh_child_has_ended(struct lh_child *child)
{
    siginfo_t info;

    if (child->fate != LH_CHILD_RUNS)
        return true;
    int r = wait_for(child, WEXITED | WNOHANG | WNOWAIT, &info);
    if (r < 0) {
        if (r != -EINTR)
            child->fate = LH_CHILD_UNKNOWN;
    } else if (info.si_pid != 0) {
        child->fate =
            info.si_code == CLD_EXITED ? LH_CHILD_EXITED : LH_CHILD_KILLED;
        child->code = info.si_status & 0xFF;
    }
    return child->fate != LH_CHILD_RUNS;
}

/* Is its number still its own?  That of an ended one is until somebody has
 * waited for it. */
static bool has_its_number(const struct lh_child *child)
{
    siginfo_t info;

    return child->pid >= 0 && child->fate != LH_CHILD_UNKNOWN &&
           wait_for(child, WEXITED | WNOHANG | WNOWAIT, &info) == 0;
}

/* Without waiting: it goes on, or stays a zombie until this process ends or
 * collects it. */
void lh_child_leave(struct lh_child *child)
{
    child->pid = -1;
    if (child->ended_fd >= 0)
        close(child->ended_fd);
    child->ended_fd = -1;
}

/* Somebody else may have collected it; then there is nothing to reap, and its
 * number is not touched. */
bool lh_child_reap(struct lh_child *child)
{
    siginfo_t info;

    if (!lh_child_has_ended(child))
        return false;
    if (has_its_number(child))
        wait_for(child, WEXITED | WNOHANG, &info);
    lh_child_leave(child);
    return true;
}

/* The kernel that can signal a group by the leader's descriptor is preferred,
 * since a number may be another's by now. */
void lh_child_signal(const struct lh_child *child, int number)
{
    bool reached =
        child->ended_fd >= 0 && lh_child_signal_by(child->ended_fd, number);

    if (!has_its_number(child))
        return;
    if (!reached)
        kill(-child->pid, number);
    if (getpgid(child->pid) != child->pid) /* it has left its group */
        kill(child->pid, number);
}

/* The wait is short: nobody survives SIGKILL. */
void lh_child_end(struct lh_child *child)
{
    siginfo_t info;

    if (child->pid < 0)
        return;
    lh_child_signal(child, SIGKILL);
    while (has_its_number(child) && wait_for(child, WEXITED, &info) == -EINTR)
        continue;
    lh_child_leave(child);
}

/* It blocks the thread, as os.execute does; that is why it is no function of
 * httpd. */
int lh_child_execute(struct lh_child *child, const char *command)
{
    const char *argv[] = {"/bin/sh", "-c", command, NULL};
    posix_spawnattr_t attributes;
    siginfo_t info;

    *child = (struct lh_child){.pid = -1, .ended_fd = -1};
    int error = posix_spawnattr_init(&attributes);
    if (error)
        return -error;
    fill_attributes(&attributes, 0);
    error = posix_spawn(&child->pid, argv[0], NULL, &attributes,
                        (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    if (error)
        return -error;
    while (wait_for(child, WEXITED | WNOWAIT, &info) == -EINTR)
        continue;
    lh_child_reap(child);
    return 0;
}

void lh_child_terminate(const struct lh_child *child)
{
    lh_child_signal(child, SIGTERM);
}

void lh_child_kill(const struct lh_child *child)
{
    lh_child_signal(child, SIGKILL);
}

void lh_child_wait(const struct lh_child *child)
{
    struct pollfd end = {.fd = child->ended_fd, .events = POLLIN};

    poll(&end, 1, end.fd < 0 ? LOOK_MS : -1);
}

int lh_child_standard(int number)
{
    int flags = fcntl(number, F_GETFD);

    return flags < 0 || (flags & FD_CLOEXEC) ? -1 : number;
}

bool lh_child_has_shell(void)
{
    return access("/bin/sh", X_OK) == 0;
}
