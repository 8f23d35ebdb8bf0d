/*
 * TLS as a client, by BearSSL: see tls_client.h.
 *
 * What came from the socket lies in a chunk of the pool until the engine takes
 * it; what the engine has to say is sent from its own record.  It has buffers
 * for records while they move, and none at rest.
 *
 * What always holds: in HANDSHAKE there is `auth`, BearSSL's X.509 engine, and
 * after a failure `words` say why.
 */
#include "net/tls_client.h"

#include "net/alert.h"
#include "net/anchors_bearssl.h"
#include "net/chunk.h"
#include "net/client_auth.h"
#include "net/engine.h"
#include "net/tls_client_core.h"
#include "net/tls_context.h"
#include "net/tls_failure.h"
#include "net/trust.h"
#include "os/entropy.h"
#include "os/error.h"

#include <stdio.h>
#include <string.h>

#define SEED_BYTES   32
#define RECORD_ALERT 21 /* RFC 5246, A.1 */

struct lh_trust {
    struct lh_anchors *anchors;
};

struct client {
    struct lh_tls_client_core core;
    br_ssl_client_context tls;
    struct lh_client_auth *auth; /* of the handshake; NULL: it is over */
    struct lh_chunk raw;         /* what the engine did not take yet */
    uint8_t *input, *output;     /* records; NULL: not held */
};

/* --- authorities ---------------------------------------------------------- */

int lh_trust_new(struct lh_trust **out, const char *file, struct lh_err *err)
{
    struct lh_trust *trust = lh_calloc(1, sizeof(*trust));
    int r =
        trust ? lh_trust_read(&trust->anchors, file, err) : lh_err_memory(err);

    if (r)
        lh_free(trust);
    else
        *out = trust;
    return r;
}

void lh_trust_free(struct lh_trust *trust)
{
    if (!trust)
        return;
    lh_anchors_free(trust->anchors);
    lh_free(trust);
}

/* --- failures ------------------------------------------------------------- */

static struct client *client_of(struct lh_transport *t)
{
    return (struct client *)t;
}

/* What the engine found wrong in what the server sent. */
static const char *client_fault_text(int error)
{
    switch (error) {
    case BR_ERR_UNSUPPORTED_VERSION:
    case BR_ERR_BAD_VERSION:
        return "the server's protocol is older than TLS 1.2";
    case BR_ERR_BAD_CIPHER_SUITE:
    case BR_ERR_BAD_COMPRESSION:
        return "the server chose what was not offered";
    case BR_ERR_BAD_SIGNATURE:
        return "the server has not shown that it has its certificate's key";
    case BR_ERR_BAD_MAC:
        return "a record that was changed on its way";
    default:
        return NULL;
    }
}

/* The server's alert says most; of ours only that about its certificate was
 * found by more than BearSSL. */
static void engine_failed(struct client *c, int error)
{
    int alert = error - BR_ERR_RECV_FATAL_ALERT;
    const char *text = client_fault_text(error);
    char words[LH_TLS_CLIENT_WORDS_BYTES];

    if (error == BR_ERR_X509_NOT_TRUSTED && c->auth)
        snprintf(words, sizeof(words), "certificate: %s",
                 lh_client_fault_words(c->auth->cert.fault));
    else if (alert == BR_ALERT_HANDSHAKE_FAILURE && c->core.old)
        snprintf(words, sizeof(words),
                 "the server's protocol is older than TLS 1.2 (alert 40)");
    else if (alert == BR_ALERT_PROTOCOL_VERSION)
        snprintf(words, sizeof(words),
                 "the server does not speak TLS 1.2 (alert 70)");
    else if (alert >= 0 && error < BR_ERR_SEND_FATAL_ALERT)
        snprintf(words, sizeof(words), "%s (alert %d) from the server",
                 lh_alert_name(alert), alert);
    else if (text)
        snprintf(words, sizeof(words), "%s", text);
    else
        snprintf(words, sizeof(words),
                 "the server's handshake cannot be understood (error %d)",
                 error);
    lh_tls_client_lose(&c->core, words);
}

/* BearSSL closes without a word where it is about a certificate.  Neither side
 * has keys then, so that an alert is seven octets in the clear. */
static void send_client_alert(struct client *c)
{
    if (!c->auth || c->auth->cert.fault == LH_CLIENT_OK)
        return;
    const uint8_t alert = lh_client_fault_alert(c->auth->cert.fault);
    const uint8_t record[] = {RECORD_ALERT, 3, 3, 0, 2, 2, alert};
    (void)lh_net_send(&c->core.base, record, sizeof(record));
}

/* The engine is closed: by an error, or after both sides said goodbye. */
static enum lh_net client_engine_ended(struct client *c)
{
    int error = br_ssl_engine_last_error(&c->tls.eng);

