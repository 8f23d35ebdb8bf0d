/*
 * TLS as a client, by OpenSSL: see tls_client.h.
 *
 * OpenSSL works between two chunks of the pool (bio_openssl.h); what it has
 * deciphered and what is to be enciphered lies in two more, which are held only
 * while there is something in them.
 *
 * What always holds: the flight has left, or nothing is enciphered behind it,
 * so that OpenSSL never waits for the socket; after a failure `words` say why.
 */
#include "net/tls_client.h"

#include "net/alert.h"
#include "net/anchors_openssl.h"
#include "net/tls_client_core.h"
#include "net/tls_context_openssl.h"
#include "net/tls_failure_openssl.h"
#include "net/trust.h"
#include "os/error.h"

#include <stdio.h>
#include <string.h>

/* What is written at once; its records fit into a chunk with what they add. */
#define WRITE_BYTES ((size_t)2 * LH_TLS_RECORD_BYTES)

#define IS_OLD "the server's protocol is older than TLS 1.2"

struct lh_trust {
    struct lh_anchors *anchors;
    SSL_CTX *ctx;
    BIO_METHOD *bio;
};

struct client {
    struct lh_tls_client_core core;
    SSL *ssl;
    struct lh_tls_ends ends;
    struct lh_tls_port port; /* at these */
    struct lh_chunk input;   /* deciphered, and not consumed yet */
    struct lh_chunk output;  /* being written */
    struct lh_host host;     /* whose certificate it has to be */
    enum lh_client_fault fault;
};

/* --- authorities ---------------------------------------------------------- */

/* Called in the middle of a handshake. */
static int verify_server(X509_STORE_CTX *store, void *unused)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct client *c = SSL_get_app_data(ssl);

    (void)unused;
    c->fault = lh_handshake_verify_server(store, &c->host);
    return c->fault == LH_CLIENT_OK;
}

/* An end of the connection without TLS's goodbye is an error, since anybody may
 * have made it. */
static bool set_up_context(SSL_CTX *ctx, const struct lh_trust *trust)
{
    if (!lh_tls_set_choices(ctx) ||
        SSL_CTX_set1_verify_cert_store(ctx, trust->anchors->store) != 1)
        return false;
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify_server, NULL);
    return true;
}

/* Once all authorities are there. */
static int make_context(struct lh_trust *trust, struct lh_err *err)
{
    trust->bio = lh_tls_bio_method_new();
    trust->ctx = SSL_CTX_new(TLS_client_method());
    bool made = trust->bio && trust->ctx &&
                lh_anchors_join(trust->anchors, trust->anchors) &&
                set_up_context(trust->ctx, trust);

    ERR_clear_error();
    return made ? 0 : lh_err_memory(err);
}

int lh_trust_new(struct lh_trust **out, const char *file, struct lh_err *err)
{
    struct lh_trust *trust = lh_calloc(1, sizeof(*trust));
    int r =
        trust ? lh_trust_read(&trust->anchors, file, err) : lh_err_memory(err);

    if (r == 0)
        r = make_context(trust, err);
    if (r)
        lh_trust_free(trust);
    else
        *out = trust;
    return r;
}

void lh_trust_free(struct lh_trust *trust)
{
    if (!trust)
        return;
    SSL_CTX_free(trust->ctx);
    BIO_meth_free(trust->bio);
    lh_anchors_free(trust->anchors);
    lh_free(trust);
}

/* --- failures ------------------------------------------------------------- */

/* Every call on a transport begins with it. */
static struct client *client_of(struct lh_transport *t)
{
    lh_tls_clear_errors();
    return (struct client *)t;
}

/* What OpenSSL found wrong in what the server sent. */
static const char *client_fault_text(int reason)
{
    switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_WRONG_VERSION_NUMBER:
        return IS_OLD;
    case SSL_R_WRONG_CIPHER_RETURNED:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
        return "the server chose what was not offered";
    case SSL_R_BAD_SIGNATURE:
        return "the server has not shown that it has its certificate's key";
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
        return "a record that was changed on its way";
    default:
        return NULL;
    }
}

