/*
 * The TLS transport by OpenSSL: see tls.h and transport.h.
 *
 * Socket input lands in a chunk of the worker's pool; OpenSSL takes it from
 * there by a BIO of ours, and what it deciphers goes record by record into a
 * buffer that is lent for peek.  Output is written into another such buffer;
 * ack has it enciphered at once, into a chunk that several records fit into,
 * and send gives that to the socket.  So OpenSSL never waits for the socket
 * but while a handshake's flight is larger than a chunk.
 *
 * A helper thread may have a step of a handshake (net/away.h).  It works in the
 * SSL object and the two chunks, and in nothing else.
 *
 * The SSL object is made when the ClientHello is whole.  rest() gives back what
 * is lent, and OpenSSL its own buffers when a record ends.
 */
#include "base/trace.h"
#include "net/away.h"
#include "net/early.h"
#include "net/hello_part.h"
#include "net/tls_context_openssl.h"
#include "net/tls_failure_openssl.h"
#include "os/error.h"
#include "os/sock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* RFC 8446, B.1 and B.2. */
#define RECORD_ALERT       21
#define RECORD_HANDSHAKE   22
#define ALERT_RECORD_BYTES 7 /* not enciphered */
#define ALERT_AT           6 /* where its number is */

/* What records add to the octets in one buffer, even where the client wants
 * them small (RFC 6066, 4), and what OpenSSL may have to say besides. */
#define OVERHEAD_BYTES 4096

/* Why a connection failed. */
#define NO_MEMORY "no memory"

/* RFC 8446, A.2, seen from outside the library. */
enum phase {
    PHASE_FRESH, /* the ClientHello is not whole: no SSL object yet */
    PHASE_HANDSHAKE,
    PHASE_OPEN,  /* application data flows */
    PHASE_LOST,  /* the connection or the library failed */
    PHASE_PLAIN, /* it is HTTP without TLS */
    PHASES
};

static const char *const phase_names[PHASES] = {
    "FRESH", "HANDSHAKE", "OPEN", "LOST", "PLAIN",
};

#define MOVE(phase) (1u << (phase))

static const unsigned legal_moves[PHASES] = {
    [PHASE_FRESH] =
        MOVE(PHASE_HANDSHAKE) | MOVE(PHASE_PLAIN) | MOVE(PHASE_LOST),
    [PHASE_HANDSHAKE] = MOVE(PHASE_OPEN) | MOVE(PHASE_LOST),
    [PHASE_OPEN] = MOVE(PHASE_LOST),
};

struct tls {
    struct lh_transport base;
    SSL *ssl; /* PHASE_HANDSHAKE and later; NULL before */
    enum phase phase;
    bool agreed;     /* the handshake succeeded */
    bool closing;    /* our close_notify was asked for */
    bool shut;       /* our FIN is sent */
    bool stalled;    /* OpenSSL has an answer that found no room */
    bool is_garbage; /* what came first was no ClientHello */
    struct lh_tls_ends ends;
    uint8_t *input;             /* a record; NULL: not held */
    size_t from, to;            /* what was not consumed of it */
    uint8_t *output;            /* what is being written; NULL: not held */
    size_t written;             /* octets of application data: see early.h */
    struct lh_hello_part hello; /* PHASE_FRESH: what came of the ClientHello */
    struct lh_handshake *handshake; /* until it has succeeded, or NULL */
    char *server_name;              /* from then on; NULL: none was sent */
    struct lh_client_cert *client;  /* likewise; NULL: none was asked for */
    struct lh_transport *plain;     /* PHASE_PLAIN */
    struct lh_away away;
    bool aside;   /* steps of this handshake are for helpers */
    bool stepped; /* one was done, whose outcome is to be looked at */
    int why;      /* ... which is SSL_get_error()'s */
    /* PHASE_LOST: why; the first that is set counts. */
    int socket_error;    /* a negative errno, or 0 */
    const char *failure; /* or NULL */
    unsigned long error; /* OpenSSL's, or 0 */
};

#if LHTTPD_CHECKS

static void chunk_check(const struct lh_chunk *chunk)
{
    assert(chunk->from <= chunk->to && chunk->to <= LH_NET_CHUNK_BYTES);
    assert(chunk->p || chunk->to == 0);
}

