/* A client's connection by TLS, with either library: see tls_core.h. */
#include "net/tls_core.h"

#include "base/trace.h"
#include "os/error.h"
#include "os/sock.h"

#include <assert.h>
#include <stdio.h>

static const char *const phase_names[LH_PHASES] = {
    "FRESH", "HANDSHAKE", "OPEN", "CLOSED", "LOST", "PLAIN",
};

#define MOVE(phase) (1u << LH_PHASE_##phase)

static const unsigned legal_moves[LH_PHASES] = {
    [LH_PHASE_FRESH] = MOVE(HANDSHAKE) | MOVE(PLAIN) | MOVE(LOST),
    [LH_PHASE_HANDSHAKE] = MOVE(OPEN) | MOVE(CLOSED) | MOVE(LOST),
    [LH_PHASE_OPEN] = MOVE(CLOSED) | MOVE(LOST),
    [LH_PHASE_CLOSED] = MOVE(LOST),
};

#if LHTTPD_CHECKS

void lh_tls_core_check(const struct lh_tls_core *core)
{
    enum lh_tls_phase phase = core->phase;
    bool lost = phase == LH_PHASE_LOST;

    assert(!core->base.away || phase == LH_PHASE_HANDSHAKE);
    if (core->base.away)
        return;
    assert(phase < LH_PHASES);
    assert(!core->stepped || phase == LH_PHASE_HANDSHAKE);
    assert(lh_chunk_is_sound(&core->ends.raw));
    assert(lh_chunk_is_sound(&core->ends.flight));
    if (phase == LH_PHASE_FRESH || phase == LH_PHASE_PLAIN)
        assert(!core->ends.flight.p && !core->agreed);
    assert(!core->hello.p || phase == LH_PHASE_FRESH || lost);
    assert(core->hello.p ? core->hello.n > 0 : core->hello.n == 0);
    assert(!core->plain || phase == LH_PHASE_PLAIN);
    assert(phase != LH_PHASE_HANDSHAKE || !core->agreed);
    assert(phase != LH_PHASE_OPEN || core->agreed);
    assert(!core->shut || core->closing);
    assert(lost || (!core->failure && !core->socket_error));
}

#endif

void lh_tls_move(struct lh_tls_core *core, enum lh_tls_phase phase)
{
    bool legal = (legal_moves[core->phase] & 1u << phase) != 0;

    assert(legal);
    (void)legal;
    if (core->base.pools->ctx)
        lh_trace(core->base.pools->ctx, core->base.number, "tls", 0,
                 phase_names[core->phase], phase_names[phase]);
    core->phase = phase;
}

enum lh_net lh_tls_lose(struct lh_tls_core *core, const char *why)
{
    if (core->phase != LH_PHASE_LOST) {
        core->failure = why;
        lh_tls_move(core, LH_PHASE_LOST);
    }
    return LH_NET_LOST;
}

enum lh_net lh_tls_lose_socket(struct lh_tls_core *core, ssize_t error)
{
    core->socket_error = (int)error;
    return lh_tls_lose(core, NULL);
}

/* --- Input ------------------------------------------------------------ */

/* A record's first octet is 20 to 23 (RFC 5246, A.1; RFC 8446, B.1), never a
 * letter. */
static bool is_plain_http(const struct lh_chunk *raw)
{
    return raw->p[0] >= 'A' && raw->p[0] <= 'Z';
}

static enum lh_net begin_plain(struct lh_tls_core *core)
{
    struct lh_transport *plain = lh_tcp_new(core->base.pools, core->base.fd);

    if (!plain)
        return lh_tls_lose(core, LH_TLS_NO_MEMORY);
    lh_tcp_give_input(plain, &core->ends.raw);
    core->plain = plain;
    lh_tls_move(core, LH_PHASE_PLAIN);
    return LH_NET_OK;
}

enum lh_net lh_tls_begin(struct lh_tls_core *core, struct lh_hello *hello)
{
    struct lh_chunk *raw = &core->ends.raw;
    const char *why;

