/*
 * Settings by name: see settings.h.
 *
 * One name space holds limits (base/limits.c) and settings, which are what is
 * no number.  A call that fails leaves all as it was, and says which name and
 * value it refused.
 */
#include "server/settings.h"

#include "base/mem.h"
#include "http/field.h"
#include "net/tls.h"
#include "os/aio.h"
#include "os/crew.h"
#include "os/user.h"
#include "server/logs.h"
#include "server/news.h"
#include "server/server.h"
#include "server/stats.h"

#include <stdio.h>
#include <stdlib.h>

#define MODE_MAX 0777 /* of a socket; set-user-ID and its like mean nothing */

enum last_set { BEFORE_START, RUNNING };

struct setting {
    const char *name;
    enum last_set last_set; /* the latest state in which it may be set */
    int (*set)(struct lhttpd_server_t *s, const char *value,
               struct lh_err *err);
};

/* --- of unix sockets ------------------------------------------------------ */

/* listen binds at once, so a later word would come too late. */
static int need_no_unix_socket(const struct lhttpd_server_t *s,
                               struct lh_err *err)
{
    for (unsigned i = 0; i < s->listeners.n; i++) {
        if (s->listeners.v[i].where.unix_path)
            return lh_err_set(err, LHTTPD_ESTATE,
                              "it has to be set before %s is listened on",
                              s->listeners.v[i].where.text);
    }
    return 0;
}

static int set_unix_owner(struct lhttpd_server_t *s, const char *value,
                          struct lh_err *err)
{
    int r = need_no_unix_socket(s, err);

    return r < 0 ? r
                 : lh_user_find(value, &s->settings.unix_owner,
                                &s->settings.unix_owner_group, err);
}

static int set_unix_group(struct lhttpd_server_t *s, const char *value,
                          struct lh_err *err)
{
    int r = need_no_unix_socket(s, err);

    return r < 0 ? r : lh_user_find_group(value, &s->settings.unix_group, err);
}

/* Octal as for chmod(1): "660" and "0660" are the same. */
static int set_unix_mode(struct lhttpd_server_t *s, const char *value,
                         struct lh_err *err)
{
    int r = need_no_unix_socket(s, err);
    uint32_t mode = 0;
    const char *p = value;

    if (r < 0)
        return r;
    while (*p >= '0' && *p <= '7' && mode <= MODE_MAX)
        mode = mode * 8 + (uint32_t)(*p++ - '0');
    if (p == value || *p || mode > MODE_MAX)
        return lh_err_set(err, LHTTPD_EINVAL, "not an octal number up to 0777");
    s->settings.unix_mode = mode;
    return 0;
}

/* --- numbers -------------------------------------------------------------- */

static int set_number(uint64_t *number, const char *value, struct lh_err *err)
{
    if (strcmp(value, "unlimited") == 0)
        *number = LHTTPD_UNLIMITED;
    else if (!lh_str_to_u64(lh_str_of(value), LHTTPD_UNLIMITED - 1, number))
        return lh_err_set(err, LHTTPD_EINVAL,
                          "not a decimal number, or \"unlimited\"");
    return 0;
}

static int set_reload_grace_ms(struct lhttpd_server_t *s, const char *value,
                               struct lh_err *err)
{
    return set_number(&s->settings.reload_grace_ms, value, err);
}

/* --- proxies -------------------------------------------------------------- */

static int set_proxy_from(struct lhttpd_server_t *s, const char *value,
                          struct lh_err *err)
{
    return lh_networks_parse(&s->settings.proxy_from, value, err);
}

static int set_forwarded(struct lhttpd_server_t *s, const char *value,
                         struct lh_err *err)
{
    static const char *const words[] = {
        [LH_FORWARDED_NOT] = "none",
        [LH_FORWARDED_X] = "x-forwarded-for",
        [LH_FORWARDED_RFC7239] = "forwarded",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i]) == 0) {
            s->settings.forwarded = (enum lh_forwarded_by)i;
            return 0;
        }
    }
    return lh_err_set(err, LHTTPD_EINVAL,
                      "not none, x-forwarded-for or forwarded");
}

/* --- client certificates -------------------------------------------------- */

/* Read at once, for what confine takes away may be needed to. */
static int set_client_ca(struct lhttpd_server_t *s, const char *value,
                         struct lh_err *err)
{
    lhttpd_client_ca_t ca = lhttpd_client_ca_init();

    ca.file = value;
    return lh_creds_add_client_ca(s->creds, &ca, err);
}