/* What always holds between two calls. */
static void tls_check(const struct tls *tls)
{
    enum phase phase = tls->phase;
    bool lost = phase == PHASE_LOST;

    assert(!tls->base.away || phase == PHASE_HANDSHAKE);
    if (tls->base.away)
        return;
    chunk_check(&tls->ends.raw);
    chunk_check(&tls->ends.flight);
    assert(phase < PHASES);
    assert(tls->from <= tls->to && tls->to <= LH_TLS_RECORD_BYTES);
    assert(tls->input || tls->to == 0);
    if (phase == PHASE_FRESH || phase == PHASE_PLAIN)
        assert(!tls->ssl && !tls->input && !tls->output && !tls->ends.flight.p);
    assert(!tls->hello.p || phase == PHASE_FRESH || lost);
    assert(tls->hello.p ? tls->hello.n > 0 : tls->hello.n == 0);
    assert((tls->plain != NULL) == (phase == PHASE_PLAIN));
    assert(phase != PHASE_HANDSHAKE || (tls->handshake && !tls->agreed));
    assert(phase != PHASE_OPEN || (tls->agreed && !tls->handshake));
    assert(!tls->shut || tls->closing);
    assert(lost || (!tls->failure && !tls->socket_error));
    assert(lost || tls->stepped || !tls->error);
    assert(!ERR_peek_error());
}

#else

static inline void tls_check(const struct tls *tls)
{
    (void)tls;
}

#endif

/* Every call begins with it. */
static struct tls *tls_of(struct lh_transport *t)
{
    struct tls *tls = (struct tls *)t;

    lh_tls_clear_errors();
    tls_check(tls);
    return tls;
}

static struct lh_tls_worker *worker_of(const struct tls *tls)
{
    return tls->base.pools->tls;
}

static void set_phase(struct tls *tls, enum phase phase)
{
    bool legal = (legal_moves[tls->phase] & MOVE(phase)) != 0;

    assert(legal);
    (void)legal;
    if (tls->base.pools->ctx)
        lh_trace(tls->base.pools->ctx, tls->base.number, "tls", 0,
                 phase_names[tls->phase], phase_names[phase]);
    tls->phase = phase;
}

/* `why`: NULL where the socket's error or OpenSSL's says it. */
static enum lh_net tls_lose(struct tls *tls, const char *why)
{
    if (tls->phase != PHASE_LOST && tls->phase != PHASE_PLAIN) {
        tls->failure = why;
        set_phase(tls, PHASE_LOST);
    }
    return LH_NET_LOST;
}

static enum lh_net tls_lose_socket(struct tls *tls, ssize_t error)
{
    tls->socket_error = (int)error;
    return tls_lose(tls, NULL);
}

/* --- What is lent ----------------------------------------------------- */

static bool record_hold(struct tls *tls, uint8_t **record)
{
    if (!*record)
        *record = lh_pool_take(&worker_of(tls)->records);
    return *record;
}

static void record_give(struct tls *tls, uint8_t **record)
{
    if (*record)
        lh_pool_give(&worker_of(tls)->records, *record);
    *record = NULL;
}

/* Gives the flight's chunk back once the socket has all of it. */
static enum lh_net flight_send(struct tls *tls)
{
    struct lh_chunk *flight = &tls->ends.flight;

    if (lh_chunk_waits(flight)) {
        ssize_t sent = lh_net_send(&tls->base, flight->p + flight->from,
                                   flight->to - flight->from);
        if (sent < 0 && sent != LH_SYS_EAGAIN)
            return tls_lose_socket(tls, sent);
        if (sent > 0)
            flight->from += (size_t)sent;
        if (lh_chunk_waits(flight))
            return LH_NET_AGAIN;
    }
    lh_chunk_give(tls->base.pools, flight);
    tls->stalled = false;
    return LH_NET_OK;
}

/* --- The handshake ---------------------------------------------------- */

/* OpenSSL gave up: what it has to say leaves if the socket takes it. */
static enum lh_net tls_lose_openssl(struct tls *tls)
{
    struct lh_chunk *flight = &tls->ends.flight;

    if (!tls->error)
        tls->error = lh_tls_take_error();
    if (lh_chunk_waits(flight))
        (void)lh_net_send(&tls->base, flight->p + flight->from,
                          flight->to - flight->from);
    return tls_lose(tls, tls->error ? NULL : NO_MEMORY);
}

/* Gives up what only the handshake needs. */
static enum lh_net handshake_end(struct tls *tls)
{
    struct lh_handshake *h = tls->handshake;

