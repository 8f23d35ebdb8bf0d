/*
 * BearSSL contexts: see tls_context.h.  A context is set up once and serves one
 * client after the other; it is never copied, for it points into itself.
 */
#include "net/tls_context.h"

#include "net/anchors_bearssl.h"
#include "net/engine.h"
#include "os/entropy.h"

#include <assert.h>
#include <string.h>

#define CONTEXTS_KEPT 256
#define BUFFERS_KEPT  64

#define SEED_BYTES 32

#define CLOSE_NOTIFY 0 /* RFC 5246, 7.2 */

/*
 * A client that resumes a session and offers only unknown ALPN names gets
 * number 0xFFFF in BearSSL 0.6, which then reads the name at 0xFFFE whatever
 * the table's length.  So the table is that long, with a name there.
 */
#define ALPN_UNKNOWN 0xFFFF
#define ALPN_TABLE   0xFFFF

struct lh_tls_shared {
    struct lh_creds *creds; /* of the workers that are made from now on */
    struct lh_sessions *sessions;
    /* Written at three places only, so most of its pages are never touched. */
    const char **protocols;
    uint16_t protocols_n;
};

/* The suites that are spoken: forward secret and authenticated, all of them
 * of TLS 1.2. */
struct suite {
    uint16_t id;
    const char *name;
};