    if (is_plain_http(raw))
        return begin_plain(core);
    switch (lh_hello_read(raw->p, raw->to, hello)) {
    case LH_HELLO_MORE:
        why = lh_hello_part_keep(&core->hello, &core->base, raw);
        return why ? lh_tls_lose(core, why) : LH_NET_AGAIN;
    case LH_HELLO_BAD:
        core->is_garbage = true;
        break;
    case LH_HELLO_WHOLE:
        break;
    }
    return LH_NET_OK;
}

/* One read from the socket, behind what there is of a ClientHello. */
static enum lh_net raw_receive(struct lh_tls_core *core)
{
    struct lh_chunk *raw = &core->ends.raw;

    if (!lh_chunk_hold(core->base.pools, raw))
        return lh_tls_lose(core, LH_TLS_NO_MEMORY);
    ssize_t n = lh_hello_part_receive(&core->hello, &core->base, raw);
    if (n > 0)
        return LH_NET_OK;
    if (n == 0)
        return LH_NET_EOF;
    return n == LH_SYS_EAGAIN ? LH_NET_AGAIN : lh_tls_lose_socket(core, n);
}

enum lh_net lh_tls_fill(struct lh_tls_core *core)
{
    if (core->phase == LH_PHASE_LOST)
        return LH_NET_LOST;
    if (core->base.away)
        return LH_NET_AGAIN;
    if (core->base.ended || core->phase == LH_PHASE_CLOSED)
        return LH_NET_EOF;
    if (lh_chunk_waits(&core->ends.raw) || core->stepped)
        return LH_NET_OK;
    return raw_receive(core);
}

enum lh_net lh_tls_discard(struct lh_transport *t)
{
    struct lh_tls_core *core = (struct lh_tls_core *)t;

    lh_tls_core_check(core);
    lh_chunk_give(t->pools, &core->ends.raw);
    return lh_net_discard(t);
}

/* --- Output ----------------------------------------------------------- */

enum lh_net lh_tls_send_flight(struct lh_tls_core *core, bool more_follows)
{
    int r = lh_chunk_send(&core->base, &core->ends.flight, more_follows);

    if (r == LH_SYS_EAGAIN)
        return LH_NET_AGAIN;
    return r ? lh_tls_lose_socket(core, r) : LH_NET_OK;
}

enum lh_net lh_tls_shut(struct lh_tls_core *core, enum lh_net sent)
{
    if (sent == LH_NET_OK && !core->shut) {
        lh_sock_shutdown(core->base.fd);
        core->shut = true;
    }
    return sent;
}

/* --- Beginning, end, and how it went ---------------------------------- */

void lh_tls_core_init(struct lh_tls_core *core,
                      const struct lh_transport_ops *ops,
                      struct lh_net_pools *pools, int fd)
{
    core->base = (struct lh_transport){.ops = ops, .pools = pools, .fd = fd};
    core->ends.pools = pools;
}

void lh_tls_core_deinit(struct lh_tls_core *core)
{
    struct lh_net_pools *pools = core->base.pools;

    if (core->plain)
        core->plain->ops->free(core->plain);
    lh_hello_part_forget(&core->hello);
    lh_chunk_give(pools, &core->ends.raw);
    lh_chunk_give(pools, &core->ends.flight);
}

enum lh_tls_state lh_tls_state(const struct lh_transport *t)
{
    const struct lh_tls_core *core = (const struct lh_tls_core *)t;

    if (core->phase == LH_PHASE_PLAIN)
        return LH_TLS_PLAIN_HTTP;
    return core->agreed ? LH_TLS_READY : LH_TLS_HANDSHAKE;
}

struct lh_transport *lh_tls_take_plain(struct lh_transport *t)
{
    struct lh_tls_core *core = (struct lh_tls_core *)t;
    struct lh_transport *plain = core->plain;

    core->plain = NULL;
    plain->number = t->number;
    plain->owner = t->owner;
    t->ops->free(t);
    return plain;
}

/* The socket's error comes first: what follows from it says less. */
bool lh_tls_words(const struct lh_tls_core *core,
                  char out[LH_TLS_FAILURE_BYTES])
{
    const char *why =
        core->socket_error ? lh_sys_text(core->socket_error) : core->failure;

    if (why)
        snprintf(out, LH_TLS_FAILURE_BYTES, "%s", why);
    return why;
}

bool lh_tls_is_cut(const struct lh_transport *t)
{
    return ((const struct lh_tls_core *)t)->socket_error != 0;
}