static int set_client_verify(struct lhttpd_server_t *s, const char *value,
                             struct lh_err *err)
{
    if (strcmp(value, "required") == 0)
        s->settings.client_must = LH_CLIENTS_REQUIRED;
    else if (strcmp(value, "optional") == 0)
        s->settings.client_must = LH_CLIENTS_OPTIONAL;
    else
        return lh_err_set(err, LHTTPD_EINVAL, "not required or optional");
    return 0;
}

int lh_settings_add_client_ca(struct lhttpd_server_t *s,
                              const lhttpd_client_ca_t *ca, struct lh_err *err)
{
    enum lh_client_must must =
        ca->optional ? LH_CLIENTS_OPTIONAL : LH_CLIENTS_REQUIRED;

    if (s->settings.client_must != LH_CLIENTS_NOT_TOLD &&
        s->settings.client_must != must)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "client CA: certificates were %s before, and are one "
                          "or the other for all of a server",
                          ca->optional ? "required" : "optional");
    int r = lh_creds_add_client_ca(s->creds, ca, err);
    if (r == 0)
        s->settings.client_must = must;
    return r;
}

void lh_settings_deinit(struct lh_settings *settings)
{
    lh_networks_deinit(&settings->proxy_from);
    lh_directory_settings_deinit(&settings->directories);
}

static int set_switch(bool *to, const char *value, struct lh_err *err)
{
    bool on = strcmp(value, "on") == 0;

    if (!on && strcmp(value, "off") != 0)
        return lh_err_set(err, LHTTPD_EINVAL, "on or off");
    *to = on;
    return 0;
}

static int set_trust_request_id(struct lhttpd_server_t *s, const char *value,
                                struct lh_err *err)
{
    return set_switch(&s->settings.trust_request_id, value, err);
}

static int set_server_name(struct lhttpd_server_t *s, const char *value,
                           struct lh_err *err)
{
    if (*value && !lh_field_value_valid(lh_str_of(value)))
        return lh_err_set(err, LHTTPD_EINVAL,
                          "not the value of a header field");
    char *copy = lh_strdup(value);
    if (!copy)
        return lh_err_memory(err);
    lh_free(s->software);
    s->software = copy;
    return 0;
}

/* --- files ---------------------------------------------------------------- */

static int set_cache_control(struct lhttpd_server_t *s, const char *value,
                             struct lh_err *err)
{
    return lh_directory_set_cache_control(&s->settings.directories, value, err);
}

static int set_directory_listing(struct lhttpd_server_t *s, const char *value,
                                 struct lh_err *err)
{
    return set_switch(&s->settings.directories.listing, value, err);
}

static int set_mime_types(struct lhttpd_server_t *s, const char *value,
                          struct lh_err *err)
{
    return lh_directory_set_mime_types(&s->settings.directories, value, err);
}

/* "unlimited" is what 0 says. */
static int set_script_kill_ms(struct lhttpd_server_t *s, const char *value,
                              struct lh_err *err)
{
    int r = set_number(&s->settings.script_kill_ms, value, err);

    if (r == 0 && s->settings.script_kill_ms == LHTTPD_UNLIMITED)
        s->settings.script_kill_ms = 0;
    return r;
}

void lh_settings_init(struct lh_settings *settings)
{
    settings->reload_grace_ms = 60000;
    settings->tls_threads = 1;
    settings->unix_owner = settings->unix_owner_group = LH_SOCK_AS_MADE;
    settings->unix_group = settings->unix_mode = LH_SOCK_AS_MADE;
}

/* A group that was named counts more than the group of the owner, whichever of
 * the two was set first. */
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

/* --- file operations ------------------------------------------------------ */

static int set_aio(struct lhttpd_server_t *s, const char *value,
                   struct lh_err *err)
{
    const char *way = NULL;

    if (strcmp(value, "auto") != 0) {
        int r = lh_aio_find(&way, value, err);
        if (r < 0)
            return r;
    }
    s->settings.aio = way;
    return 0;
}

/* The environment is for those who cannot set anything, as tests of programs.
 */
int lh_settings_aio(const struct lh_settings *settings, const char **way,
                    struct lh_err *err)
{
    const char *given = getenv("LHTTPD_AIO");
    char what[64];

    *way = settings->aio;
    if (*way || !given || !*given || strcmp(given, "auto") == 0)
        return 0;
    int r = lh_aio_find(way, given, err);
    if (r < 0) {
        snprintf(what, sizeof(what), "LHTTPD_AIO=%.40s", given);
        lh_err_prefix(err, what);
    }
    return r;
}

/* --- TLS ----------------------------------------------------------- */

static int set_tls_threads(struct lhttpd_server_t *s, const char *value,
                           struct lh_err *err)
{
    uint64_t n;

