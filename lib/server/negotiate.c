/* Which protocol a connection speaks: see negotiate.h. */
#include "server/negotiate.h"

#include "h1/h1_conn.h"
#include "net/tls.h"
#if LHTTPD_HTTP2
#include "h2/h2_conn.h"
#endif

/* Before a client has said anything.  Whose connection begins while the server
 * stops is waited for as the others are. */
void lh_negotiate_begin(struct lh_conn *c)
{
    const struct lh_context *ctx = &c->worker->ctx;
    bool tls = (c->listener->flags & LHTTPD_LISTEN_TLS) != 0;
    uint64_t timeout =
        tls ? ctx->limits->handshake_timeout_ms : ctx->limits->idle_timeout_ms;

    if (ctx->stopping)
        timeout = lh_min64(timeout, LH_PROTO_DRAIN_MS);
    lh_conn_move(c, tls ? LH_CONN_HANDSHAKE : LH_CONN_SNIFF);
    c->heard = false;
    c->state_deadline = lh_deadline(ctx->now_ms, timeout);
}

/* From here on the protocol has the word.  What was read to find out which one
 * it is, is its first input. */
static void open_protocol(struct lh_conn *c, const struct lh_protocol *protocol,
                          void *p)
{
    size_t used;

    if (!p) {
        LH_CONN_LOG(c, LH_LOG_NO_ROOM, "no memory for its requests");
        lh_conn_lose(c);
        return;
    }
    c->protocol = protocol;
    c->p = p;
    c->host.moves = c->transport->ops->move != NULL;
    lh_conn_move(c, LH_CONN_OPEN);
    c->state_deadline = LH_NEVER;
    if (c->worker->ctx.stopping)
        protocol->drain(p);
    if (c->sniffed)
        protocol->feed(p, c->sniff, c->sniffed, &used);
}

static void open_h1(struct lh_conn *c)
{
    open_protocol(c, &lh_h1_protocol, lh_h1_new(&c->host));
}

#if LHTTPD_HTTP2

static void open_h2(struct lh_conn *c)
{
    open_protocol(c, &lh_h2_protocol, lh_h2_new(&c->host));
}

/* The time that a header section may take counts from its first octet on. */
static void begin_header(struct lh_conn *c)
{
    c->host.first_ms = c->worker->ctx.now_ms;
    c->state_deadline =
        lh_deadline(c->host.first_ms, c->worker->ctx.limits->header_timeout_ms);
}

/* The client's preface tells HTTP/2 with prior knowledge (RFC 9113, 3.3); no
 * method of HTTP/1 begins with "PRI ". */
void lh_negotiate_sniff(struct lh_conn *c)
{
    const char *preface = "PRI ";
    size_t n, same = 0;
    const uint8_t *p = c->transport->ops->peek(c->transport, &n);

    if (!p)
        return;
    while (same < n && c->sniffed + same < sizeof(c->sniff) &&
           p[same] == (uint8_t)preface[c->sniffed + same])
        same++;
    if (c->sniffed + same == sizeof(c->sniff)) {
        open_h2(c);
    } else if (same < n) {
        open_h1(c);
    } else {
        if (c->sniffed == 0)
            begin_header(c);
        memcpy(c->sniff + c->sniffed, p, n);
        c->sniffed = (uint8_t)(c->sniffed + n);
        c->transport->ops->consume(c->transport, n);
    }
}

#else

static void open_h2(struct lh_conn *c)
{
    lh_conn_lose(c); /* ALPN never offered it */
}

void lh_negotiate_sniff(struct lh_conn *c)
{
    if (lh_conn_has_input(c))
        open_h1(c);
}

#endif

/* False: no memory. */
static bool note_certificate(struct lh_conn *c)
{
    const struct lh_client_cert *cert = lh_tls_client(c->transport);
    bool noted = true;

    c->host.peer->tells_cert = true;
    if (cert && cert->verify != LH_CLIENT_NONE)
        noted = lh_peer_set_cert(
            c->host.peer,
            cert->fault ? lh_client_fault_words(cert->fault) : NULL,
            cert->fingerprint, cert->subject);
    if (cert)
        lh_tls_forget_client(c->transport);
    return noted;
}

/* TLS has agreed on everything.  What it was is kept in words, since the
 * transport may be gone while a handler still asks. */
static void secured(struct lh_conn *c)
{
    struct lh_counters *counters = &c->worker->ctx.counters;
    struct lh_peer *peer = c->host.peer;

    lh_count_add(lh_tls_is_resumed(c->transport) ? &counters->handshakes_resumed
                                                 : &counters->handshakes_full,
                 1);
    peer->secure = true;
    peer->tls_protocol = lh_tls_protocol(c->transport);
    peer->tls_cipher = lh_tls_cipher(c->transport);
    if (!note_certificate(c) ||
        !lh_peer_set_server_name(peer, lh_tls_server_name(c->transport)))
        lh_conn_lose(c);
    else if (lh_tls_is_h2(c->transport))
        open_h2(c);
    else
        open_h1(c);
}

/* A handshake takes several steps; most calls find that it still goes on. */
void lh_negotiate_handshake(struct lh_conn *c)
{
    switch (lh_tls_state(c->transport)) {
    case LH_TLS_HANDSHAKE:
        break;
    case LH_TLS_READY:
        secured(c);
        break;
    case LH_TLS_PLAIN_HTTP:
        lh_count_add(&c->worker->ctx.counters.handshakes_failed, 1);
        c->transport = lh_tls_take_plain(c->transport);
        open_h1(c);
        if (c->state == LH_CONN_OPEN)
            lh_h1_refuse_plain(c->p);
        break;
    }
}

/* A client that resets an open connection has gone, as it may over plain TCP:
 * that is no failure.  A handshake that it cuts off may well be one, for the
 * client may not have liked what it was shown. */
bool lh_negotiate_log_loss(const struct lh_conn *c)
{
    char why[LH_TLS_FAILURE_BYTES];

    if (!lh_tls_failure(c->transport, why))
        return false;
    bool cut = lh_tls_is_cut(c->transport);
    if (c->state == LH_CONN_HANDSHAKE)
        LH_CONN_LOG(c, LH_LOG_HANDSHAKES, "TLS handshake failed: %s", why);
    else if (!cut)
        LH_CONN_LOG(c, LH_LOG_CLIENTS, "TLS connection failed: %s", why);
    return !cut;
}
