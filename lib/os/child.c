/* Child processes that nobody waits for: see child.h. */
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int add_descriptor(posix_spawn_file_actions_t *actions, int fd, int as)
{
    if (fd < 0)
        return posix_spawn_file_actions_addopen(actions, as, "/dev/null",
                                                O_RDWR, 0);
    return posix_spawn_file_actions_adddup2(actions, fd, as);
}

static int fill_actions(posix_spawn_file_actions_t *actions,
                        const struct lh_child_start *start)
{
    int r = add_descriptor(actions, start->in, STDIN_FILENO);

    if (r == 0)
        r = add_descriptor(actions, start->out, STDOUT_FILENO);
    if (r == 0)
        r = add_descriptor(actions, start->error, STDERR_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions,
                                                     STDERR_FILENO + 1);
    if (r == 0 && start->directory)
        r = posix_spawn_file_actions_addchdir_np(actions, start->directory);
    return r;
}

/* Workers block every signal, and a program may ignore some. */
static void fill_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETPGROUP);
}

static int spawn(pid_t *pid, const struct lh_child_start *start)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *const *env = (char *const *)start->env;
    int r = posix_spawn_file_actions_init(&actions);

    if (r != 0)
        return r;
    r = posix_spawnattr_init(&attributes);
    if (r != 0)
        goto err_after_actions;
    fill_attributes(&attributes);
    r = fill_actions(&actions, start);
    if (r == 0)
        r = posix_spawnp(pid, start->argv[0], &actions, &attributes,
                         (char *const *)start->argv, env ? env : environ);
    posix_spawnattr_destroy(&attributes);
err_after_actions:
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

int lh_child_spawn(struct lh_child *child, const struct lh_child_start *start,
                   int *error, struct lh_err *err)
{
    *error = spawn(&child->pid, start);
    if (*error != 0)
        return lh_err_set(err, LHTTPD_ESYSTEM, "%s: %s", start->argv[0],
                          strerror(*error));
    child->ended_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->ended_fd >= 0)
        return 0;
    *error = errno;
    lh_child_end(child);
    return lh_err_set(err, LHTTPD_ESYSTEM, "%s: its end cannot be watched: %s",
                      start->argv[0], strerror(*error));
}

static void reaped(struct lh_child *child)
{
    child->pid = -1;
    if (child->ended_fd >= 0)
        close(child->ended_fd);
    child->ended_fd = -1;
}

bool lh_child_has_ended(const struct lh_child *child)
{
    siginfo_t info = {.si_pid = 0};

    if (child->pid < 0)
        return true;
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return errno != EINTR; /* somebody else has waited for it */
    return info.si_pid != 0;
}

bool lh_child_reap(struct lh_child *child, int *status)
{
    if (child->pid < 0)
        return true;
    pid_t pid = waitpid(child->pid, status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR))
        return false;
    if (pid < 0)
        *status = 0; /* somebody else has waited for it */
    reaped(child);
    return true;
}

void lh_child_signal(const struct lh_child *child, int number)
{
    if (child->pid < 0)
        return;
    kill(-child->pid, number);
    if (getpgid(child->pid) != child->pid)
        kill(child->pid, number); /* it has left its group */
}

void lh_child_end(struct lh_child *child)
{
    int status;

    if (child->pid < 0)
        return;
    lh_child_signal(child, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    reaped(child);
}

int lh_child_pipe(int fds[2])
{
    return pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
}
