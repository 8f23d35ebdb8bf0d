/*
 * No TLS: see tls.h.  Credentials are refused, and so no listener asks for the
 * rest; what there is of it says that nothing was agreed.
 */
#include "net/tls.h"

const char *lh_tls_library(void)
{
    return NULL;
}

/* --- credentials: there is one set, and it is empty ----------------------- */

struct lh_creds {
    bool empty;
};

static struct lh_creds no_creds = {.empty = true};

struct lh_creds *lh_creds_new(void)
{
    return &no_creds;
}

struct lh_creds *lh_creds_share(struct lh_creds *creds)
{
    return creds;
}

void lh_creds_free(struct lh_creds *creds)
{
    (void)creds;
}

bool lh_creds_empty(const struct lh_creds *creds)
{
    return creds->empty;
}

/* `what` of a file, or of octets in memory. */
static int refuse_creds(struct lh_err *err, const char *what, const char *file)
{
    return lh_err_set(
        err, LHTTPD_EINVAL, "%s %s%s%s: TLS is not built in (LHTTPD_TLS=none)",
        what, file ? "'" : "in ", file ? file : "memory", file ? "'" : "");
}

int lh_creds_add(struct lh_creds *creds, const lhttpd_certificate_t *from,
                 struct lh_err *err)
{
    (void)creds;
    return refuse_creds(err, "certificate", from->chain_file);
}

int lh_creds_replace(struct lh_creds **out, const struct lh_creds *old,
                     const lhttpd_certificate_t *from, struct lh_err *err)
{
    (void)out;
    (void)old;
    return refuse_creds(err, "certificate", from->chain_file);
}

int lh_creds_add_client_ca(struct lh_creds *creds,
                           const lhttpd_client_ca_t *from, struct lh_err *err)
{
    (void)creds;
    return refuse_creds(err, "client CA", from->file);
}

void lh_creds_set_client_optional(struct lh_creds *creds, bool optional)
{
    (void)creds;
    (void)optional;
}

struct lh_client_ca *lh_creds_client_ca(const struct lh_creds *creds)
{
    (void)creds;
    return NULL;
}

void lh_creds_look(struct lh_creds *creds, const struct lh_log *log)
{
    (void)creds;
    (void)log;
}

void lh_creds_tell_time(const struct lh_creds *creds, const struct lh_log *log)
{
    (void)creds;
    (void)log;
}

int64_t lh_creds_next_end(const struct lh_creds *creds, int64_t now)
{
    (void)creds;
    (void)now;
    return INT64_MAX;
}

void lh_creds_tell_ended(const struct lh_creds *creds, int64_t then,
                         int64_t now, const struct lh_log *log)
{
    (void)creds;
    (void)then;
    (void)now;
    (void)log;
}

int lh_creds_read_again(struct lh_creds **out, const struct lh_creds *old,
                        const struct lh_log *log, struct lh_err *err)
{
    (void)old;
    (void)log;
    (void)err;
    *out = &no_creds;
    return 0;
}

/* --- transports: there are none ------------------------------------------- */

int lh_tls_shared_new(struct lh_tls_shared **shared, struct lh_creds *creds,
                      bool http2, struct lh_err *err)
{
    (void)shared;
    (void)creds;
    (void)http2;
    return lh_err_set(err, LHTTPD_EINVAL, "TLS is not built in");
}

const char *lh_tls_kernel_refuses(void)
{
    return "there is no TLS in this build";
}

void lh_tls_use_kernel(struct lh_tls_shared *shared)
{
    (void)shared;
}

void lh_tls_shared_free(struct lh_tls_shared *shared)
{
    (void)shared;
}

struct lh_tls_worker *lh_tls_worker_new(struct lh_tls_shared *shared)
{
    (void)shared;
    return NULL;
}

void lh_tls_worker_free(struct lh_tls_worker *worker)
{
    (void)worker;
}

void lh_tls_worker_give(struct lh_tls_worker *worker, struct lh_creds *creds)
{
    (void)worker;
    (void)creds;
}

void lh_tls_worker_take(struct lh_tls_worker *worker)
{
    (void)worker;
}

const struct lh_creds *lh_tls_worker_creds(const struct lh_tls_worker *worker)
{
    (void)worker;
    return &no_creds;
}

struct lh_transport *lh_tls_new(struct lh_net_pools *pools, int fd)
{
    (void)pools;
    (void)fd;
    return NULL;
}

enum lh_tls_state lh_tls_state(const struct lh_transport *t)
{
    (void)t;
    return LH_TLS_HANDSHAKE;
}

struct lh_transport *lh_tls_take_plain(struct lh_transport *t)
{
    return t;
}

bool lh_tls_is_h2(const struct lh_transport *t)
{
    (void)t;
    return false;
}

bool lh_tls_is_resumed(const struct lh_transport *t)
{
    (void)t;
    return false;
}

const char *lh_tls_protocol(const struct lh_transport *t)
{
    (void)t;
    return "";
}

const char *lh_tls_cipher(const struct lh_transport *t)
{
    (void)t;
    return "";
}

const char *lh_tls_server_name(const struct lh_transport *t)
{
    (void)t;
    return "";
}

const struct lh_client_cert *lh_tls_client(const struct lh_transport *t)
{
    (void)t;
    return NULL;
}

void lh_tls_forget_client(struct lh_transport *t)
{
    (void)t;
}

bool lh_tls_failure(const struct lh_transport *t,
                    char out[LH_TLS_FAILURE_BYTES])
{
    (void)t;
    out[0] = '\0';
    return false;
}

bool lh_tls_is_cut(const struct lh_transport *t)
{
    (void)t;
    return false;
}
