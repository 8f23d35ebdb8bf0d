/* Who is on the other side: see peer.h. */
#include "http/peer.h"

#include "base/mem.h"

struct lh_peer *lh_peer_new(void)
{
    struct lh_peer *peer = lh_calloc(1, sizeof(*peer));

    if (!peer)
        return NULL;
    peer->owners = 1;
    peer->tls_server_name = "";
    return peer;
}

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
