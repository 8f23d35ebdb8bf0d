/*
 * Who this process is: see user.h.  Whom to become is looked up before the
 * chroot, in which there may be no user database, and groups are changed before
 * the user, who has no right to change them any more.
 */
#include "os/user.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/error.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

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

/* The words for a system call that failed, with what it was about if that
 * says more. */
static int refuse_call(struct lh_err *err, const char *call, const char *what)
{
    return lh_err_set(err, LHTTPD_ESYSTEM, "%s%s%s: %s", call, *what ? " " : "",
                      what, lh_sys_text(-errno));
}

/* Takes the ids of a user that the database knows. */
static int identity_use(struct identity *id, const struct passwd *entry,
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
static int identity_look_up_entry(struct identity *id, const char *user,
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
        result = identity_use(id, entry, user, err);
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

/* A name, a number that the database knows, or two numbers that it need not
 * know. */
static int identity_look_up(struct identity *id, const char *user,
                            struct lh_err *err)
{
    const char *colon = strchr(user, ':');
    struct lh_str first = lh_str_of(user);
    uint64_t uid, gid;

    if (colon)
        first.n = (size_t)(colon - user);
    bool number = lh_str_to_u64(first, ID_MAX, &uid);
    if (!colon)
        return identity_look_up_entry(id, user, number ? &uid : NULL, err);
    if (!number || !lh_str_to_u64(lh_str_of(colon + 1), ID_MAX, &gid))
        return lh_err_set(err, LHTTPD_EINVAL,
                          "user '%.100s' is neither a name nor uid:gid", user);
    id->uid = (uid_t)uid;
    id->gid = id->groups[0] = (gid_t)gid;
    id->groups_n = 1;
    return 0;
}

/* For who only wants to give something to that user. */
int lh_user_find(const char *user, uint32_t *uid, uint32_t *gid,
                 struct lh_err *err)
{
    struct identity id;
    int result = identity_look_up(&id, user, err);

    if (result < 0)
        return result;
    *uid = id.uid;
    *gid = id.gid;
    return 0;
}

int lh_user_find_group(const char *group, uint32_t *gid, struct lh_err *err)
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

/* Real, effective and saved: any of them that is still root's could be taken
 * back. */
static bool is_already(const struct identity *id)
{
    uid_t uid, euid, suid;
    gid_t gid, egid, sgid;

    return getresuid(&uid, &euid, &suid) == 0 &&
           getresgid(&gid, &egid, &sgid) == 0 && uid == id->uid &&
           euid == id->uid && suid == id->uid && gid == id->gid &&
           egid == id->gid && sgid == id->gid;
}

/* The working directory is moved inside, or the old one would lead out. */
static int enter_root(const char *root, struct lh_err *err)
{
    if (chroot(root) < 0) {
        if (errno != EPERM)
            return refuse_call(err, "chroot", root);
        return lh_err_set(err, LHTTPD_ESYSTEM,
                          "chroot %.100s: only root can; start as root, or "
                          "without a root directory",
                          root);
    }
    if (chdir("/") < 0)
        return refuse_call(err, "chdir", "/");
    return 0;
}

/* Groups first: afterwards there is no right to change them. */
static int become_user(const struct identity *id, struct lh_err *err)
{
    if (setgroups((unsigned short)id->groups_n, id->groups) < 0)
        return refuse_call(err, "setgroups", "");
    if (setresgid(id->gid, id->gid, id->gid) < 0)
        return refuse_call(err, "setresgid", "");
    if (setresuid(id->uid, id->uid, id->uid) < 0)
        return refuse_call(err, "setresuid", "");
    bool regained = id->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0);
    if (regained || !is_already(id))
        return lh_err_set(err, LHTTPD_EUSER,
                          "the system let this process keep root's rights");
    return 0;
}

/* Who is looked up first, then the root is entered, and last the rights are
 * given up that this needs. */
int lh_user_confine(const char *user, const char *root, struct lh_err *err)
{
    struct identity id;
    bool change = false;

    if (user) {
        int result = identity_look_up(&id, user, err);
        if (result < 0)
            return result;
        change = geteuid() == 0;
        if (!change && !is_already(&id))
            return lh_err_set(err, LHTTPD_EUSER,
                              "cannot become user '%.100s': only root can; "
                              "start as root, or as that user",
                              user);
    }
    if (root) {
        int result = enter_root(root, err);
        if (result < 0)
            return result;
    }
    return change ? become_user(&id, err) : 0;
}
