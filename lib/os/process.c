/* Process matters: see process.h. */
#include "os/process.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- privileges ---- */

#define PASSWD_BYTES (64 << 10)
#define GROUPS_MAX   1024

/* Of users and groups; one more means "unchanged" to the kernel. */
#define ID_MAX (UINT32_MAX - 1)

/* Whom to become.  Everything is looked up before the chroot, in which there
 * may be no user database. */
struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    int groups_n;
};

static int system_error(struct lh_err *err, const char *call, const char *what)
{
    return lh_err_set(err, LHTTPD_ESYSTEM, "%s%s%s: %s", call, *what ? " " : "",
                      what, strerror(errno));
}

/* Takes the ids of a user that the database knows. */
static int use_entry(struct identity *id, const struct passwd *entry,
                     const char *user, struct lh_err *err)
{
    id->uid = entry->pw_uid;
    id->gid = entry->pw_gid;
    id->groups_n = GROUPS_MAX;
    if (getgrouplist(entry->pw_name, id->gid, id->groups, &id->groups_n) < 0)
        return lh_err_set(err, LHTTPD_EUSER,
                          "user '%.100s' is in more than %d groups", user,
                          GROUPS_MAX);
    return 0;
}

/* By name, or by uid where `uid` is not NULL. */
static int look_up_entry(struct identity *id, const char *user,
                         const uint64_t *uid, struct lh_err *err)
{
    struct passwd storage, *entry = NULL;
    char *bytes = lh_alloc(PASSWD_BYTES);

    if (!bytes)
        return lh_err_memory(err);
    if (uid)
        getpwuid_r((uid_t)*uid, &storage, bytes, PASSWD_BYTES, &entry);
    else
        getpwnam_r(user, &storage, bytes, PASSWD_BYTES, &entry);
    int result;
    if (entry)
        result = use_entry(id, entry, user, err);
    else if (uid)
        result = lh_err_set(err, LHTTPD_EUSER,
                            "no user has the number %.100s; "
                            "give its group as well: uid:gid",
                            user);
    else
        result =
            lh_err_set(err, LHTTPD_EUSER, "there is no user '%.100s'", user);
    lh_free(bytes);
    return result;
}

static int look_up(struct identity *id, const char *user, struct lh_err *err)
{
    const char *colon = strchr(user, ':');
    struct lh_str first = lh_str_of(user);
    uint64_t uid, gid;

    if (colon)
        first.n = (size_t)(colon - user);
    bool number = lh_str_to_u64(first, ID_MAX, &uid);
    if (!colon)
        return look_up_entry(id, user, number ? &uid : NULL, err);
    if (!number || !lh_str_to_u64(lh_str_of(colon + 1), ID_MAX, &gid))
        return lh_err_set(err, LHTTPD_EUSER,
                          "user '%.100s' is neither a name nor uid:gid", user);
    id->uid = (uid_t)uid;
    id->gid = id->groups[0] = (gid_t)gid;
    id->groups_n = 1;
    return 0;
}

int lh_process_find_user(const char *user, uint32_t *uid, uint32_t *gid,
                         struct lh_err *err)
{
    struct identity id;
    int result = look_up(&id, user, err);

    if (result < 0)
        return result;
    *uid = id.uid;
    *gid = id.gid;
    return 0;
}

int lh_process_find_group(const char *group, uint32_t *gid, struct lh_err *err)
{
    struct group storage, *entry = NULL;
    uint64_t number;
    char *bytes;

    if (lh_str_to_u64(lh_str_of(group), ID_MAX, &number)) {
        *gid = (uint32_t)number;
        return 0;
    }
    bytes = lh_alloc(PASSWD_BYTES);
    if (!bytes)
        return lh_err_memory(err);
    getgrnam_r(group, &storage, bytes, PASSWD_BYTES, &entry);
    if (entry)
        *gid = entry->gr_gid;
    lh_free(bytes);
    return entry ? 0
                 : lh_err_set(err, LHTTPD_EUSER, "there is no group '%.100s'",
                              group);
}

static bool is_already(const struct identity *id)
{
    uid_t uid, euid, suid;
    gid_t gid, egid, sgid;

    return getresuid(&uid, &euid, &suid) == 0 &&
           getresgid(&gid, &egid, &sgid) == 0 && uid == id->uid &&
           euid == id->uid && suid == id->uid && gid == id->gid &&
           egid == id->gid && sgid == id->gid;
}

static int enter(const char *root, struct lh_err *err)
{
    if (chroot(root) < 0) {
        if (errno != EPERM)
            return system_error(err, "chroot", root);
        return lh_err_set(err, LHTTPD_ESYSTEM,
                          "chroot %.100s: only root can; start as root, or "
                          "leave out -r",
                          root);
    }
    if (chdir("/") < 0)
        return system_error(err, "chdir", "/");
    return 0;
}

