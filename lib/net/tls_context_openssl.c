/*
 * OpenSSL's contexts: see tls_context_openssl.h.  Each worker has one, so that
 * workers do not count in each other's memory; they differ in nothing but their
 * addresses, and tickets are sealed with keys that all share.
 */
#include "net/tls_context_openssl.h"

#include "base/digest.h"
#include "base/str.h"
#include "net/client_ca.h"
#include "net/suites_openssl.h"
#include "os/clock.h"
#include "os/kernel_tls.h"

#include <assert.h>
#include <string.h>

#define RECORDS_KEPT     128
#define SESSION_S        3600
#define CLIENT_CHAIN_MAX 65536 /* octets of a client's certificates */

#define SIGNATURES                                                             \
    "ECDSA+SHA256:ed25519:ECDSA+SHA384:ECDSA+SHA512:"                          \
    "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"                            \
    "RSA+SHA256:RSA+SHA384:RSA+SHA512"
#define GROUPS "X25519:P-256:P-384:P-521"

/* OpenSSL may have been built without what hands keys to the kernel. */
#ifdef OPENSSL_NO_KTLS
#define CAN_USE_KERNEL false
#else
#define CAN_USE_KERNEL true
#endif

struct lh_tls_shared {
    struct lh_creds *creds; /* of the workers that are made from now on */
    struct lh_ticket_keys *tickets;
    BIO_METHOD *bio;
    bool http2;
    bool kernel; /* the kernel is to encipher where it can */
};

int lh_tls_shared_new(struct lh_tls_shared **out, struct lh_creds *creds,
                      bool http2, struct lh_err *err)
{
    struct lh_tls_shared *shared = lh_calloc(1, sizeof(*shared));
    struct lh_ticket_key first;

    if (!shared)
        return lh_err_memory(err);
    shared->creds = creds;
    shared->http2 = http2;
    shared->tickets = lh_ticket_keys_new();
    shared->bio = lh_tls_bio_method_new();
    if (!shared->tickets || !shared->bio) {
        lh_tls_shared_free(shared);
        return lh_err_memory(err);
    }
    if (!lh_ticket_keys_now(shared->tickets, lh_clock_ms(), &first)) {
        lh_tls_shared_free(shared);
        return lh_err_set(err, LHTTPD_ESYSTEM,
                          "the kernel gives no random bytes");
    }
    OPENSSL_cleanse(&first, sizeof(first));
    *out = shared;
    return 0;
}

const char *lh_tls_kernel_refuses(void)
{
    if (!CAN_USE_KERNEL)
        return "it was built without kernel TLS";
    if (!lh_kernel_tls_is_there())
        return "this kernel has no TLS, or does not load its module tls";
    return NULL;
}

void lh_tls_use_kernel(struct lh_tls_shared *shared)
{
    shared->kernel = true;
}

void lh_tls_shared_free(struct lh_tls_shared *shared)
{
    if (!shared)
        return;
    lh_ticket_keys_free(shared->tickets);
    BIO_meth_free(shared->bio);
    lh_free(shared);
}

void lh_tls_clear_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* --- what OpenSSL asks ---------------------------------------------------- */

static bool offers(const uint8_t *list, unsigned n, const char *name)
{
    size_t size = strlen(name);

    for (unsigned at = 0; at < n; at += 1u + list[at]) {
        if (list[at] == size && n - at > size &&
            memcmp(list + at + 1, name, size) == 0)
            return true;
    }
    return false;
}

