/*
 * Who is on the other side: see peer.h.  A peer has as many owners as there are
 * connections and requests that point to it, so that a handler can ask for its
 * client's address after the connection has gone.
 */
#include "http/peer.h"

#include "base/mem.h"

#include <stdarg.h>

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
    peer->own_server_name = lh_strdup(name);
    if (!peer->own_server_name)
        return false;
    peer->tls_server_name = peer->own_server_name;
    return true;
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
    lh_free(peer->own_server_name);
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