    if (!lh_handshake_take_client(h, tls->ssl, &tls->client))
        return tls_lose(tls, NO_MEMORY);
    if (h->hello.name[0] && !(tls->server_name = lh_strdup(h->hello.name)))
        return tls_lose(tls, NO_MEMORY);
    SSL_set_app_data(tls->ssl, NULL);
    lh_handshake_free(h);
    tls->handshake = NULL;
    set_phase(tls, PHASE_OPEN);
    tls->agreed = true;
    return LH_NET_OK;
}

/* A step of it: as far as the octets reach that have come, and while the chunk
 * has room for the answers.  A helper may run it, whose errors are its own. */
static void shake(struct tls *tls)
{
    lh_tls_clear_errors();
    tls->why = SSL_get_error(tls->ssl, SSL_do_handshake(tls->ssl));
    tls->stepped = true;
    if (tls->why == SSL_ERROR_SSL || tls->why == SSL_ERROR_SYSCALL)
        tls->error = lh_tls_take_error();
}

static void shake_aside(struct lh_crew_job *job)
{
    shake(LH_OF(job, struct tls, away.job));
}

/* The next step.  False: it is away, and this goes on when it is back.  One
 * that only finds that nothing has come stays. */
static bool take_step(struct tls *tls)
{
    bool goes = tls->aside && (lh_chunk_waits(&tls->ends.raw) ||
                               tls->why != SSL_ERROR_WANT_READ);

    if (goes && lh_chunk_hold(tls->base.pools, &tls->ends.flight) &&
        lh_away_go(&tls->base, &tls->away, shake_aside))
        return false;
    shake(tls);
    return true;
}

/* What has become of a step; its answers are sent.  AGAIN: nothing is to be
 * done until something comes, or leaves; OK: it goes on. */
static enum lh_net step_end(struct tls *tls)
{
    enum lh_net sent;

    tls->stepped = false;
    switch (tls->why) {
    case SSL_ERROR_WANT_X509_LOOKUP:
        tls->aside = true; /* a full one, now known */
        return LH_NET_OK;
    case SSL_ERROR_WANT_WRITE:
        return flight_send(tls);
    case SSL_ERROR_WANT_READ:
        sent = flight_send(tls);
        return sent == LH_NET_LOST ? sent : LH_NET_AGAIN;
    case SSL_ERROR_NONE:
        sent = flight_send(tls);
        return sent == LH_NET_LOST ? sent : handshake_end(tls);
    default:
        return tls_lose_openssl(tls);
    }
}

static enum lh_net handshake_go_on(struct tls *tls)
{
    enum lh_net went = LH_NET_OK;

    while (went == LH_NET_OK && tls->phase == PHASE_HANDSHAKE) {
        if (!tls->stepped && !take_step(tls))
            return LH_NET_AGAIN;
        went = step_end(tls);
    }
    return went;
}

/* --- Input ------------------------------------------------------------ */

/* Deciphers the next record, if all of it is there and nothing is to be peeked
 * at.  What OpenSSL answers by itself (to a KeyUpdate) is sent by send. */
static enum lh_net read_record(struct tls *tls)
{
    if (tls->from < tls->to)
        return LH_NET_OK;
    if (tls->base.ended)
        return LH_NET_EOF;
    if (!record_hold(tls, &tls->input))
        return tls_lose(tls, NO_MEMORY);
    tls->from = tls->to = 0;
    int n = SSL_read(tls->ssl, tls->input, LH_TLS_RECORD_BYTES);
    if (n > 0) {
        tls->to = (size_t)n;
        return LH_NET_OK;
    }
    switch (SSL_get_error(tls->ssl, n)) {
    case SSL_ERROR_WANT_WRITE:
        tls->stalled = true;
        return LH_NET_AGAIN;
    case SSL_ERROR_WANT_READ:
        return LH_NET_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        tls->base.ended = true;
        tls->ends.raw.from = tls->ends.raw.to; /* nothing counts behind it */
        return LH_NET_EOF;
    default:
        return tls_lose_openssl(tls);
    }
}

/* Feeds OpenSSL until there is something to peek at, the chunk is empty, or an
 * end. */
static enum lh_net pump(struct tls *tls)
{
    enum lh_net got = LH_NET_OK;

    if (tls->phase == PHASE_HANDSHAKE)
        got = handshake_go_on(tls);
    return got == LH_NET_OK ? read_record(tls) : got;
}

static enum lh_net hello_wait(struct tls *tls)
{
    const char *why =
        lh_hello_part_keep(&tls->hello, &tls->base, &tls->ends.raw);

