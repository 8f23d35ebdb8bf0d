/*
 * Who is on the other side: see peer.h.  A peer has as many owners as there are
 * connections and requests that point to it, so that a handler can ask for its
 * client's address after the connection has gone.
 */
#include "http/peer.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

struct lh_peer *lh_peer_new(void)
{
    struct lh_peer *peer = lh_calloc(1, sizeof(*peer));

    if (!peer)
        return NULL;
    peer->owners = 1;
    peer->tls_server_name = "";
    return peer;
}

/* A client that sends none keeps "", which needs no memory. */
bool lh_peer_set_server_name(struct lh_peer *peer, const char *name)
{
    if (!*name)
        return true;
    peer->own_words = lh_strdup(name);
    if (!peer->own_words)
        return false;
    peer->tls_server_name = peer->own_words;
    return true;
}

/* One block holds all the words, and `own_words` is its beginning.  Appends a
 * copy with its end mark. */
static const char *put_word(char **at, struct lh_str word)
{
    char *begin = *at;

    if (word.n)
        memcpy(begin, word.p, word.n);
    begin[word.n] = '\0';
    *at = begin + word.n + 1;
    return begin;
}

bool lh_peer_set_tls(struct lh_peer *peer, struct lh_str protocol,
                     struct lh_str cipher, struct lh_str name)
{
    char *at = lh_alloc(protocol.n + cipher.n + name.n + 3);

    if (!at)
        return false;
    peer->secure = true;
    peer->own_words = at;
    peer->tls_protocol = put_word(&at, protocol);
    peer->tls_cipher = put_word(&at, cipher);
    peer->tls_server_name = put_word(&at, name);
    return true;
}

bool lh_peer_set_cert(struct lh_peer *peer, const char *fault,
                      const uint8_t fingerprint[32], const char *subject)
{
    size_t n = strlen(subject) + 1;
    struct lh_peer_cert *cert = lh_alloc(sizeof(*cert) + n);

    if (!cert)
        return false;
    if (fault)
        snprintf(cert->verify, sizeof(cert->verify), "FAILED:%s", fault);
    else
        snprintf(cert->verify, sizeof(cert->verify), "SUCCESS");
    for (size_t i = 0; i < 32; i++)
        snprintf(cert->fingerprint + 2 * i, 3, "%02x", fingerprint[i]);
    memcpy(cert->subject, subject, n);
    peer->cert = cert;
    return true;
}

/* Whoever is connected is a proxy: `client_addr` will be what it says, and its
 * own address is kept. */
bool lh_peer_is_proxy(struct lh_peer *peer)
{
    peer->proxy_addr = lh_strdup(peer->client_addr);
    if (!peer->proxy_addr)
        return false;
    peer->proxy_port = peer->client_port;
    return true;
}

/* The strings are the origin's, which therefore is held. */
struct lh_peer *lh_peer_for_request(struct lh_peer *peer)
{
    struct lh_peer *copy = lh_memdup(peer, sizeof(*peer));

    if (!copy)
        return NULL;
    copy->owners = 1;
    copy->origin = lh_peer_hold(peer);
    copy->logged = NULL;
    if (!copy->proxy_addr) {
        copy->proxy_addr = peer->client_addr;
        copy->proxy_port = peer->client_port;
    }
    return copy;
}

struct lh_peer *lh_peer_hold(struct lh_peer *peer)
{
    peer->owners++;
    return peer;
}

void lh_peer_let_go(struct lh_peer *peer)
{
    if (!peer || --peer->owners)
        return;
    if (peer->origin) {
        lh_peer_let_go(peer->origin);
    } else {
        lh_free(peer->own_words);
        lh_free(peer->proxy_addr);
        lh_free(peer->cert);
    }
    lh_free(peer->logged);
    lh_free(peer);
}

/* The rate is asked first: a line that is not let through costs no formatting,
 * which is what a client that floods the log would make us do. */
void lh_log_client(struct lh_context *ctx, const struct lh_peer *peer,
                   enum lh_log_kind kind, const char *format, ...)
{
    struct lh_log_about about = {.client = peer->client_addr};
    va_list args;

    if (!lh_log_rates_allow(&ctx->log_rates, kind, ctx->now_ms))
        return;
    va_start(args, format);
    lh_log_args(ctx->log, lh_log_kind_level(kind), &about, format, args);
    va_end(args);
}
