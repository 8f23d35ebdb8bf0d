/*
 * PROXY headers: see conn_proxy.h.  The header is looked at in the socket's
 * buffer and then exactly its octets are taken out, so that the transport, TLS
 * or plain, finds what it would find without a proxy.
 */
#include "server/conn_proxy.h"

#include "net/proxy.h"
#include "os/error.h"
#include "server/negotiate.h"
#include "server/server.h"

bool lh_conn_proxy_may(struct lh_worker *w, int fd,
                       const struct lh_sock_ends *ends)
{
    struct lh_peer peer;

    if (lh_networks_have_text(&w->server->settings.proxy_from, ends->remote))
        return true;
    lh_conn_fill_peer(&peer, ends);
    lh_log_client(&w->ctx, &peer, LH_LOG_PROXY,
                  "closed: it connected to a port for proxies, and proxy_from "
                  "does not name it");
    lh_sock_close(fd);
    return false;
}

void lh_conn_proxy_begin(struct lh_conn *c)
{
    const struct lh_context *ctx = &c->worker->ctx;

    lh_conn_move(c, LH_CONN_PROXY);
    c->state_deadline =
        lh_deadline(ctx->now_ms, ctx->limits->header_timeout_ms);
}

void lh_conn_proxy_end(struct lh_conn *c)
{
    if (c->proxy)
        lh_pool_give(&c->worker->pools.chunks, c->proxy);
    c->proxy = NULL;
}

static void refuse_header(struct lh_conn *c, const char *why)
{
    LH_CONN_LOG(c, LH_LOG_PROXY, "closed: PROXY header: %s", why);
    lh_conn_lose(c);
}

/* Scripts and the log know the client from here on; false: no memory. */
static bool believe(struct lh_conn *c, const struct lh_proxy *proxy)
{
    struct lh_peer *peer = c->host.peer;

    if (!proxy->conveys)
        return true;
    if (!lh_peer_is_proxy(peer))
        return false;
    lh_conn_fill_peer(peer, &proxy->ends);
    return !proxy->secure || (c->listener->flags & LHTTPD_LISTEN_TLS) ||
           lh_peer_set_tls(peer, proxy->protocol, proxy->cipher,
                           proxy->server_name);
}

/* `more`: the client's first octets are there already. */
static void end_header(struct lh_conn *c, const struct lh_proxy *proxy,
                       bool more)
{
    bool believed = believe(c, proxy);

    lh_conn_proxy_end(c);
    if (!believed) {
        refuse_header(c, "no memory for what it says");
        return;
    }
    lh_negotiate_begin(c);
    c->readable = more;
    if (more)
        lh_conn_queue_fed(c);
}

/* Takes from the socket what it has told before; false: it cannot be. */
static bool take_proxy_octets(struct lh_conn *c, size_t n)
{
    if (lh_sock_receive(c->fd, c->proxy + c->proxy_n, n) != (ssize_t)n)
        return false;
    c->proxy_n = (uint16_t)(c->proxy_n + n);
    return true;
}

/* With so many octets more than were taken so far. */
static void look_at_header(struct lh_conn *c, size_t n)
{
    struct lh_proxy proxy;
    size_t before = c->proxy_n;

    switch (lh_proxy_read(c->proxy, before + n, &proxy)) {
    case LH_PROXY_BAD:
        refuse_header(c, proxy.why);
        return;
    case LH_PROXY_MORE:
        c->readable = false;
        if (!take_proxy_octets(c, n))
            lh_conn_lose(c);
        return;
    case LH_PROXY_WHOLE:
        if (take_proxy_octets(c, proxy.used - before))
            end_header(c, &proxy, before + n > proxy.used);
        else
            lh_conn_lose(c);
    }
}

/* A check whether the port is open connects and closes again: no news. */
void lh_conn_proxy_read(struct lh_conn *c)
{
    if (!c->proxy)
        c->proxy = lh_pool_take(&c->worker->pools.chunks);
    if (!c->proxy) {
        refuse_header(c, "no memory to read it");
        return;
    }
    ssize_t n = lh_sock_peek(c->fd, c->proxy + c->proxy_n,
                             LH_PROXY_BYTES_MAX - (size_t)c->proxy_n);
    if (n > 0) {
        c->heard = true;
        look_at_header(c, (size_t)n);
    } else if (n == 0 && c->proxy_n > 0) {
        refuse_header(c, "it ended in the middle");
    } else if (n == LH_SYS_EAGAIN) {
        c->readable = false;
    } else {
        lh_conn_lose(c);
    }
}