    return why ? tls_lose(tls, why) : LH_NET_AGAIN;
}

/* One read from the socket, behind what there is of a ClientHello; OK: there is
 * something in the chunk. */
static enum lh_net raw_receive(struct tls *tls)
{
    struct lh_chunk *raw = &tls->ends.raw;

    if (!lh_chunk_hold(tls->base.pools, raw))
        return tls_lose(tls, NO_MEMORY);
    ssize_t n = lh_hello_part_receive(&tls->hello, &tls->base, raw);
    if (n > 0)
        return LH_NET_OK;
    if (n == 0)
        return LH_NET_EOF;
    return n == LH_SYS_EAGAIN ? LH_NET_AGAIN : tls_lose_socket(tls, n);
}

static enum lh_net begin_handshake(struct tls *tls,
                                   const struct lh_hello *hello)
{
    struct lh_tls_worker *worker = worker_of(tls);

    lh_tls_worker_take(worker);
    tls->handshake = lh_handshake_new(worker->held.creds, hello);
    if (!tls->handshake)
        return tls_lose(tls, NO_MEMORY);
    tls->handshake->pauses = tls->base.pools->crew != NULL;
    tls->ssl = lh_tls_ssl_new(worker, tls->handshake, &tls->ends);
    if (!tls->ssl)
        return tls_lose(tls, NO_MEMORY);
    set_phase(tls, PHASE_HANDSHAKE);
    return pump(tls);
}

/* What is no ClientHello, and no other message of a handshake: OpenSSL would
 * wait for more of it, or take an alert for a message in the wrong place. */
static enum lh_net lose_stranger(struct tls *tls)
{
    const struct lh_chunk *raw = &tls->ends.raw;

    if (raw->p[0] != RECORD_ALERT || raw->to < ALERT_RECORD_BYTES)
        return tls_lose(tls, LH_TLS_IS_GARBAGE);
    tls->error =
        ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + raw->p[ALERT_AT]);
    return tls_lose(tls, NULL);
}

/* A record's first octet is 20 to 23 (RFC 8446, B.1), never a letter. */
static enum lh_net begin_tls(struct tls *tls)
{
    const struct lh_chunk *raw = &tls->ends.raw;
    struct lh_hello hello;

    if (raw->p[0] >= 'A' && raw->p[0] <= 'Z') {
        tls->plain = lh_tcp_new(tls->base.pools, tls->base.fd);
        if (!tls->plain)
            return tls_lose(tls, NO_MEMORY);
        set_phase(tls, PHASE_PLAIN);
        return LH_NET_OK;
    }
    enum lh_hello_result read = lh_hello_read(raw->p, raw->to, &hello);
    if (read == LH_HELLO_MORE)
        return hello_wait(tls);
    if (read == LH_HELLO_BAD && raw->p[0] != RECORD_HANDSHAKE)
        return lose_stranger(tls);
    tls->is_garbage = read == LH_HELLO_BAD;
    return begin_handshake(tls, &hello);
}

static enum lh_net tls_receive(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    enum lh_net got = LH_NET_OK;

    if (tls->plain)
        return tls->plain->ops->receive(tls->plain);
    if (tls->phase == PHASE_LOST)
        return LH_NET_LOST;
    if (tls->base.away)
        return LH_NET_AGAIN;
    if (tls->base.ended)
        return LH_NET_EOF;
    if (!lh_chunk_waits(&tls->ends.raw) && !tls->stepped)
        got = raw_receive(tls);
    if (got != LH_NET_OK)
        return got;
    got = tls->phase == PHASE_FRESH ? begin_tls(tls) : pump(tls);
    if (!tls->base.away)
        lh_chunk_give_if_empty(tls->base.pools, &tls->ends.raw);
    return got;
}

/* OpenSSL only has its close_notify to send; it gets nothing any more. */
static enum lh_net tls_discard(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    lh_chunk_give(tls->base.pools, &tls->ends.raw);
    if (tls->plain)
        return tls->plain->ops->discard(tls->plain);
    return lh_net_discard(t);
}

/* With plain HTTP, input is in the chunk. */
static const uint8_t *tls_peek(struct lh_transport *t, size_t *n)
{
    struct tls *tls = tls_of(t);
    const struct lh_chunk *raw = &tls->ends.raw;

    *n = 0;
    if (tls->plain && raw->p) {
        *n = raw->to - raw->from;
        return raw->p + raw->from;
    }
    if (tls->plain)
        return tls->plain->ops->peek(tls->plain, n);
    if (tls->closing || tls->from == tls->to)
        return NULL;
    *n = tls->to - tls->from;
    return tls->input + tls->from;
}