/* ALPN (RFC 7301), by our order; http/1.0 is what curl -0 offers. */
static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_n, const unsigned char *list,
                           unsigned n, void *context)
{
    static const char *const names[] = {"h2", "http/1.1", "http/1.0"};
    const struct lh_tls_worker *worker = context;

    (void)ssl;
    for (size_t i = worker->shared->http2 ? 0 : 1; i < 3; i++) {
        if (offers(list, n, names[i])) {
            *out = (const unsigned char *)names[i];
            *out_n = (unsigned char)strlen(names[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The present key.  Where it cannot be had at this moment the last one serves,
 * which is good for long still. */
static const struct lh_ticket_key *sealing_key(struct lh_tls_worker *worker)
{
    struct lh_ticket_key key;
    uint64_t now = lh_clock_ms();

    if (now / LH_TICKET_PERIOD_MS + 1 != worker->sealing.period &&
        lh_ticket_keys_now(worker->shared->tickets, now, &key))
        worker->sealing = key;
    OPENSSL_cleanse(&key, sizeof(key));
    return worker->sealing.period ? &worker->sealing : NULL;
}

static bool use_key(const struct lh_ticket_key *key, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, const unsigned char *iv, bool seals)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                         (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv,
                             seals) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 0: no ticket for who has shown a certificate that does not verify. */
static int seal_ticket(const SSL *ssl, unsigned char *name, unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const struct lh_handshake *h = lh_tls_bio_handshake(ssl);

    if (!h || !h->sealing.period || h->fault)
        return 0;
    memcpy(name, h->sealing.name, LH_TICKET_NAME_BYTES);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
        return -1;
    return use_key(&h->sealing, cipher, mac, iv, true) ? 1 : -1;
}

/* 2: good, and another is made: in TLS 1.3 always, since a client there uses
 * each ticket once (RFC 8446, C.4). */
static int open_ticket(const struct lh_tls_worker *worker, const SSL *ssl,
                       const unsigned char *name, const unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    uint64_t now = lh_clock_ms();
    struct lh_ticket_key key;
    int result = 0;

    if (lh_ticket_keys_find(worker->shared->tickets, now, name, &key)) {
        result = use_key(&key, cipher, mac, iv, false) ? 1 : -1;
        if (result == 1 && (SSL_version(ssl) == TLS1_3_VERSION ||
                            key.period < now / LH_TICKET_PERIOD_MS + 1))
            result = 2;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return result;
}

/* A helper may be who asks: of the worker nothing is used that changes. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv,
                      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seals)
{
    const struct lh_tls_worker *worker =
        SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    return seals ? seal_ticket(ssl, name, iv, cipher, mac)
                 : open_ticket(worker, ssl, name, iv, cipher, mac);
}

/* A session says in its tickets when it began, since each ticket of TLS 1.3 has
 * a time of its own: else a client that comes again and again would be believed
 * for ever what it has shown once.  Octets in the machine's order: nobody else
 * opens tickets. */
static int date_session(SSL *ssl, void *unused)
{
    SSL_SESSION *session = SSL_get_session(ssl);
    uint64_t now = lh_clock_ms();
    void *began;
    size_t n;

    (void)unused;
    if (!SSL_SESSION_get0_ticket_appdata(session, &began, &n))
        return 0;
    return n == sizeof(now) ||
           SSL_SESSION_set1_ticket_appdata(session, &now, sizeof(now));
}

static bool is_too_old(SSL_SESSION *session)
{
    uint64_t now = lh_clock_ms(), at;
    void *began;
    size_t n;

    if (!SSL_SESSION_get0_ticket_appdata(session, &began, &n) ||
        n != sizeof(at))
        return true;
    memcpy(&at, began, n);
    return now > at && now - at > SESSION_S * UINT64_C(1000);
}

/* Where it is not to be resumed, a full handshake makes another. */
static SSL_TICKET_RETURN look_at_session(SSL *ssl, SSL_SESSION *session,
                                         const unsigned char *name, size_t n,
                                         SSL_TICKET_STATUS status, void *unused)
{
    bool opened =
        status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;

    (void)ssl;
    (void)name;
    (void)n;
    (void)unused;
    if (!opened || is_too_old(session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE
                                        : SSL_TICKET_RETURN_USE_RENEW;
}

/* --- contexts ------------------------------------------------------------- */

/* No session is kept here: a client brings its own in a ticket. */
static void set_options(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_clear_options(ctx, SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TICKET |
                                   SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION |
                                   SSL_OP_ALLOW_NO_DHE_KEX |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, SESSION_S);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAX);
}

/* The lists say all that there is to choose from; so OpenSSL's level adds
 * nothing, and what a system has configured is overruled. */
bool lh_tls_set_choices(SSL_CTX *ctx)
{
    SSL_CTX_set_security_level(ctx, 0);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
           lh_suites_set(ctx) && SSL_CTX_set1_groups_list(ctx, GROUPS) &&
           SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES);
}

static SSL_CTX *context_make(struct lh_tls_worker *worker)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx || !lh_tls_set_choices(ctx) ||
        !SSL_CTX_set_app_data(ctx, worker)) {
        SSL_CTX_free(ctx);
        ERR_clear_error();
        return NULL;
    }
    set_options(ctx);
    if (worker->shared->kernel)
        SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, worker);
    SSL_CTX_set_cert_cb(ctx, lh_handshake_choose, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, lh_handshake_verify, NULL);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
    SSL_CTX_set_session_ticket_cb(ctx, date_session, look_at_session, NULL);
    SSL_CTX_set_tlsext_status_cb(ctx, lh_staple_send);
    return ctx;
}

struct lh_tls_worker *lh_tls_worker_new(struct lh_tls_shared *shared)
{
    struct lh_tls_worker *worker = lh_calloc(1, sizeof(*worker));

    if (!worker)
        return NULL;
    worker->shared = shared;
    lh_held_creds_init(&worker->held, shared->creds);
    lh_pool_init(&worker->records, LH_TLS_RECORD_BYTES, RECORDS_KEPT);
    worker->ctx = context_make(worker);
    worker->bio = lh_tls_bio_new(shared->bio, &worker->port);
    if (!worker->ctx || !worker->bio || !sealing_key(worker)) {
        lh_tls_worker_free(worker);
        return NULL;
    }
    return worker;
}

/* No connection may be left. */
void lh_tls_worker_free(struct lh_tls_worker *worker)
{
    if (!worker)
        return;
    assert(worker->out == 0);
    lh_held_creds_deinit(&worker->held);
    SSL_CTX_free(worker->ctx);
    BIO_free(worker->bio);
    lh_pool_deinit(&worker->records);
    OPENSSL_cleanse(&worker->sealing, sizeof(worker->sealing));
    lh_free(worker);
}

/* --- other credentials ---------------------------------------------------- */

void lh_tls_worker_give(struct lh_tls_worker *worker, struct lh_creds *creds)
{
    lh_held_creds_give(&worker->held, creds);
}

void lh_tls_worker_take(struct lh_tls_worker *worker)
{
    lh_held_creds_take(&worker->held);
}

const struct lh_creds *lh_tls_worker_creds(const struct lh_tls_worker *worker)
{
    return worker->held.creds;
}

/* --- one connection's ----------------------------------------------------- */

/* What a session was made for, which OpenSSL compares before it resumes one:
 * the server name in lower case (RFC 6066, 3), and where clients have
 * certificates of whom they have to be from.  A short name alone stands for
 * itself, behind an octet since it may be empty; all else is a hash, which is
 * longer than any of these. */
static bool set_session_id(SSL *ssl, const struct lh_handshake *h)
{
    const struct lh_client_ca *ca = lh_creds_client_ca(h->creds);
    uint8_t what[LH_HELLO_NAME_BYTES + LH_SHA256_BYTES + 1] = {'-'};
    uint8_t id[LH_SHA256_BYTES];
    size_t n = 1;

    for (const char *p = h->hello.name; *p; p++)
        what[n++] = (uint8_t)lh_lower(*p);
    if (!ca && n < sizeof(id))
        return SSL_set_session_id_context(ssl, what, (unsigned)n) == 1;
    if (ca) {
        what[0] = ca->optional ? 'o' : 'r';
        memcpy(what + n, ca->digest, LH_SHA256_BYTES);
        n += LH_SHA256_BYTES;
    }
    lh_sha256(what, n, id);
    return SSL_set_session_id_context(ssl, id, sizeof(id)) == 1;
}

SSL *lh_tls_ssl_new(struct lh_tls_worker *worker, struct lh_handshake *h,
                    struct lh_tls_ends *ends)
{
    const struct lh_ticket_key *sealing = sealing_key(worker);
    BIO *bio = lh_tls_bio_new(worker->shared->bio, &h->port);
    SSL *ssl = bio ? SSL_new(worker->ctx) : NULL;

    if (!ssl) {
        BIO_free(bio);
        ERR_clear_error();
        return NULL;
    }
    worker->out++;
    h->port = (struct lh_tls_port){
        .ends = ends, .handshake = h, .flushes = worker->shared->kernel};
    if (sealing)
        h->sealing = *sealing;
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    if (!set_session_id(ssl, h) || !lh_handshake_ask(h, ssl)) {
        lh_tls_ssl_free(worker, ssl);
        ERR_clear_error();
        return NULL;
    }
    return ssl;
}

/* OpenSSL has no function to drop a key of the exchange, which nothing needs
 * after it.  One that is given a type, whichever, has lost what it was. */
static void empty_key(EVP_PKEY *key)
{
    if (!EVP_PKEY_set_type(key, EVP_PKEY_X25519))
        ERR_clear_error();
    EVP_PKEY_free(key);
}

/* What OpenSSL would keep until the connection ends: the certificate's chain, a
 * BIO, what only the session's ticket needs, which has left, names, and the two
 * keys of the exchange.  The session is the connection's own. */
void lh_tls_ssl_settle(struct lh_tls_worker *worker, SSL *ssl, bool writes)
{
    SSL_SESSION *session = SSL_get_session(ssl);
    EVP_PKEY *key;

    if (SSL_get_tmp_key(ssl, &key))
        empty_key(key);
    if (SSL_get_peer_tmp_key(ssl, &key))
        empty_key(key);
    BIO_up_ref(worker->bio);
    if (writes)
        SSL_set0_rbio(ssl, worker->bio);
    else
        SSL_set_bio(ssl, worker->bio, worker->bio);
    SSL_certs_clear(ssl);
    SSL_SESSION_set1_ticket_appdata(session, NULL, 0);
    SSL_SESSION_set1_hostname(session, NULL);
    SSL_SESSION_set1_alpn_selected(session, NULL, 0);
    SSL_set_tlsext_host_name(ssl, NULL);
}

void lh_tls_ssl_free(struct lh_tls_worker *worker, SSL *ssl)
{
    if (!ssl)
        return;
    assert(worker->out > 0);
    worker->out--;
    SSL_free(ssl);
}