    if (!lh_str_to_u64(lh_str_of(value), LH_CREW_HELPERS_MAX, &n))
        return lh_err_set(err, LHTTPD_EINVAL, "not a number from 0 to %d",
                          LH_CREW_HELPERS_MAX);
    s->settings.tls_threads = n;
    return 0;
}

/* Whether it can be had, the start says; here a module may still be loaded for
 * it, which needs privileges. */
static int set_kernel_tls(struct lhttpd_server_t *s, const char *value,
                          struct lh_err *err)
{
    int r = set_switch(&s->settings.kernel_tls, value, err);

    if (r == 0 && s->settings.kernel_tls)
        (void)lh_tls_kernel_refuses();
    return r;
}

/* --- the table ------------------------------------------------------------ */

static const struct setting settings_table[] = {
    {"unix_owner", BEFORE_START, set_unix_owner},
    {"unix_group", BEFORE_START, set_unix_group},
    {"unix_mode", BEFORE_START, set_unix_mode},
    {"reload_grace_ms", RUNNING, set_reload_grace_ms},
    {"script_kill_ms", BEFORE_START, set_script_kill_ms},
    {"aio", BEFORE_START, set_aio},
    {"tls_threads", BEFORE_START, set_tls_threads},
    {"kernel_tls", BEFORE_START, set_kernel_tls},
    {"proxy_from", BEFORE_START, set_proxy_from},
    {"forwarded", BEFORE_START, set_forwarded},
    {"client_ca", BEFORE_START, set_client_ca},
    {"client_verify", BEFORE_START, set_client_verify},
    {"log_file", BEFORE_START, lh_logs_set_log},
    {"access_log", BEFORE_START, lh_logs_set_access},
    {"access_format", BEFORE_START, lh_logs_set_format},
    {"trust_request_id", BEFORE_START, set_trust_request_id},
    {"server_name", BEFORE_START, set_server_name},
    {"cache_control", BEFORE_START, set_cache_control},
    {"directory_listing", BEFORE_START, set_directory_listing},
    {"mime_types", BEFORE_START, set_mime_types},
};

/* NULL: there is no such name. */
static const struct setting *find_setting(const char *name)
{
    for (size_t i = 0; i < sizeof(settings_table) / sizeof(settings_table[0]);
         i++) {
        if (strcmp(settings_table[i].name, name) == 0)
            return &settings_table[i];
    }
    return NULL;
}

static uint32_t bit_of(const struct setting *setting)
{
    return (uint32_t)1 << (setting - settings_table);
}

bool lh_settings_given(const struct lh_settings *settings, const char *name)
{
    const struct setting *setting = find_setting(name);

    return setting && (settings->given & bit_of(setting));
}

/* --- limits --------------------------------------------------------------- */

/* Running workers have copies of their own; they are told before ours changes,
 * which then cannot fail any more. */
static int set_limit(struct lhttpd_server_t *s, const char *name,
                     const char *value, struct lh_err *err)
{
    lhttpd_limits_t limits = s->limits;
    int r = lh_limits_set(&limits, name, value, err);

    if (r < 0)
        return r;
    if (s->state == LH_SERVER_RUNNING) {
        r = lh_news_give_limits(s, &limits);
        if (r < 0)
            return lh_err_memory(err);
        lh_watch_set_limit(&s->watch, limits.handler_run_ms);
        lh_stats_note_limits(s, &limits);
    }
    s->limits = limits;
    atomic_store(&s->channel_bytes, limits.channel_bytes);
    return 0;
}

/* --- all ------------------------------------------------------------------ */

static int set_any(struct lhttpd_server_t *s, const char *name,
                   const char *value, struct lh_err *err)
{
    const struct setting *setting = find_setting(name);
    bool late = setting ? setting->last_set == BEFORE_START
                        : !lh_limits_may_change(name);

    if (late && s->state == LH_SERVER_RUNNING)
        return lh_err_set(err, LHTTPD_ESTATE,
                          "it can be set before start only");
    if (!setting)
        return set_limit(s, name, value, err);
    int r = setting->set(s, value, err);
    if (r == 0)
        s->settings.given |= bit_of(setting);
    return r;
}

/* "name=value: why", as a person wrote it on the command line. */
int lh_settings_set(struct lhttpd_server_t *s, const char *name,
                    const char *value, struct lh_err *err)
{
    char what[200];

    if (!find_setting(name) && !lh_limits_is_name(name))
        return lh_err_set(err, LHTTPD_EINVAL,
                          "%.100s: there is no such setting or limit", name);
    int r = set_any(s, name, value, err);
    if (r == 0)
        return 0;
    snprintf(what, sizeof(what), "%s=%.100s", name, value);
    lh_err_prefix(err, what);
    return r;
}
