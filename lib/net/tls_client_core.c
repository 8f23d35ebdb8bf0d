/* TLS as a client, with either library: see tls_client_core.h. */
#include "net/tls_client_core.h"

#include "os/error.h"

#include <stdio.h>

#define RECORD_ALERT 21 /* RFC 5246, A.1; RFC 8446, B.1 */
#define RECORD_HELLO 22

enum lh_net lh_tls_client_lose(struct lh_tls_client_core *core,
                               const char *words)
{
    if (core->state == LH_TLS_CLIENT_FAILED)
        return LH_NET_LOST;
    core->state = LH_TLS_CLIENT_FAILED;
    snprintf(core->words, sizeof(core->words), "%s", words);
    return LH_NET_LOST;
}

/* What comes first tells whether it is TLS at all, and in its record's version
 * whether it is TLS 1.2 or later (RFC 8446, 5.1), of which an old server's
 * alert says nothing. */
static enum lh_net look_at_first(struct lh_tls_client_core *core,
                                 const uint8_t *p, size_t n)
{
    if (core->heard)
        return LH_NET_OK;
    core->heard = true;
    if (*p != RECORD_HELLO && *p != RECORD_ALERT)
        return lh_tls_client_lose(core, "what the server sent is not TLS");
    core->old = n > 2 && (p[1] < 3 || (p[1] == 3 && p[2] < 3));
    return LH_NET_OK;
}

/* A FIN without TLS's goodbye may be anybody's, so it is no end. */
enum lh_net lh_tls_client_fill(struct lh_tls_client_core *core,
                               struct lh_chunk *chunk, bool *filled)
{
    struct lh_net_pools *pools = core->base.pools;

    if (*filled)
        return LH_NET_AGAIN;
    *filled = true;
    if (!lh_chunk_hold(pools, chunk))
        return lh_tls_client_lose(core, "no memory");
    ssize_t n = lh_net_receive(&core->base, chunk->p, LH_NET_CHUNK_BYTES);
    if (n > 0) {
        chunk->from = 0;
        chunk->to = (size_t)n;
        return look_at_first(core, chunk->p, chunk->to);
    }
    lh_chunk_give(pools, chunk);
    if (n == LH_SYS_EAGAIN)
        return LH_NET_AGAIN;
    return lh_tls_client_lose(core, n ? lh_sys_text((int)n)
                                      : "the server closed the connection");
}

enum lh_tls_client_state lh_tls_client_state(const struct lh_transport *t)
{
    return ((const struct lh_tls_client_core *)t)->state;
}

const char *lh_tls_client_failure(const struct lh_transport *t)
{
    return ((const struct lh_tls_client_core *)t)->words;
}
