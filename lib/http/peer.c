/* Who is on the other side: see peer.h. */
#include "http/peer.h"

#include "base/mem.h"

struct lh_peer *lh_peer_new(void)
{
    struct lh_peer *peer = lh_calloc(1, sizeof(*peer));

    if (peer)
        peer->owners = 1;
    return peer;
}

struct lh_peer *lh_peer_hold(struct lh_peer *peer)
{
    peer->owners++;
    return peer;
}

void lh_peer_let_go(struct lh_peer *peer)
{
    if (peer && --peer->owners == 0)
        lh_free(peer);
}