    if (error == 0 && c->core.state == LH_TLS_CLIENT_READY) {
        c->core.ended = true;
        return LH_NET_EOF;
    }
    if (error == 0)
        return lh_tls_client_lose(&c->core, "the server ended the handshake");
    if (error == BR_ERR_X509_NOT_TRUSTED)
        send_client_alert(c);
    engine_failed(c, error);
    return LH_NET_LOST;
}

/* --- records -------------------------------------------------------------- */

/* Both, for the engine may use either when it handles an alert or a close.
 * False: the connection has failed for lack of memory. */
static bool hold_records(struct client *c)
{
    if (!c->input)
        c->input = lh_alloc(BR_SSL_BUFSIZE_INPUT);
    if (!c->output)
        c->output = lh_alloc(BR_SSL_BUFSIZE_OUTPUT);
    lh_engine_lend_input(&c->tls.eng, c->input);
    lh_engine_lend_output(&c->tls.eng, c->output);
    if (c->input && c->output)
        return true;
    lh_tls_client_lose(&c->core, "no memory");
    return false;
}

static void give_input(struct client *c)
{
    if (c->input)
        explicit_bzero(c->input, BR_SSL_BUFSIZE_INPUT);
    lh_free(c->input);
    c->input = NULL;
    lh_engine_lend_input(&c->tls.eng, NULL);
}

static void give_output(struct client *c)
{
    if (c->output)
        explicit_bzero(c->output, BR_SSL_BUFSIZE_OUTPUT);
    lh_free(c->output);
    c->output = NULL;
    lh_engine_lend_output(&c->tls.eng, NULL);
}

/* Between records: the next header's five octets are expected. */
static bool input_is_empty(const struct client *c)
{
    size_t n;
    const uint8_t *p = br_ssl_engine_recvrec_buf(&c->tls.eng, &n);

    return p == c->input && n == LH_TLS_HEADER_BYTES;
}

/* --- octets --------------------------------------------------------------- */

static enum lh_net client_send(struct lh_transport *t)
{
    struct client *c = client_of(t);
    size_t n;
    uint8_t *p;

    if (c->core.state == LH_TLS_CLIENT_FAILED)
        return LH_NET_LOST;
    while (c->output &&
           (p = br_ssl_engine_sendrec_buf(&c->tls.eng, &n)) != NULL) {
        ssize_t sent = lh_net_send(t, p, n);
        if (sent < 0 && sent != LH_SYS_EAGAIN)
            return lh_tls_client_lose(&c->core, lh_sys_text((int)sent));
        if (sent > 0)
            br_ssl_engine_sendrec_ack(&c->tls.eng, (size_t)sent);
        if (sent < (ssize_t)n)
            return LH_NET_AGAIN;
    }
    return c->core.ended ? LH_NET_LOST : LH_NET_OK;
}

/* Once a handshake is over what only that needs is given up. */
static void note_progress(struct client *c)
{
    unsigned state = br_ssl_engine_current_state(&c->tls.eng);

    if (c->core.state != LH_TLS_CLIENT_HANDSHAKE ||
        !(state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)))
        return;
    c->core.state = LH_TLS_CLIENT_READY;
    br_ssl_engine_set_x509(&c->tls.eng, NULL);
    lh_client_auth_free(c->auth);
    c->auth = NULL;
}

/* As much as the engine wants next. */
static void feed_engine(struct client *c)
{
    size_t n, have = c->raw.to - c->raw.from;
    uint8_t *to = br_ssl_engine_recvrec_buf(&c->tls.eng, &n);

    n = have < n ? have : n;
    memcpy(to, c->raw.p + c->raw.from, n);
    c->raw.from += n;
    lh_chunk_give_if_empty(c->core.base.pools, &c->raw);
    br_ssl_engine_recvrec_ack(&c->tls.eng, n);
}

/* The engine takes no output any more, but may still have to answer. */
static bool hears_goodbye(struct client *c)
{
    c->core.ended |= c->core.state == LH_TLS_CLIENT_READY &&
                     lh_engine_heard_close(&c->tls.eng);
    return c->core.ended;
}

/* Behind the server's goodbye there is nothing to receive, though ours may have
 * to wait for room. */
static enum lh_net client_receive(struct lh_transport *t)
{
    struct client *c = client_of(t);
    bool filled = false;

    if (c->core.state != LH_TLS_CLIENT_FAILED && !c->core.ended &&
        !hold_records(c))
        return LH_NET_LOST;
    while (c->core.state != LH_TLS_CLIENT_FAILED && !c->core.ended) {
        enum lh_net r = client_send(t);
        unsigned state = br_ssl_engine_current_state(&c->tls.eng);
        note_progress(c);
        if (state == BR_SSL_CLOSED)
            return client_engine_ended(c);
        if (state & BR_SSL_RECVAPP)
            return LH_NET_OK;
        if (hears_goodbye(c))
            break;
        if (!(state & BR_SSL_RECVREC))
            return r == LH_NET_LOST ? r : LH_NET_AGAIN;
        if (!lh_chunk_waits(&c->raw) &&
            (r = lh_tls_client_fill(&c->core, &c->raw, &filled)))
            return r;
        feed_engine(c);
    }
    return c->core.ended ? LH_NET_EOF : LH_NET_LOST;
}

