/* Settings by name: see settings.h. */
#include "server/settings.h"

#include "os/user.h"
#include "server/server.h"

#include <stdio.h>

#define MODE_MAX 0777

struct setting {
    const char *name;
    int (*set)(struct lhttpd_server_t *s, const char *value);
};

/* --- of unix sockets ------------------------------------------------------ */

/* listen binds at once, so a later word would come too late. */
static int need_no_unix_socket(struct lhttpd_server_t *s)
{
    for (unsigned i = 0; i < s->listeners_n; i++) {
        if (s->listeners[i].where.unix_path)
            return lh_err_set(&s->err, LHTTPD_ESTATE,
                              "it has to be set before %s is listened on",
                              s->listeners[i].where.text);
    }
    return 0;
}

static int set_unix_owner(struct lhttpd_server_t *s, const char *value)
{
    int r = need_no_unix_socket(s);

    return r < 0 ? r
                 : lh_user_find(value, &s->settings.unix_owner,
                                &s->settings.unix_owner_group, &s->err);
}

static int set_unix_group(struct lhttpd_server_t *s, const char *value)
{
    int r = need_no_unix_socket(s);

    return r < 0 ? r
                 : lh_user_find_group(value, &s->settings.unix_group, &s->err);
}

static int set_unix_mode(struct lhttpd_server_t *s, const char *value)
{
    int r = need_no_unix_socket(s);
    uint32_t mode = 0;
    const char *p = value;

    if (r < 0)
        return r;
    while (*p >= '0' && *p <= '7' && mode <= MODE_MAX)
        mode = mode * 8 + (uint32_t)(*p++ - '0');
    if (p == value || *p || mode > MODE_MAX)
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "not an octal number up to 0777");
    s->settings.unix_mode = mode;
    return 0;
}

void lh_settings_init(struct lh_settings *settings)
{
    settings->unix_owner = settings->unix_owner_group = LH_SOCK_AS_MADE;
    settings->unix_group = settings->unix_mode = LH_SOCK_AS_MADE;
}

struct lh_sock_access lh_settings_access(const struct lh_settings *settings)
{
    struct lh_sock_access access = {
        .uid = settings->unix_owner,
        .gid = settings->unix_group != LH_SOCK_AS_MADE
                   ? settings->unix_group
                   : settings->unix_owner_group,
        .mode = settings->unix_mode,
    };

    return access;
}

/* --- all ------------------------------------------------------------------ */

static const struct setting settings_table[] = {
    {"unix_owner", set_unix_owner},
    {"unix_group", set_unix_group},
    {"unix_mode", set_unix_mode},
};

static const struct setting *find(const char *name)
{
    for (size_t i = 0; i < sizeof(settings_table) / sizeof(settings_table[0]);
         i++) {
        if (strcmp(settings_table[i].name, name) == 0)
            return &settings_table[i];
    }
    return NULL;
}

static bool is_limit(const char *name)
{
    const char *limit;

    for (unsigned i = 0; (limit = lhttpd_limits_name(i)) != NULL; i++) {
        if (strcmp(limit, name) == 0)
            return true;
    }
    return false;
}

int lh_settings_set(struct lhttpd_server_t *s, const char *name,
                    const char *value)
{
    const struct setting *setting = find(name);
    int r;

    if (setting)
        r = setting->set(s, value);
    else if (!is_limit(name))
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "%.100s: there is no such setting or limit", name);
    else if ((r = lhttpd_limits_set(&s->limits, name, value)) < 0)
        lh_err_set(&s->err, r, "not a decimal number from 1, or \"unlimited\"");
    if (r == LHTTPD_EUSER)
        r = LHTTPD_EINVAL;
    if (r < 0) {
        char what[200];
        snprintf(what, sizeof(what), "%s=%.100s", name, value);
        lh_err_prefix(&s->err, what);
    }
    return r;
}