static const struct suite suites[] = {
    {BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
     "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
    {BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
     "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
    {BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
     "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"},
    {BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
     "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"},
    {BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
     "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"},
    {BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
     "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"},
};

#define SUITES     (sizeof(suites) / sizeof(suites[0]))
#define AES_SUITES 4 /* the first ones */

static const char **protocols_new(bool http2, uint16_t *n)
{
    const char **table = lh_alloc(ALPN_TABLE * sizeof(*table));

    if (!table)
        return NULL;
    *n = 0;
    if (http2)
        table[(*n)++] = "h2";
    table[(*n)++] = "http/1.1";
    table[(*n)++] = "http/1.0"; /* what curl -0 offers */
    table[ALPN_UNKNOWN - 1] = "";
    return table;
}

int lh_tls_shared_new(struct lh_tls_shared **out, struct lh_creds *creds,
                      bool http2, struct lh_err *err)
{
    struct lh_tls_shared *shared = lh_calloc(1, sizeof(*shared));
    uint8_t seed[SEED_BYTES];

    if (!shared)
        return lh_err_memory(err);
    shared->creds = creds;
    shared->sessions = lh_sessions_new(lh_creds_client_ca(creds) != NULL);
    shared->protocols = protocols_new(http2, &shared->protocols_n);
    if (!shared->sessions || !shared->protocols) {
        lh_tls_shared_free(shared);
        return lh_err_memory(err);
    }
    int code = lh_entropy(seed, sizeof(seed));
    if (code) {
        lh_tls_shared_free(shared);
        return lh_err_set(err, code, "the kernel gives no random bytes");
    }
    *out = shared;
    return 0;
}

const char *lh_tls_kernel_refuses(void)
{
    return "BearSSL has no TLS 1.3";
}

void lh_tls_use_kernel(struct lh_tls_shared *shared)
{
    (void)shared;
}

void lh_tls_shared_free(struct lh_tls_shared *shared)
{
    if (!shared)
        return;
    lh_sessions_free(shared->sessions);
    lh_free(shared->protocols);
    lh_free(shared);
}

struct lh_tls_worker *lh_tls_worker_new(struct lh_tls_shared *shared)
{
    struct lh_tls_worker *worker = lh_calloc(1, sizeof(*worker));

    if (!worker)
        return NULL;
    worker->shared = shared;
    lh_held_creds_init(&worker->held, shared->creds);
    lh_pool_init(&worker->inputs, BR_SSL_BUFSIZE_INPUT, BUFFERS_KEPT);
    lh_pool_init(&worker->outputs, BR_SSL_BUFSIZE_OUTPUT, BUFFERS_KEPT);
    return worker;
}

/* No connection may be left: its context would never come back. */
void lh_tls_worker_free(struct lh_tls_worker *worker)
{
    if (!worker)
        return;
    assert(worker->out == 0);
    lh_held_creds_deinit(&worker->held);
    while (worker->idle) {
        struct lh_tls_context *context = worker->idle;
        worker->idle = context->next;
        explicit_bzero(context, sizeof(*context));
        lh_free(context);
    }
    lh_pool_deinit(&worker->inputs);
    lh_pool_deinit(&worker->outputs);
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

/* --- contexts ------------------------------------------------------------- */

/* Ours are AES-GCM first where the CPU has it, else ChaCha20 first. */
static void set_suites(br_ssl_engine_context *engine)
{
    bool has_aes = br_aes_x86ni_ctr_get_vtable() != NULL ||
                   br_aes_pwr8_ctr_get_vtable() != NULL;
    uint16_t ids[SUITES];

    for (size_t i = 0; i < SUITES; i++)
        ids[i] = suites[has_aes ? i : (i + AES_SUITES) % SUITES].id;
    br_ssl_engine_set_suites(engine, ids, SUITES);
}

/* The `default` ones are the fastest constant-time code for this CPU. */
static void set_algorithms(br_ssl_engine_context *engine)
{
    br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
    br_ssl_engine_set_hash(engine, br_sha384_ID, &br_sha384_vtable);
    br_ssl_engine_set_hash(engine, br_sha512_ID, &br_sha512_vtable);
    br_ssl_engine_set_prf_sha256(engine, br_tls12_sha256_prf);
    br_ssl_engine_set_prf_sha384(engine, br_tls12_sha384_prf);
    br_ssl_engine_set_default_aes_gcm(engine);
    br_ssl_engine_set_default_chapol(engine);
    br_ssl_engine_set_ec(engine, br_ec_get_default());
}

void lh_tls_engine_set_up(br_ssl_engine_context *engine)
{
    br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
    set_suites(engine);
    set_algorithms(engine);
}

/* All that stays the same from client to client.  The context points to its
 * own policy and session, which is why it is never moved. */
static void context_init(struct lh_tls_context *context,
                         struct lh_tls_shared *shared)
{
    br_ssl_engine_context *engine = &context->server.eng;

    br_ssl_server_zero(&context->server);
    lh_tls_engine_set_up(engine);
    br_ssl_engine_set_all_flags(engine, BR_OPT_ENFORCE_SERVER_PREFERENCES |
                                            BR_OPT_NO_RENEGOTIATION |
                                            BR_OPT_FAIL_ON_ALPN_MISMATCH);
    context->auth = NULL;
    context->hello = NULL;
    context->protocols = shared->protocols;
    br_ssl_engine_set_protocol_names(engine, shared->protocols,
                                     shared->protocols_n);
    lh_policy_init(&context->policy);
    br_ssl_server_set_policy(&context->server, &context->policy.vtable);
    lh_session_link_init(&context->session, shared->sessions);
    br_ssl_server_set_cache(&context->server, &context->session.vtable);
}

/* BearSSL would open /dev/urandom where the CPU has no generator: not there in
 * a chroot. */
static struct lh_tls_context *context_new(struct lh_tls_shared *shared)
{
    uint8_t seed[SEED_BYTES];

    if (lh_entropy(seed, sizeof(seed)))
        return NULL;
    struct lh_tls_context *context = lh_alloc(sizeof(*context));
    if (context) {
        context_init(context, shared);
        br_ssl_engine_inject_entropy(&context->server.eng, seed, sizeof(seed));
    }
    explicit_bzero(seed, sizeof(seed));
    return context;
}

/* An idle one if there is, with what it allocated and the randomness it has;
 * else a new one. */
struct lh_tls_context *lh_tls_context_take(struct lh_tls_worker *worker)
{
    struct lh_tls_context *context = worker->idle;

    if (context) {
        worker->idle = context->next;
        worker->idle_n--;
    } else {
        context = context_new(worker->shared);
    }
    if (context)
        worker->out++;
    return context;
}

static void end_handshake(struct lh_tls_context *context)
{
    lh_policy_end(&context->policy);
    lh_free(context->hello);
    context->hello = NULL;
}

void lh_tls_context_settle(struct lh_tls_context *context)
{
    lh_engine_set_server_name(&context->server.eng, context->hello->name);
    end_handshake(context);
}

void lh_tls_context_give(struct lh_tls_worker *worker,
                         struct lh_tls_context *context)
{
    assert(worker->out > 0);
    worker->out--;
    lh_tls_context_end_auth(context);
    end_handshake(context);
    if (worker->idle_n >= CONTEXTS_KEPT) {
        explicit_bzero(context, sizeof(*context));
        lh_free(context);
        return;
    }
    lh_engine_forget_secret(&context->server.eng);
    context->next = worker->idle;
    worker->idle = context;
    worker->idle_n++;
}

/* --- client certificates -------------------------------------------------- */

void lh_tls_context_end_auth(struct lh_tls_context *context)
{
    lh_client_auth_free(context->auth);
    context->auth = NULL;
    context->session.client = NULL;
    context->policy.client = NULL;
    br_ssl_engine_set_x509(&context->server.eng, NULL);
    br_ssl_server_set_trust_anchor_names_alt(&context->server, NULL, 0);
}

int lh_tls_context_alert(const struct lh_tls_context *context, int error)
{
    static const uint8_t alerts[] = {
        /* What it says of lengths in a message that do not fit. */
        [BR_ERR_BAD_PARAM] = BR_ALERT_DECODE_ERROR,
        [BR_ERR_UNSUPPORTED_VERSION] = BR_ALERT_PROTOCOL_VERSION,
        [BR_ERR_BAD_VERSION] = BR_ALERT_PROTOCOL_VERSION,
        [BR_ERR_BAD_LENGTH] = BR_ALERT_RECORD_OVERFLOW,
        [BR_ERR_TOO_LARGE] = BR_ALERT_RECORD_OVERFLOW,
        [BR_ERR_BAD_MAC] = BR_ALERT_BAD_RECORD_MAC,
        [BR_ERR_UNKNOWN_TYPE] = BR_ALERT_UNEXPECTED_MESSAGE,
        [BR_ERR_UNEXPECTED] = BR_ALERT_UNEXPECTED_MESSAGE,
        [BR_ERR_BAD_CCS] = BR_ALERT_UNEXPECTED_MESSAGE,
        [BR_ERR_BAD_ALERT] = BR_ALERT_DECODE_ERROR,
        [BR_ERR_BAD_HANDSHAKE] = BR_ALERT_DECODE_ERROR,
        [BR_ERR_OVERSIZED_ID] = BR_ALERT_DECODE_ERROR,
        [BR_ERR_BAD_SNI] = BR_ALERT_DECODE_ERROR,
        [BR_ERR_BAD_FRAGLEN] = BR_ALERT_ILLEGAL_PARAMETER,
        [BR_ERR_BAD_SECRENEG] = BR_ALERT_HANDSHAKE_FAILURE,
        [BR_ERR_BAD_FINISHED] = BR_ALERT_DECRYPT_ERROR,
        [BR_ERR_INVALID_ALGORITHM] = BR_ALERT_ILLEGAL_PARAMETER,
        [BR_ERR_BAD_SIGNATURE] = BR_ALERT_DECRYPT_ERROR,
        [BR_ERR_WRONG_KEY_USAGE] = BR_ALERT_UNSUPPORTED_CERTIFICATE,
        [BR_ERR_NO_CLIENT_AUTH] = BR_ALERT_HANDSHAKE_FAILURE,
    };

    if (error >= BR_ERR_RECV_FATAL_ALERT)
        return -1;
    if (error == BR_ERR_X509_NOT_TRUSTED && context->auth)
        return lh_client_fault_alert(context->auth->cert.fault);
    if (error < (int)sizeof(alerts) && alerts[error])
        return alerts[error];
    return BR_ALERT_INTERNAL_ERROR;
}

/* Without authorities no certificate is asked for.  False: no memory. */
static bool begin_auth(struct lh_tls_context *context, struct lh_client_ca *ca)
{
    br_ssl_engine_context *engine = &context->server.eng;

    if (!ca)
        return true;
    context->auth = lh_client_auth_new(ca);
    if (!context->auth)
        return false;
    context->session.client = context->auth;
    context->policy.client = &context->auth->cert;
    br_ssl_engine_set_x509(engine, &context->auth->vtable);
    br_ssl_engine_set_default_rsavrfy(engine);
    br_ssl_engine_set_default_ecdsa(engine);
    br_ssl_server_set_trust_anchor_names_alt(&context->server,
                                             ca->anchors->list, ca->anchors->n);
    if (ca->optional)
        br_ssl_engine_add_flags(engine, BR_OPT_TOLERATE_NO_CLIENT_AUTH);
    else
        br_ssl_engine_remove_flags(engine, BR_OPT_TOLERATE_NO_CLIENT_AUTH);
    return true;
}

/* A reset alone would keep a former client's maximum fragment length, and there
 * is none where memory lacks before it, so that its error would stay: setting
 * the buffers anew clears both. */
bool lh_tls_context_start(struct lh_tls_worker *worker,
                          struct lh_tls_context *context,
                          const struct lh_hello *hello, void *input,
                          void *output)
{
    lh_tls_worker_take(worker);
    end_handshake(context);
    br_ssl_engine_set_buffers_bidi(&context->server.eng, input,
                                   BR_SSL_BUFSIZE_INPUT, output,
                                   BR_SSL_BUFSIZE_OUTPUT);
    context->hello = lh_memdup(hello, sizeof(*hello));
    if (!context->hello)
        return false;
    lh_policy_begin(&context->policy, worker->held.creds, context->hello->name);
    context->session.server_name = context->hello->name;
    context->session.is_new = false;
    if (!begin_auth(context, lh_creds_client_ca(worker->held.creds)))
        return false;
    return br_ssl_server_reset(&context->server);
}

/* As the engine will find; without the suite it does a full handshake. */
bool lh_tls_context_may_resume(const struct lh_tls_context *context)
{
    const struct lh_hello *hello = context->hello;
    unsigned suite =
        lh_session_suite(&context->session, hello->session, hello->session_n);

    for (size_t i = 0; suite && i < hello->suites_n; i++) {
        if (hello->suites[i] == suite)
            return true;
    }
    return false;
}

/* BearSSL itself refuses unknown names in a full handshake; in a resumed one
 * it forgets to. */
bool lh_tls_context_agrees(const struct lh_tls_context *context)
{
    return lh_engine_alpn(&context->server.eng) != ALPN_UNKNOWN;
}

/* Where certificates are optional BearSSL goes on with a fault of any kind. */
bool lh_tls_context_lacks_memory(const struct lh_tls_context *context)
{
    return context->auth && context->auth->cert.fault == LH_CLIENT_NO_MEMORY;
}

/* The engine would answer at once and take no output any more, so it is asked
 * on the side what an alert says. */
bool lh_tls_context_is_goodbye(const struct lh_tls_context *context,
                               const uint8_t *record, size_t n)
{
    const br_ssl_engine_context *engine = &context->server.eng;
    unsigned version = (unsigned)record[1] << 8 | record[2];
    uint8_t payload[LH_TLS_ALERT_BYTES];
    size_t size = n - LH_TLS_HEADER_BYTES;

    if (version != lh_engine_version(engine) || size > sizeof(payload))
        return false;
    memcpy(payload, record + LH_TLS_HEADER_BYTES, size);
    const uint8_t *alert =
        lh_engine_decrypt_copy(engine, record[0], payload, &size);
    return alert && size == 2 && alert[1] == CLOSE_NOTIFY;
}

bool lh_tls_context_is_h2(const struct lh_tls_context *context)
{
    unsigned chosen = lh_engine_alpn(&context->server.eng);

    return chosen > 0 && chosen < ALPN_UNKNOWN &&
           strcmp(context->protocols[chosen - 1], "h2") == 0;
}

/* By the name in the registry of IANA, as it is told to scripts. */
const char *lh_tls_context_cipher(const struct lh_tls_context *context)
{
    unsigned id = lh_engine_suite(&context->server.eng);

    for (size_t i = 0; i < SUITES; i++) {
        if (suites[i].id == id)
            return suites[i].name;
    }
    return "";
}
