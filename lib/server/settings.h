/*
 * What lhttpd_server_set() sets by name beside the limits: the settings.
 * docs/limits.md lists them.
 */
#ifndef LH_SERVER_SETTINGS_H
#define LH_SERVER_SETTINGS_H

#include "base/ip.h"
#include "http/forwarded.h"
#include "os/sock.h"
#include "server/directory.h"

/* What is asked of TLS clients where there are authorities (client_ca). */
enum lh_client_must {
    LH_CLIENTS_NOT_TOLD, /* a certificate that verifies, as REQUIRED */
    LH_CLIENTS_REQUIRED,
    LH_CLIENTS_OPTIONAL,
};

/* LH_SOCK_AS_MADE: not set. */
struct lh_settings {
    uint32_t given; /* which names were set, by their place in the table */
    uint32_t unix_owner, unix_owner_group; /* the user's, and its own group */
    uint32_t unix_group, unix_mode;
    uint64_t reload_grace_ms;
    bool trust_request_id;         /* the client's */
    bool kernel_tls;               /* it is to encipher, where it can */
    uint64_t script_kill_ms;       /* 0: never */
    struct lh_networks proxy_from; /* proxies that are believed */
    enum lh_forwarded_by forwarded;
    enum lh_client_must client_must;
    struct lh_directory_settings directories;
    const char *aio;      /* the way of file operations; NULL: the best */
    uint64_t tls_threads; /* of each worker, for handshakes; 0: in place */
};

void lh_settings_init(struct lh_settings *settings);
void lh_settings_deinit(struct lh_settings *settings);

/* Was one of that name set?  Not of limits. */
bool lh_settings_given(const struct lh_settings *settings, const char *name);

/* What they say of a unix socket's file. */
struct lh_sock_access lh_settings_access(const struct lh_settings *settings);

/* How file operations are done: as the setting aio says, or else LHTTPD_AIO of
 * the environment; NULL: as is best.  LHTTPD_EINVAL: that is no way. */
int lh_settings_aio(const struct lh_settings *settings, const char **way,
                    struct lh_err *err);

/* As lhttpd_server_add_client_ca(), of which the setting client_ca is the half.
 */
int lh_settings_add_client_ca(struct lhttpd_server_t *s,
                              const lhttpd_client_ca_t *ca, struct lh_err *err);

/* As lhttpd_server_set(); before start, or while the server runs. */
int lh_settings_set(struct lhttpd_server_t *s, const char *name,
                    const char *value, struct lh_err *err);

#endif