/* Groups first: afterwards there is no right to change them. */
static int become(const struct identity *id, struct lh_err *err)
{
    if (setgroups((size_t)id->groups_n, id->groups) < 0)
        return system_error(err, "setgroups", "");
    if (setresgid(id->gid, id->gid, id->gid) < 0)
        return system_error(err, "setresgid", "");
    if (setresuid(id->uid, id->uid, id->uid) < 0)
        return system_error(err, "setresuid", "");
    bool regained = id->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0);
    if (regained || !is_already(id))
        return lh_err_set(err, LHTTPD_EUSER,
                          "the system let this process keep root's rights");
    return 0;
}

int lh_process_confine(const char *user, const char *root, struct lh_err *err)
{
    struct identity id;
    bool change = false;

    if (user) {
        int result = look_up(&id, user, err);
        if (result < 0)
            return result;
        change = geteuid() == 0;
        if (!change && !is_already(&id))
            return lh_err_set(err, LHTTPD_EUSER,
                              "cannot become user '%.100s': only root can; "
                              "start as root, or leave out -u",
                              user);
    }
    if (root) {
        int result = enter(root, err);
        if (result < 0)
            return result;
    }
    return change ? become(&id, err) : 0;
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
    uint64_t max = lh_process_descriptors();
    for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS_MAX && (uint64_t)fd < max;
         fd++)
        close_on_exec(fd);
}

int lh_process_prepare(struct lh_err *err)
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
static void collect(pid_t server)
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

static void supervise(pid_t server, const sigset_t *all)
{
    siginfo_t signal;

    for (;;) {
        if (sigwaitinfo(all, &signal) < 0)
            continue; /* it was stopped and goes on */
        if (signal.si_signo == SIGCHLD)
            collect(server);
        else
            pass_on(server, &signal);
    }
}

int lh_process_supervise(struct lh_err *err)
{
    sigset_t all, old;

    if (getpid() != 1)
        return 0;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    signal(SIGCHLD, SIG_DFL); /* ignored, it would hide how the server ended */
    pid_t child = fork();
    if (child > 0)
        supervise(child, &all);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return child < 0 ? system_error(err, "fork", "") : 0;
}

/* ---- background ---- */

static void wait_until_ready(int fd)
{
    char byte;
    ssize_t n;

    do {
        n = read(fd, &byte, 1);
    } while (n < 0 && errno == EINTR);
    /* Not exit(): what the program registered with atexit() and what waits in
     * stdio's buffers belongs to the child. */
    _exit(n == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Who leads a session without a terminal gets the next one that it opens, and
 * then its signals; who does not lead never does. */
static int leave_session_to_nobody(struct lh_err *err)
{
    pid_t child = fork();

    if (child < 0)
        return system_error(err, "fork", "");
    if (child > 0)
        _exit(EXIT_SUCCESS); /* the first parent waits for the grandchild */
    return 0;
}

int lh_process_daemonize(lhttpd_daemon_t *daemon, struct lh_err *err)
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
    daemon->notify_fd = -1;
    daemon->null_fd = lh_fd_above(lh_fd_open_null());
    if (daemon->null_fd < 0)
        return system_error(err, "open", "/dev/null");
    /* A socket rather than a pipe: sending can do without SIGPIPE. */
    if (lh_fd_socketpair(ends) < 0) {
        result = system_error(err, "socketpair", "");
        goto err_after_null;
    }
    pid_t child = fork();
    if (child < 0) {
        result = system_error(err, "fork", "");
        goto err_after_socketpair;
    }
    if (child > 0) {
        close(ends[1]);
        wait_until_ready(ends[0]);
    }
    close(ends[0]);
    daemon->notify_fd = ends[1];
    if (setsid() < 0)
        return system_error(err, "setsid", "");
    return leave_session_to_nobody(err);

err_after_socketpair:
    close(ends[0]);
    close(ends[1]);
err_after_null:
    close(daemon->null_fd);
    daemon->null_fd = -1;
    return result;
}

int lh_process_ready(lhttpd_daemon_t *daemon, struct lh_err *err)
{
    int result = 0;

    if (daemon->notify_fd < 0 || daemon->null_fd < 0)
        return lh_err_set(err, LHTTPD_ESTATE,
                          "this process was not put into the background");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && result == 0; fd++) {
        if (dup2(daemon->null_fd, fd) < 0)
            result = system_error(err, "dup2", "/dev/null");
    }
    /* That the parent is gone (killed) is no reason to stop. */
    if (result == 0)
        (void)!send(daemon->notify_fd, "", 1, MSG_NOSIGNAL);
    close(daemon->notify_fd);
    close(daemon->null_fd);
    daemon->notify_fd = daemon->null_fd = -1;
    return result;
}

/* ---- numbers ---- */

long lh_process_id(void)
{
    return (long)getpid();
}

unsigned lh_process_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

size_t lh_process_stack_bytes(void)
{
    const rlim_t least = (rlim_t)2 << 20, most = (rlim_t)64 << 20;
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur < least)
        return (size_t)least;
    return (size_t)(limit.rlim_cur < most ? limit.rlim_cur : most);
}

uint64_t lh_process_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 256; /* what POSIX programs may count on, and more */
    return (uint64_t)limit.rlim_cur;
}