/* A record that is used up makes room for the next, which may be in the chunk
 * already; what ends it, receive reports. */
static void tls_consume(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);
    struct lh_chunk *raw = &tls->ends.raw;

    if (n == 0 || tls->closing) /* closing drops what was not consumed */
        return;
    if (tls->plain && !raw->p) {
        tls->plain->ops->consume(tls->plain, n);
        return;
    }
    if (tls->plain) {
        assert(n <= raw->to - raw->from);
        raw->from += n;
    } else {
        assert(n <= tls->to - tls->from);
        tls->from += n;
        if (tls->phase == PHASE_OPEN && lh_chunk_waits(raw))
            (void)read_record(tls);
    }
    lh_chunk_give_if_empty(tls->base.pools, raw);
}

/* --- Output ----------------------------------------------------------- */

/* None until the chunk has room for all that OpenSSL makes of a buffer. */
static uint8_t *tls_buf(struct lh_transport *t, size_t *room)
{
    struct tls *tls = tls_of(t);

    *room = 0;
    if (tls->plain)
        return tls->plain->ops->buf(tls->plain, room);
    if (tls->phase != PHASE_OPEN || tls->closing ||
        lh_tls_ends_room(&tls->ends) < LH_TLS_RECORD_BYTES + OVERHEAD_BYTES)
        return NULL;
    if (!record_hold(tls, &tls->output) ||
        !lh_chunk_hold(tls->base.pools, &tls->ends.flight)) {
        tls_lose(tls, NO_MEMORY);
        return NULL;
    }
    *room = lh_early_room(LH_TLS_RECORD_BYTES, tls->written);
    return tls->output;
}

static void tls_ack(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);

    lh_early_count(&tls->written, n);
    if (tls->plain)
        tls->plain->ops->ack(tls->plain, n);
    else if (n && SSL_write(tls->ssl, tls->output, (int)n) != (int)n)
        tls_lose_openssl(tls);
}

/* Sends what waits and feeds OpenSSL with what could not be taken before.  A
 * client that asks for answers (KeyUpdate) and does not read them is lost. */
static enum lh_net tls_send(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    bool stalled = tls->stalled;

    if (tls->plain)
        return tls->plain->ops->send(tls->plain);
    if (tls->phase == PHASE_LOST)
        return LH_NET_LOST;
    if (tls->base.away)
        return LH_NET_OK;
    enum lh_net sent = flight_send(tls);
    if (sent == LH_NET_AGAIN && stalled && tls->phase == PHASE_OPEN)
        return tls_lose(tls, "the client does not read what it asks for");
    if (sent != LH_NET_OK || tls->closing)
        return sent;
    if (tls->phase == PHASE_HANDSHAKE ||
        (tls->phase == PHASE_OPEN &&
         (stalled || lh_chunk_waits(&tls->ends.raw))))
        pump(tls); /* it waited for this */
    if (tls->base.away)
        return LH_NET_OK;
    lh_chunk_give_if_empty(tls->base.pools, &tls->ends.raw);
    return tls->phase == PHASE_LOST ? LH_NET_LOST : sent;
}

/* First all that was acked, then close_notify, then the FIN of the socket;
 * each may have to wait for the socket, and then the call is repeated.  After a
 * failure the FIN is all there is. */
static enum lh_net tls_shutdown(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->plain)
        return tls->plain->ops->shutdown(tls->plain);
    if (!tls->closing && tls->phase == PHASE_OPEN && SSL_shutdown(tls->ssl) < 0)
        return tls_lose_openssl(tls);
    tls->closing = true;
    enum lh_net sent = tls->phase == PHASE_LOST ? LH_NET_OK : flight_send(tls);
    if (sent == LH_NET_OK && !tls->shut) {
        lh_sock_shutdown(t->fd);
        tls->shut = true;
    }
    return sent;
}

static bool tls_unsent(const struct lh_transport *t)
{
    const struct tls *tls = (const struct tls *)t;

    if (tls->plain)
        return tls->plain->ops->unsent(tls->plain);
    if (tls->base.away)
        return false;
    if (tls->phase == PHASE_LOST)
        return !tls->shut;
    return lh_chunk_waits(&tls->ends.flight);
}

