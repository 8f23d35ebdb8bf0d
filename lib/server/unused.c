/* Settings that have no effect: see unused.h. */
#include "server/unused.h"

#include "base/limits.h"
#include "server/server.h"

#include <stdio.h>

/* What there is that settings can be about. */
enum subject { ACCESS_LOG, PROXIES, UNIX_SOCKETS, TLS, DIRECTORIES };

static const struct {
    const char *name;
    enum subject subject;
} needs[] = {
    {"access_format", ACCESS_LOG},
    {"proxy_from", PROXIES},
    {"unix_owner", UNIX_SOCKETS},
    {"unix_group", UNIX_SOCKETS},
    {"unix_mode", UNIX_SOCKETS},
    {"tls_threads", TLS},
    {"kernel_tls", TLS},
    {"cache_control", DIRECTORIES},
    {"directory_listing", DIRECTORIES},
};

static const char *const missing[] = {
    [ACCESS_LOG] = "there is no access_log",
    [PROXIES] = ("there is neither a listener for the PROXY protocol nor "
                 "forwarded"),
    [UNIX_SOCKETS] = "no unix socket is made",
    [TLS] = "no listener speaks TLS",
    [DIRECTORIES] = "no directory is mapped",
};

static bool expects_proxies(const struct lhttpd_server_t *s)
{
    for (unsigned i = 0; i < s->listeners.n; i++)
        if (s->listeners.v[i].flags & LHTTPD_LISTEN_PROXY)
            return true;
    return s->settings.forwarded != LH_FORWARDED_NOT;
}

/* One that was passed on has its file already. */
static bool makes_unix_sockets(const struct lhttpd_server_t *s)
{
    for (unsigned i = 0; i < s->listeners.n; i++) {
        const struct lh_listener *l = &s->listeners.v[i];
        if (l->where.unix_path ||
            ((l->flags & LHTTPD_LISTEN_CHECK) && lh_listener_is_unix(l)))
            return true;
    }
    return false;
}

static bool maps_directories(const struct lhttpd_server_t *s)
{
    for (unsigned i = 0; i < s->mappings.n; i++)
        if (s->mappings.v[i].directory)
            return true;
    return false;
}

static bool has_subject(const struct lhttpd_server_t *s, enum subject subject)
{
    switch (subject) {
    case ACCESS_LOG:
        return s->access.file != NULL;
    case PROXIES:
        return expects_proxies(s);
    case UNIX_SOCKETS:
        return makes_unix_sockets(s);
    case TLS:
        return lh_listeners_tls(&s->listeners) > 0;
    case DIRECTORIES:
        return maps_directories(s);
    }
    return true;
}

static void tell_unused(const struct lhttpd_server_t *s, const char *what,
                        enum subject subject)
{
    lh_log(&s->log, LHTTPD_LOG_NOTICE, NULL, "%s, and %s", what,
           missing[subject]);
}

/* A limit has a value always, so what counts is another one than usual. */
static void tell_of_tls(const struct lhttpd_server_t *s)
{
    uint64_t usual = lh_limits_resolve(NULL).handshake_timeout_ms;

    if (!lh_creds_empty(s->creds))
        tell_unused(s, "a certificate is given", TLS);
    if (s->limits.handshake_timeout_ms != usual)
        tell_unused(s, "handshake_timeout_ms is set", TLS);
}

void lh_unused_tell(const struct lhttpd_server_t *s)
{
    char what[64];

    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (!lh_settings_given(&s->settings, needs[i].name) ||
            has_subject(s, needs[i].subject))
            continue;
        snprintf(what, sizeof(what), "%s is set", needs[i].name);
        tell_unused(s, what, needs[i].subject);
    }
    if (!has_subject(s, TLS))
        tell_of_tls(s);
}