static const uint8_t *client_peek(struct lh_transport *t, size_t *n)
{
    struct client *c = client_of(t);

    *n = 0;
    return c->input ? br_ssl_engine_recvapp_buf(&c->tls.eng, n) : NULL;
}

static void client_consume(struct lh_transport *t, size_t n)
{
    br_ssl_engine_recvapp_ack(&client_of(t)->tls.eng, n);
}

static uint8_t *client_buf(struct lh_transport *t, size_t *room)
{
    struct client *c = client_of(t);
    uint8_t *p = NULL;

    *room = 0;
    if (c->core.state == LH_TLS_CLIENT_READY && hold_records(c))
        p = br_ssl_engine_sendapp_buf(&c->tls.eng, room);
    return p;
}

static void client_ack(struct lh_transport *t, size_t n)
{
    struct client *c = client_of(t);

    br_ssl_engine_sendapp_ack(&c->tls.eng, n);
    br_ssl_engine_flush(&c->tls.eng, 0);
}

static enum lh_net client_shutdown(struct lh_transport *t)
{
    struct client *c = client_of(t);

    if (client_send(t) == LH_NET_OK && c->core.state == LH_TLS_CLIENT_READY &&
        hold_records(c)) {
        br_ssl_engine_close(&c->tls.eng);
        (void)client_send(t);
    }
    lh_sock_shutdown(t->fd);
    return LH_NET_OK;
}

static bool client_unsent(const struct lh_transport *t)
{
    const struct client *c = (const struct client *)t;
    size_t n;

    return c->core.state == LH_TLS_CLIENT_FAILED ||
           (c->output && br_ssl_engine_sendrec_buf(&c->tls.eng, &n) != NULL);
}

static void client_rest(struct lh_transport *t)
{
    struct client *c = client_of(t);

    lh_chunk_give_if_empty(t->pools, &c->raw);
    if (c->core.state != LH_TLS_CLIENT_READY)
        return;
    if (c->output && lh_engine_writes_nothing(&c->tls.eng))
        give_output(c);
    if (c->input && input_is_empty(c))
        give_input(c);
}

static void free_client(struct client *c)
{
    lh_chunk_give(c->core.base.pools, &c->raw);
    lh_client_auth_free(c->auth);
    give_input(c);
    give_output(c);
    explicit_bzero(c, sizeof(*c));
    lh_free(c);
}

static void client_free(struct lh_transport *t)
{
    free_client(client_of(t));
}

static const struct lh_transport_ops client_ops = {
    .receive = client_receive,
    .discard = lh_net_discard,
    .peek = client_peek,
    .consume = client_consume,
    .buf = client_buf,
    .ack = client_ack,
    .send = client_send,
    .shutdown = client_shutdown,
    .unsent = client_unsent,
    .rest = client_rest,
    .free = client_free,
};

/* --- beginning ------------------------------------------------------------ */

/* TLS 1.2 with the suites that are served, too.  An address is no server name
 * (RFC 6066, 3).  False: no memory, or no entropy. */
static bool start_engine(struct client *c, const struct lh_trust *trust,
                         const char *host)
{
    br_ssl_engine_context *engine = &c->tls.eng;
    uint8_t seed[SEED_BYTES];

    c->auth = lh_server_auth_new(trust->anchors, host);
    br_ssl_client_zero(&c->tls);
    if (!c->auth || lh_entropy(seed, sizeof(seed)) || !hold_records(c))
        return false;
    lh_tls_engine_set_up(engine);
    br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
    br_ssl_engine_set_default_rsavrfy(engine);
    br_ssl_engine_set_default_ecdsa(engine);
    br_ssl_engine_set_x509(engine, &c->auth->vtable);
    br_ssl_engine_set_buffers_bidi(engine, c->input, BR_SSL_BUFSIZE_INPUT,
                                   c->output, BR_SSL_BUFSIZE_OUTPUT);
    br_ssl_engine_inject_entropy(engine, seed, sizeof(seed));
    explicit_bzero(seed, sizeof(seed));
    return br_ssl_client_reset(
        &c->tls, c->auth->host.is_address ? NULL : c->auth->host.name, 0);
}

struct lh_transport *lh_tls_client_new(struct lh_net_pools *pools, int fd,
                                       const struct lh_trust *trust,
                                       const char *host)
{
    struct client *c = lh_calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->core.base =
        (struct lh_transport){.ops = &client_ops, .pools = pools, .fd = fd};
    if (!start_engine(c, trust, host)) {
        free_client(c);
        return NULL;
    }
    return &c->core.base;
}