/* --- Beginning, rest and end ------------------------------------------ */

static void tls_rest(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->base.away)
        return;
    if (tls->plain) {
        tls->plain->ops->rest(tls->plain);
        return;
    }
    if (tls->closing) {
        lh_chunk_give(tls->base.pools, &tls->ends.raw);
        tls->from = tls->to = 0;
    }
    if (tls->phase == PHASE_LOST) /* what it had to say has left, or cannot */
        lh_chunk_give(tls->base.pools, &tls->ends.flight);
    if (tls->from == tls->to) {
        tls->from = tls->to = 0;
        record_give(tls, &tls->input);
    }
    record_give(tls, &tls->output);
    lh_chunk_give_if_empty(tls->base.pools, &tls->ends.flight);
}

/* What is lent goes back to the worker. */
static void tls_free(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->base.away) {
        tls->base.unwanted = true;
        return;
    }
    if (tls->plain)
        tls->plain->ops->free(tls->plain);
    lh_tls_ssl_free(worker_of(tls), tls->ssl);
    lh_hello_part_forget(&tls->hello);
    lh_chunk_give(tls->base.pools, &tls->ends.raw);
    lh_chunk_give(tls->base.pools, &tls->ends.flight);
    record_give(tls, &tls->input);
    record_give(tls, &tls->output);
    lh_handshake_free(tls->handshake);
    lh_free(tls->server_name);
    lh_free(tls->client);
    lh_free(tls);
}

static const struct lh_transport_ops tls_ops = {
    .receive = tls_receive,
    .discard = tls_discard,
    .peek = tls_peek,
    .consume = tls_consume,
    .buf = tls_buf,
    .ack = tls_ack,
    .send = tls_send,
    .shutdown = tls_shutdown,
    .unsent = tls_unsent,
    .rest = tls_rest,
    .free = tls_free,
};

const char *lh_tls_library(void)
{
    return "openssl";
}

struct lh_transport *lh_tls_new(struct lh_net_pools *pools, int fd)
{
    struct tls *tls = lh_calloc(1, sizeof(*tls));

    if (!tls)
        return NULL;
    tls->base =
        (struct lh_transport){.ops = &tls_ops, .pools = pools, .fd = fd};
    tls->ends.pools = pools;
    return &tls->base;
}

/* --- What was agreed -------------------------------------------------- */

static const struct tls *const_tls(const struct lh_transport *t)
{
    assert(t->ops == &tls_ops);
    return (const struct tls *)t;
}

enum lh_tls_state lh_tls_state(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    if (tls->phase == PHASE_PLAIN)
        return LH_TLS_PLAIN_HTTP;
    return tls->agreed ? LH_TLS_READY : LH_TLS_HANDSHAKE;
}

bool lh_tls_is_h2(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);
    const unsigned char *name;
    unsigned n = 0;

    if (tls->agreed)
        SSL_get0_alpn_selected(tls->ssl, &name, &n);
    return n == 2 && memcmp(name, "h2", 2) == 0;
}

const struct lh_client_cert *lh_tls_client(const struct lh_transport *t)
{
    return const_tls(t)->client;
}

void lh_tls_forget_client(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    lh_free(tls->client);
    tls->client = NULL;
}

bool lh_tls_is_resumed(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed && SSL_session_reused(tls->ssl);
}

const char *lh_tls_protocol(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed ? SSL_get_version(tls->ssl) : "";
}

const char *lh_tls_cipher(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed
               ? SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl))
               : "";
}

const char *lh_tls_server_name(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->server_name ? tls->server_name : "";
}

/* The socket's error comes first: what follows from it says less. */
bool lh_tls_failure(const struct lh_transport *t,
                    char out[LH_TLS_FAILURE_BYTES])
{
    const struct tls *tls = const_tls(t);

    out[0] = '\0';
    if (tls->phase != PHASE_LOST)
        return false;
    if (tls->socket_error)
        snprintf(out, LH_TLS_FAILURE_BYTES, "%s",
                 lh_sys_text(tls->socket_error));
    else if (tls->failure)
        snprintf(out, LH_TLS_FAILURE_BYTES, "%s", tls->failure);
    else
        lh_tls_failure_words(out, LH_TLS_FAILURE_BYTES, tls->error,
                             tls->handshake, tls->is_garbage);
    return true;
}

bool lh_tls_is_cut(const struct lh_transport *t)
{
    return const_tls(t)->socket_error != 0;
}