static void alert_words(const struct client *c, int alert, char *out)
{
    if (alert == SSL_AD_PROTOCOL_VERSION ||
        (alert == SSL_AD_HANDSHAKE_FAILURE && c->core.old))
        snprintf(out, LH_TLS_CLIENT_WORDS_BYTES, IS_OLD " (alert %d)", alert);
    else
        snprintf(out, LH_TLS_CLIENT_WORDS_BYTES,
                 "%s (alert %d) from the server", lh_alert_name(alert), alert);
}

static void openssl_words(const struct client *c, unsigned long error,
                          char *out)
{
    bool ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;
    int reason = ERR_GET_REASON(error);
    int alert = lh_tls_alert_of(error);
    const char *text = ssl ? client_fault_text(reason) : NULL;
    const char *library = ERR_reason_error_string(error);

    if (c->fault)
        snprintf(out, LH_TLS_CLIENT_WORDS_BYTES, "certificate: %s",
                 lh_client_fault_words(c->fault));
    else if (alert >= 0)
        alert_words(c, alert, out);
    else if (text || !error || reason == ERR_R_MALLOC_FAILURE)
        snprintf(out, LH_TLS_CLIENT_WORDS_BYTES, "%s",
                 text ? text : "no memory");
    else
        snprintf(out, LH_TLS_CLIENT_WORDS_BYTES,
                 "the server's handshake cannot be understood (OpenSSL: %s)",
                 library ? library : "an error");
}

/* OpenSSL gave up: what it has to say leaves if the socket takes it. */
static enum lh_net openssl_failed(struct client *c)
{
    char words[LH_TLS_CLIENT_WORDS_BYTES];

    openssl_words(c, lh_tls_take_error(), words);
    (void)lh_chunk_send(&c->core.base, &c->ends.flight, false);
    return lh_tls_client_lose(&c->core, words);
}

/* --- octets --------------------------------------------------------------- */

static enum lh_net send_flight(struct client *c)
{
    if (c->core.state == LH_TLS_CLIENT_FAILED)
        return LH_NET_LOST;
    int r = lh_chunk_send(&c->core.base, &c->ends.flight, false);
    if (r == LH_SYS_EAGAIN)
        return LH_NET_AGAIN;
    return r ? lh_tls_client_lose(&c->core, lh_sys_text(r)) : LH_NET_OK;
}

/* Behind the server's goodbye nothing leaves but what was acked before. */
static enum lh_net client_send(struct lh_transport *t)
{
    struct client *c = client_of(t);
    enum lh_net r = send_flight(c);

    return r == LH_NET_OK && c->core.ended ? LH_NET_LOST : r;
}

/* What a call of OpenSSL's that has not succeeded says.  AGAIN: it needs more
 * octets.  A peer that makes it answer and takes no answer is given up. */
static enum lh_net openssl_result(struct client *c, int result)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return LH_NET_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        c->core.ended = c->core.state == LH_TLS_CLIENT_READY;
        return c->core.ended ? LH_NET_EOF
                             : lh_tls_client_lose(
                                   &c->core, "the server ended the handshake");
    case SSL_ERROR_WANT_WRITE:
        return lh_tls_client_lose(
            &c->core, "the server does not take what TLS answers it");
    default:
        return openssl_failed(c);
    }
}

/* With the octets that are there.  OK: there is something to peek at. */
static enum lh_net decipher(struct client *c)
{
    int n;

    if (c->core.state == LH_TLS_CLIENT_HANDSHAKE) {
        n = SSL_do_handshake(c->ssl);
        if (n != 1)
            return openssl_result(c, n);
        c->core.state = LH_TLS_CLIENT_READY;
    }
    if (!lh_chunk_hold(c->core.base.pools, &c->input))
        return lh_tls_client_lose(&c->core, "no memory");
    n = SSL_read(c->ssl, c->input.p, LH_TLS_RECORD_BYTES);
    if (n > 0) {
        c->input.from = 0;
        c->input.to = (size_t)n;
        return LH_NET_OK;
    }
    lh_chunk_give(c->core.base.pools, &c->input);
    return openssl_result(c, n);
}

static enum lh_net client_receive(struct lh_transport *t)
{
    struct client *c = client_of(t);
    enum lh_net r = LH_NET_OK;
    bool filled = false;

