/* Forwarded requests: see forward.h. */
#include "server/forward.h"

#include "server/server.h"

/* What the proxy says of its client, in a peer of this request's own: others of
 * the connection are others'. */
static bool set_client(struct lh_exchange *ex, const struct lh_forwarded *told)
{
    struct lh_peer *peer = lh_peer_for_request(ex->peer);

    if (!peer)
        return false;
    if (told->addr[0]) {
        memcpy(peer->client_addr, told->addr, sizeof(told->addr));
        peer->client_port = told->port;
    }
    if (told->scheme.p) {
        peer->secure = lh_str_equal(told->scheme, LH_STR("https"));
        ex->request.scheme = told->scheme;
    }
    lh_exchange_set_peer(ex, peer);
    return true;
}

bool lh_forward_apply(const struct lh_worker *w, struct lh_exchange *ex)
{
    const struct lh_settings *settings = &w->server->settings;
    struct lh_forwarded told;

    if (!lh_networks_have_text(&settings->proxy_from, ex->peer->client_addr))
        return true;
    lh_forwarded_read(&ex->request.fields, settings->forwarded,
                      &settings->proxy_from, &told);
    if (!told.addr[0] && !told.scheme.p)
        return true;
    return set_client(ex, &told);
}