    while (c->core.state != LH_TLS_CLIENT_FAILED && !c->core.ended &&
           r == LH_NET_OK) {
        if (lh_chunk_waits(&c->input))
            return LH_NET_OK;
        r = decipher(c);
        if (send_flight(c) == LH_NET_LOST)
            return LH_NET_LOST;
        if (r == LH_NET_AGAIN)
            r = lh_tls_client_fill(&c->core, &c->ends.raw, &filled);
    }
    return r == LH_NET_OK ? (c->core.ended ? LH_NET_EOF : LH_NET_LOST) : r;
}

static const uint8_t *client_peek(struct lh_transport *t, size_t *n)
{
    const struct client *c = client_of(t);

    *n = c->input.to - c->input.from;
    return *n ? c->input.p + c->input.from : NULL;
}

static void client_consume(struct lh_transport *t, size_t n)
{
    client_of(t)->input.from += n;
}

/* Behind a part of a message, as of a ticket, OpenSSL writes nothing before it
 * has the rest. */
static uint8_t *client_buf(struct lh_transport *t, size_t *room)
{
    struct client *c = client_of(t);

    *room = 0;
    if (c->core.state != LH_TLS_CLIENT_READY || c->core.ended ||
        SSL_in_init(c->ssl) || lh_chunk_waits(&c->ends.flight))
        return NULL;
    if (!lh_chunk_hold(t->pools, &c->output)) {
        lh_tls_client_lose(&c->core, "no memory");
        return NULL;
    }
    *room = WRITE_BYTES;
    return c->output.p;
}

static void client_ack(struct lh_transport *t, size_t n)
{
    struct client *c = client_of(t);
    int written = SSL_write(c->ssl, c->output.p, (int)n);

    if (written != (int)n)
        (void)openssl_failed(c);
}

static enum lh_net client_shutdown(struct lh_transport *t)
{
    struct client *c = client_of(t);

    if (send_flight(c) == LH_NET_OK && c->core.state == LH_TLS_CLIENT_READY) {
        (void)SSL_shutdown(c->ssl);
        (void)send_flight(c);
    }
    lh_tls_clear_errors();
    lh_sock_shutdown(t->fd);
    return LH_NET_OK;
}

static bool client_unsent(const struct lh_transport *t)
{
    const struct client *c = (const struct client *)t;

    return c->core.state == LH_TLS_CLIENT_FAILED ||
           lh_chunk_waits(&c->ends.flight);
}

static void client_rest(struct lh_transport *t)
{
    struct client *c = client_of(t);

    lh_chunk_give_if_empty(t->pools, &c->ends.raw);
    lh_chunk_give_if_empty(t->pools, &c->ends.flight);
    lh_chunk_give_if_empty(t->pools, &c->input);
    lh_chunk_give(t->pools, &c->output);
}

static void client_free(struct lh_transport *t)
{
    struct client *c = client_of(t);

    SSL_free(c->ssl);
    lh_chunk_give(t->pools, &c->ends.raw);
    lh_chunk_give(t->pools, &c->ends.flight);
    lh_chunk_give(t->pools, &c->input);
    lh_chunk_give(t->pools, &c->output);
    lh_free(c);
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

/* An address is no server name (RFC 6066, 3).  False: no memory. */
static bool start_openssl(struct client *c, const struct lh_trust *trust)
{
    BIO *bio = lh_tls_bio_new(trust->bio, &c->port);
    bool named = c->host.name[0] && !c->host.is_address;

    c->ssl = bio ? SSL_new(trust->ctx) : NULL;
    if (!c->ssl) {
        BIO_free(bio);
        return false;
    }
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_connect_state(c->ssl);
    return SSL_set_app_data(c->ssl, c) == 1 &&
           (!named || SSL_set_tlsext_host_name(c->ssl, c->host.name) == 1);
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
    c->ends.pools = pools;
    c->port.ends = &c->ends;
    lh_host_read(&c->host, host);
    if (!start_openssl(c, trust)) {
        client_free(&c->core.base);
        return NULL;
    }
    return &c->core.base;
}
